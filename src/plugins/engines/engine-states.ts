import { parseJson } from '../../lib/json/read.ts'
import { version } from '../../lib/version.ts'
import { askEngine, type EngineRequestOptions } from '../../relay/upstream/ask-engine.ts'
import { isSuccess } from '../../relay/upstream/upstream-answer.ts'
import type { EngineState } from '../../sdk/engine-listings.ts'
import type { Target } from '../../sdk/target.ts'
import type { Transport } from '../../sdk/transport.ts'

export interface EngineStatesOptions {
  transportOf(target: Target): Transport
  /** Interval between checks of servers that have not answered yet, in milliseconds. */
  intervalMs: number
  /** Monotonic milliseconds. */
  now(): number
}

/** Last known state of a server. */
export interface KnownEngine {
  readonly answered: boolean
  readonly state: EngineState | undefined
}

interface Server extends KnownEngine {
  /** Time of the last request and of the last answer, on the clock of the options. */
  askedAt: number
  answeredAt: number
  answered: boolean
  state: EngineState | undefined
  running: Promise<void> | undefined
}

const timeoutMs = 2_000
/** Maximum age of an answer before the server is asked again without a client's request, in milliseconds. */
const engineAgeMs = 60_000
/** Same for servers without useful information, such as cloud providers. */
const plainAgeMs = 600_000
/** The last state of a server that stops answering is discarded after this, in milliseconds. */
const forgetMs = 30_000
/** Delay of the first check, so that it does not compete with the start, in milliseconds. */
const firstMs = 2_000
/** Maximum number of servers asked concurrently. */
const maxConcurrent = 32

/** Model lists of the servers behind the targets. Targets of the same server share one request. */
export class EngineStates {
  readonly #options: EngineStatesOptions
  readonly #servers = new Map<string, Server>()
  readonly #byTarget = new WeakMap<Target, Server>()
  #timer: NodeJS.Timeout | undefined
  #running = 0
  readonly #queue: (() => void)[] = []

  constructor(options: EngineStatesOptions) {
    this.#options = options
  }

  /** State of a target's server; undefined for a provider type without model lists. */
  of(target: Target): KnownEngine | undefined {
    return target.listings ? this.#serverOf(target) : undefined
  }

  stateOf(target: Target): EngineState | undefined {
    return this.of(target)?.state
  }

  /** Replaces the set of servers to check periodically. */
  watch(targets: readonly Target[]): void {
    this.stop()
    const currentKeys = new Set(targets.map(keyOf))
    for (const key of this.#servers.keys()) if (!currentKeys.has(key)) this.#servers.delete(key)
    const { intervalMs } = this.#options
    const checkAll = (): void => {
      for (const target of targets) if (target.listings && this.#isDue(target)) void this.#check(target)
      this.#timer = setTimeout(checkAll, intervalMs).unref()
    }
    this.#timer = setTimeout(checkAll, firstMs).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  /**
   * Asks the servers whose state is older than `maxAgeMs`. Resolves when they have answered, or after `waitMs`;
   * immediately with `onlyNew` if every server has been asked before.
   */
  async refresh(
    targets: readonly Target[],
    { maxAgeMs, waitMs, onlyNew = false }: { maxAgeMs: number; waitMs: number; onlyNew?: boolean },
  ): Promise<void> {
    const now = this.#options.now()
    const checks: Promise<void>[] = []
    for (const target of targets) {
      if (!target.listings) continue
      const server = this.#serverOf(target)
      const isNew = server.askedAt === Number.NEGATIVE_INFINITY
      const check = now - server.askedAt > maxAgeMs ? this.#check(target) : server.running
      if (check && (isNew || !onlyNew)) checks.push(check)
    }
    if (checks.length === 0) return
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, waitMs)
    await Promise.race([Promise.all(checks), late])
    clearTimeout(timer)
  }

  #isDue(target: Target): boolean {
    const { askedAt, answered, state } = this.#serverOf(target)
    const age = this.#options.now() - askedAt
    if (!answered) return true
    const isInformative = state?.isLlamaCpp || state?.models.some(({ context }) => context !== undefined)
    return age > (isInformative || target.type.loadsModels ? engineAgeMs : plainAgeMs)
  }

  #serverOf(target: Target): Server {
    const known = this.#byTarget.get(target)
    if (known) return known
    const key = keyOf(target)
    const server = this.#servers.get(key) ?? newServer()
    this.#servers.set(key, server)
    this.#byTarget.set(target, server)
    return server
  }

  #check(target: Target): Promise<void> {
    const server = this.#serverOf(target)
    server.running ??= this.#requestState(target, server)
    return server.running
  }

  async #requestState(target: Target, server: Server): Promise<void> {
    if (this.#running >= maxConcurrent) await new Promise<void>((resolve) => this.#queue.push(resolve))
    this.#running++
    const { transportOf, now } = this.#options
    const transport = transportOf(target)
    const found = await readEngineState(target, { transport, timeoutMs, userAgent: `llm-router/${version}` })
    this.#running--
    this.#queue.shift()?.()
    server.running = undefined
    server.askedAt = now()
    // Keep the previous state for a while if the server is only too busy to answer.
    if (found.timedOut && now() - server.answeredAt < forgetMs) return
    server.state = found.state
    server.answered = found.answered
    if (found.answered) server.answeredAt = now()
  }
}

/** Requests the model list of a target's server. `answered`: it responded, with or without a list. Never rejects. */
async function readEngineState(
  target: Target,
  options: EngineRequestOptions,
): Promise<{ answered: boolean; timedOut: boolean; state: EngineState | undefined }> {
  let answered = false
  let timedOut = false
  for (const listing of target.listings ?? []) {
    const { status, text, ...answer } = await askEngine(target, listing, options)
    // After a 5xx, the server may have a list later.
    answered ||= status !== undefined && status < 500
    timedOut ||= answer.timedOut
    const isList = status !== undefined && isSuccess(status) && text !== undefined
    const state = isList ? listing.read(parseJson(text)) : undefined
    if (state) return { answered, timedOut, state }
  }
  return { answered, timedOut, state: undefined }
}

function newServer(): Server {
  const never = Number.NEGATIVE_INFINITY
  return { askedAt: never, answeredAt: never, answered: false, state: undefined, running: undefined }
}

/** Targets share an answer only if every part of the request is equal. */
function keyOf({ origin, type, token, connection, listings = [] }: Target): string {
  return JSON.stringify([origin, type.name, token, connection, listings.map(({ path }) => path)])
}
