import { countText } from '../lib/count-text.ts'
import type { RouterError } from '../sdk/errors.ts'
import type { PickReason } from '../sdk/strategy.ts'

interface Pick {
  readonly target: string
  readonly reason: PickReason | undefined
  /** Why the attempt before it failed. */
  readonly after: RouterError | undefined
  readonly waitedMs: number
}

/** Shorter waits are none, in milliseconds. */
const leastWaitMs = 1

/** Why the targets of one request were picked. The text is made when it is read. */
export class PickReasons {
  #picks: Pick[] | undefined
  #waitedMs = 0

  /** The request has waited for its next target. */
  waited(ms: number): void {
    this.#waitedMs += ms
  }

  add(
    target: string,
    { reason, after }: { reason?: PickReason | undefined; after?: RouterError | undefined },
  ): void {
    this.#picks ??= []
    this.#picks.push({ target, reason, after, waitedMs: this.#waitedMs })
    this.#waitedMs = 0
  }

  /** Of each attempt, in their order. */
  all(): string[] {
    return (this.#picks ?? []).map(textOf)
  }

  /** Of the last attempt. */
  last(): string | undefined {
    const pick = this.#picks?.at(-1)
    return pick && textOf(pick)
  }

  /** Of all attempts, in their order: `queue 840 ms, least loaded`, or with names where there were several. */
  toString(): string | undefined {
    const picks = this.#picks
    if (!picks) return undefined
    if (picks.length === 1) return this.last()
    return picks.map((pick) => `${pick.target}: ${textOf(pick)}`).join('; ')
  }
}

function textOf({ reason, after, waitedMs }: Pick): string {
  const parts: string[] = []
  if (after) parts.push(`failover after ${codeOf(after)}`)
  if (waitedMs >= leastWaitMs) parts.push(`queue ${countText(waitedMs)} ms`)
  if (reason !== undefined) parts.push(typeof reason === 'string' ? reason : reason())
  return parts.join(', ')
}

/** Only codes of the router and of Node: an upstream's own code could contain anything. */
function codeOf({ causeCode, code, kind }: RouterError): string {
  return [causeCode, code].find((word) => word !== undefined && /^[\w.-]{1,64}$/.test(word)) ?? kind
}
