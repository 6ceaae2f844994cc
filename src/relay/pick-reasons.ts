import { formatCount } from '../lib/numbers.ts'
import { safeCodeOf } from '../sdk/console/error-words.ts'
import type { RouterError } from '../sdk/errors.ts'
import type { PickReason } from '../sdk/strategy.ts'

interface Pick {
  readonly target: string
  readonly reason: PickReason | undefined
  /** Why the attempt before it failed. */
  readonly after: RouterError | undefined
  readonly waitedMs: number
}

/** Shorter waits are not reported, in milliseconds. */
const leastWaitMs = 1

/** Why the targets of one request were picked. The text is built when it is read. */
export class PickReasons {
  #picks: Pick[] | undefined
  /** The texts of all picks, once they were read. */
  #texts: string[] | undefined
  #waitedMs = 0

  /** The request waited for its next target. */
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
    this.#texts = undefined
  }

  /** Reason of each attempt, in order. */
  all(): readonly string[] {
    this.#texts ??= (this.#picks ?? []).map(textOf)
    return this.#texts
  }

  /** Reason of the last attempt. */
  last(): string | undefined {
    return this.all().at(-1)
  }

  /** Reasons of all attempts, in order: `queue 840 ms, least loaded`, with target names if there were several. */
  toString(): string | undefined {
    const texts = this.all()
    if (texts.length < 2) return texts[0]
    return this.#picks?.map(({ target }, index) => `${target}: ${texts[index]}`).join('; ')
  }
}

function textOf({ reason, after, waitedMs }: Pick): string {
  if (!after && waitedMs < leastWaitMs && typeof reason === 'string') return reason
  const parts: string[] = []
  if (after) parts.push(`failover after ${safeCodeOf(after)}`)
  if (waitedMs >= leastWaitMs) parts.push(`queue ${formatCount(waitedMs)} ms`)
  if (reason !== undefined) parts.push(typeof reason === 'string' ? reason : reason())
  return parts.join(', ')
}
