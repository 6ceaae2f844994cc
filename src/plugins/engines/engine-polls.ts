import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { EnginePoll } from '../../fleet/signals/engine-poll.ts'
import { version } from '../../lib/version.ts'
import { askEngine } from '../../relay/upstream/ask-engine.ts'
import { isSuccess } from '../../relay/upstream/upstream-answer.ts'
import type { EngineKind, EngineSignals } from '../../sdk/engine-signals.ts'
import type { Target } from '../../sdk/target.ts'
import type { Transport } from '../../sdk/transport.ts'
import type { FleetBus, FleetMessage } from '../../stores/fleet/store.ts'

export interface EnginePollsOptions {
  transportOf(target: Target): Transport
  /** Undefined if the target's server is not polled. */
  kindOf(target: Target): EngineKind | undefined
  /** Interval between polls of a server if no other router polls for this one, in milliseconds. */
  intervalMs: number
  /** How long an engine may take to wake up, in milliseconds. */
  wakeTimeoutMs: number
  /** Opens the connection to other routers, once this process polls. Undefined if there are none. */
  openFleetBus(): Promise<FleetBus | undefined>
  /** Forwards results of polls, by this or another router, to all processes of this router. */
  broadcast(message: FleetMessage, router: string): void
  /** Called with every change of the known state of the server behind these targets. */
  onSignals(targets: readonly Target[], signals: EngineSignals | undefined): void
  /** Monotonic milliseconds. */
  now(): number
  /** 0 (inclusive) to 1 (exclusive). */
  random(): number
}

/** Minimum interval between polls of a server, in milliseconds: see `engineQuestions`. */
export const minPauseMs = 2_000
/**
 * Delay of the first polls, in milliseconds: they do not compete with startup, and the polling router has been elected by then.
 */
const firstMs = 2_000
/** Jitter as a share of the interval, so that polls of routers and servers are not synchronized. */
const jitter = 0.2
/** Without news from the polling router for this long, each router polls itself, in milliseconds. */
const silenceMs = 10_000
const timeoutMs = 2_000
/** Delay before another attempt to wake an engine that did not wake up, in milliseconds. */
const wakeAgainMs = 5_000
const userAgent = `llm-router/${version}`

interface Engine {
  readonly key: string
  readonly targets: Set<Target>
  readonly poll: EnginePoll
  signals: EngineSignals | undefined
  /** Monotonic milliseconds. */
  updatedAt: number
  polledAt: number
  waking: Promise<readonly Target[]> | undefined
  /** On the same clock: after a failure. */
  wakeNotBefore: number
  timer: NodeJS.Timeout | undefined
}

/**
 * Polls the engines behind the targets. Only the leader process of a router polls, and with Redis only one router; all others
 * receive its results.
 */
export class EnginePolls {
  readonly #options: EnginePollsOptions
  readonly #engines = new Map<string, Engine>()
  readonly #engineOf = new WeakMap<Target, Engine>()
  #targets: ReadonlySet<Target> = new Set()
  #bus: FleetBus | undefined
  #isLeader = false
  readonly #stopping = new AbortController()
  #sweep: NodeJS.Timeout | undefined

  constructor(options: EnginePollsOptions) {
    this.#options = options
  }

  /** Undefined if nothing is known. */
  signalsOf(target: Target): EngineSignals | undefined {
    return this.#engineOf.get(target)?.signals
  }

  /** The other routers, while this process polls. */
  get bus(): FleetBus | undefined {
    return this.#bus
  }

