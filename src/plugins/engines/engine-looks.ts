import { version } from '../../lib/version.ts'
import type { EngineState } from '../../sdk/engine-listings.ts'
import type { Target } from '../../sdk/target.ts'
import type { Transport } from '../../sdk/transport.ts'
import { lookAtEngine } from './engine-look.ts'

export interface EngineLooksOptions {
  transportOf(target: Target): Transport
  /** Between two looks at servers that have not answered yet, in milliseconds. */
  intervalMs: number
  /** Monotonic milliseconds. */
  now(): number
}

/** What is known of a server. */
export interface Look {
  readonly answered: boolean
  readonly state: EngineState | undefined
}

interface Server extends Look {
  /** When it was asked last, and when it said something last; on the clock of the options. */
  askedAt: number
  saidAt: number
  answered: boolean
  state: EngineState | undefined
  running: Promise<void> | undefined
}

const timeoutMs = 2_000
/** How long what a server said is good for without anybody asking, in milliseconds. */
const engineAgeMs = 60_000
/** The same for servers that say nothing of interest, such as a provider's in the cloud. */
const plainAgeMs = 600_000
/** What a silent server said before is forgotten after this, in milliseconds. */
const forgetMs = 30_000
/** From the start, which has other things to do, to the first look, in milliseconds. */
const firstMs = 2_000
/** Servers that are asked at the same time. */
const maxAtOnce = 32

/** The lists of models of the servers behind the targets, each server asked once whatever number of targets it has. */
export class EngineLooks {
  readonly #options: EngineLooksOptions
  readonly #servers = new Map<string, Server>()
  readonly #byTarget = new WeakMap<Target, Server>()
  #timer: NodeJS.Timeout | undefined
  #running = 0
  readonly #queue: (() => void)[] = []

  constructor(options: EngineLooksOptions) {
    this.#options = options
  }

  /** What is known of a target's server; undefined for a type whose servers have no list. */
  lookAt(target: Target): Look | undefined {
    return target.listings ? this.#serverOf(target) : undefined
  }

  stateOf(target: Target): EngineState | undefined {
    return this.lookAt(target)?.state
  }

  /** Looks at these servers, and no others, from now on. */
  watch(targets: readonly Target[]): void {
    this.stop()
    const kept = new Set(targets.map(keyOf))
    for (const key of this.#servers.keys()) if (!kept.has(key)) this.#servers.delete(key)
    const { intervalMs } = this.#options
    const look = (): void => {
      for (const target of targets) if (target.listings && this.#isDue(target)) void this.#look(target)
      this.#timer = setTimeout(look, intervalMs).unref()
    }
    this.#timer = setTimeout(look, firstMs).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  /**
   * Asks the servers whose lists are older than `maxAgeMs`. Fulfilled when they have answered, or after `waitMs`; at once
   * with `onlyNew` where something is known of each.
   */
  async refresh(
    targets: readonly Target[],
    { maxAgeMs, waitMs, onlyNew = false }: { maxAgeMs: number; waitMs: number; onlyNew?: boolean },
  ): Promise<void> {
    const now = this.#options.now()
    const looks: Promise<void>[] = []
    for (const target of targets) {
      if (!target.listings) continue
      const server = this.#serverOf(target)
      const isNew = server.askedAt === Number.NEGATIVE_INFINITY
      const look = now - server.askedAt > maxAgeMs ? this.#look(target) : server.running
      if (look && (isNew || !onlyNew)) looks.push(look)
    }
    if (looks.length === 0) return
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, waitMs)
    await Promise.race([Promise.all(looks), late])
    clearTimeout(timer)
  }

  #isDue(target: Target): boolean {
    const { askedAt, answered, state } = this.#serverOf(target)
    const age = this.#options.now() - askedAt
    if (!answered) return true
    const tells = state?.isLlamaCpp || state?.models.some(({ context }) => context !== undefined)
    return age > (tells || target.type.loadsModels ? engineAgeMs : plainAgeMs)
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

  #look(target: Target): Promise<void> {
    const server = this.#serverOf(target)
    server.running ??= this.#ask(target, server)
    return server.running
  }

  async #ask(target: Target, server: Server): Promise<void> {
    if (this.#running >= maxAtOnce) await new Promise<void>((resolve) => this.#queue.push(resolve))
    this.#running++
    const { transportOf, now } = this.#options
    const transport = transportOf(target)
    const found = await lookAtEngine(target, { transport, timeoutMs, userAgent: `llm-router/${version}` })
    this.#running--
    this.#queue.shift()?.()
    server.running = undefined
    server.askedAt = now()
    // What it said before stays for a moment where it is only too busy to say it again.
    if (found.timedOut && now() - server.saidAt < forgetMs) return
    server.state = found.state
    server.answered = found.answered
    if (found.answered) server.saidAt = now()
  }
}

function newServer(): Server {
  const never = Number.NEGATIVE_INFINITY
  return { askedAt: never, saidAt: never, answered: false, state: undefined, running: undefined }
}

/** What differs in any part of the question may differ in its answer. */
function keyOf({ origin, type, token, listings = [] }: Target): string {
  return JSON.stringify([origin, type.name, token, listings.map(({ path }) => path)])
}