  /** Replaces the set of targets. */
  setTargets(targets: readonly Target[]): void {
    const current = new Set(targets)
    this.#targets = current
    for (const target of current) this.#add(target)
    for (const engine of [...this.#engines.values()]) {
      for (const target of engine.targets) {
        if (current.has(target)) continue
        engine.targets.delete(target)
        this.#engineOf.delete(target)
      }
      if (engine.targets.size > 0) continue
      clearTimeout(engine.timer)
      this.#engines.delete(engine.key)
    }
    this.#sweep ??= setInterval(() => this.#review(), minPauseMs).unref()
  }

  setLeader(isLeader: boolean): void {
    if (this.#isLeader === isLeader || this.#stopping.signal.aborted) return
    this.#isLeader = isLeader
    if (isLeader) void this.#begin()
    else this.#end()
  }

  update(key: string, signals: EngineSignals | null): void {
    const engine = this.#engines.get(key)
    if (!engine) return
    engine.updatedAt = this.#options.now()
    this.#set(engine, signals ?? undefined)
  }

  /** Identifies the target's engine to the polling process; undefined if it is not polled. */
  keyOf(target: Target): string | undefined {
    return this.#engineOf.get(target)?.key
  }

  /**
   * Wakes an engine; concurrent calls share one request. Resolves to its targets, or to none if it was not woken. vLLM, "Sleep
   * Mode": `/wake_up` responds when the weights are loaded.
   */
  wake(key: string): Promise<readonly Target[]> {
    const engine = this.#engines.get(key)
    if (!engine || this.#options.now() < engine.wakeNotBefore) return Promise.resolve([])
    engine.waking ??= this.#wake(engine).finally(() => {
      engine.waking = undefined
    })
    return engine.waking
  }

  async #wake(engine: Engine): Promise<readonly Target[]> {
    const [target] = engine.targets
    if (!target || engine.signals?.sleep !== 'weights_offloaded') return []
    const { transportOf, now, wakeTimeoutMs } = this.#options
    const { signal } = this.#stopping
    const options = { timeoutMs: wakeTimeoutMs, signal, userAgent, transport: transportOf(target) }
    const path = `${target.rootPath ?? ''}/wake_up`
    const { status } = await askEngine(target, { path, body: {} }, options)
    if (status === undefined || !isSuccess(status)) {
      engine.wakeNotBefore = now() + wakeAgainMs
      return []
    }
    await this.#poll(engine)
    return [...engine.targets]
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#isLeader = false
    clearInterval(this.#sweep)
    for (const { timer } of this.#engines.values()) clearTimeout(timer)
    await this.#bus?.close()
  }

  async #begin(): Promise<void> {
    const now = this.#options.now()
    for (const engine of this.#engines.values()) engine.updatedAt = Math.max(engine.updatedAt, now)
    const bus = await this.#options.openFleetBus()
    if (!this.#isLeader) {
      await bus?.close()
      return
    }
    this.#bus = bus
    bus?.onMessage((message, router) => {
      if (message.type !== 'signals' || this.#engines.has(message.server))
        this.#options.broadcast(message, router)
    })
    for (const engine of this.#engines.values()) this.#schedule(engine, firstMs)
  }

  #end(): void {
    for (const engine of this.#engines.values()) clearTimeout(engine.timer)
    const bus = this.#bus
    this.#bus = undefined
    void bus?.close()
  }

  #add(target: Target): void {
    const kind = this.#options.kindOf(target)
    if (!kind) return
    const key = engineKey(target, kind)
    const known = this.#engines.get(key)
    const engine = known ?? {
      key,
      targets: new Set<Target>(),
      signals: undefined,
      timer: undefined,
      poll: new EnginePoll(this.#options.now),
      updatedAt: this.#options.now(),
      polledAt: Number.NEGATIVE_INFINITY,
      waking: undefined,
      wakeNotBefore: Number.NEGATIVE_INFINITY,
    }
    this.#engines.set(key, engine)
    if (engine.targets.has(target)) return
    engine.targets.add(target)
    this.#engineOf.set(target, engine)
    if (engine.signals) this.#options.onSignals([target], engine.signals)
    if (!known && this.#isLeader) this.#schedule(engine, 0)
  }

  #schedule(engine: Engine, pauseMs: number): void {
    clearTimeout(engine.timer)
    const delayMs = pauseMs * (1 + jitter * this.#options.random())
    engine.timer = setTimeout(() => void this.#pollIfDue(engine), delayMs).unref()
  }

  async #pollIfDue(engine: Engine): Promise<void> {
    if (this.#isDue(engine)) await this.#poll(engine)
    if (this.#isLeader && this.#engines.has(engine.key)) this.#schedule(engine, minPauseMs)
  }

  #isDue({ updatedAt: heardAt, polledAt }: Engine): boolean {
    const now = this.#options.now()
    switch (this.#bus?.role ?? 'alone') {
      case 'leader':
        return true
      case 'follower':
        // The leader does not know the server, or hangs.
        return now - heardAt >= silenceMs
      case 'alone':
        return now - polledAt >= this.#options.intervalMs
    }
  }

  async #poll(engine: Engine): Promise<void> {
    const { transportOf, kindOf, broadcast } = this.#options
    const [target] = engine.targets
    const kind = target && kindOf(target)
    if (!target || !kind) return
    const { signal } = this.#stopping
    const options = { transport: transportOf(target), timeoutMs, userAgent, signal }
    const signals = (await engine.poll.run(target, kind, options)) ?? null
    engine.polledAt = this.#options.now()
    if (this.#stopping.signal.aborted) return
    const message = { type: 'signals', server: engine.key, signals } as const
    broadcast(message, '')
    if (this.#bus?.role === 'leader') this.#bus.publish(message)
  }

  /** Expires state that is not refreshed; also, the kind of a server's engine may become known only now. */
  #review(): void {
    for (const target of this.#targets) if (!this.#engineOf.has(target)) this.#add(target)
    const { now, intervalMs } = this.#options
    const tooOld = now() - Math.max(silenceMs, 3 * intervalMs)
    for (const engine of this.#engines.values())
      if (engine.signals && engine.updatedAt < tooOld) this.#set(engine, undefined)
  }

  #set(engine: Engine, signals: EngineSignals | undefined): void {
    if (!signals && !engine.signals) return
    engine.signals = signals
    this.#options.onSignals([...engine.targets], signals)
  }
}

/** Identifies a server, equally in every router with this configuration. A digest, because it includes a key. */
function engineKey({ origin, rootPath, type, token, connection }: Target, kind: EngineKind): string {
  // The same loopback address is another server on each host.
  const host = isLoopback(origin) ? hostname() : ''
  return createHash('sha256')
    .update(JSON.stringify([host, origin, rootPath, kind, type.authHeaders(token), connection]))
    .digest('base64url')
}

function isLoopback(origin: string): boolean {
  const name = URL.parse(origin)?.hostname ?? ''
  return name === 'localhost' || name.startsWith('127.') || name === '[::1]'
}
