import { vllm } from '../../src/providers/vllm.ts'
import type { RoutingRequest, TargetSignals } from '../../src/sdk/strategy.ts'
import type { Target } from '../../src/sdk/target.ts'
import type { Timeline } from './timeline.ts'

export interface SimulatedServerPlan {
  /** 1 is normal; 0.5 takes twice the time. */
  speed?: number
  /** As in the configuration; 1 if absent. */
  weight?: number
  /** Answers every request with an error, after `failureMs`. */
  fails?: boolean
  /** Unavailable until this time. */
  returnsAtMs?: number
  /** How long it is three times slower after it came back, because its caches are cold. */
  coldMs?: number
}

/** Milliseconds of one request at speed 1. */
export interface Work {
  firstContentMs: number
  tokensMs: number
  tokens: number
}

export const failureMs = 500
const coldSlowdown = 3
/** The weight of the latest observation in a moving average. */
const newest = 0.2

/** One simulated engine: processes some requests concurrently, queues the others, and keeps the balancer's state. */
export class SimulatedServer implements TargetSignals {
  readonly target: Target
  readonly plan: SimulatedServerPlan
  readonly #timeline: Timeline
  readonly #slots: number
  readonly #waiting: (() => void)[] = []
  #working = 0
  uses = 0
  inFlight = 0
  firstContentMs: number | undefined
  perTokenMs: number | undefined
  failureRate = 0
  readonly returnedAt: number

  constructor(name: string, plan: SimulatedServerPlan, timeline: Timeline, slots: number) {
    this.target = simulatedTarget(name, plan.weight ?? 1)
    this.plan = plan
    this.#timeline = timeline
    this.#slots = slots
    this.returnedAt = plan.returnsAtMs ?? 0
  }

  isUp(): boolean {
    return this.#timeline.now() >= this.returnedAt
  }

  /** Processes a request; `done` is called with the time of its first content, or with undefined if it failed. */
  serve(work: Work, done: (firstContentMs: number | undefined) => void): void {
    const takenAt = this.#timeline.now()
    this.uses++
    this.inFlight++
    if (this.plan.fails) {
      this.#timeline.after(failureMs, () => this.#settle(undefined, undefined, done))
      return
    }
    const start = (): void => {
      this.#working++
      const slowness = this.#slowness()
      const firstContentMs = this.#timeline.now() - takenAt + work.firstContentMs * slowness
      this.#timeline.after((work.firstContentMs + work.tokensMs) * slowness, () => {
        this.#working--
        this.#waiting.shift()?.()
        this.#settle(firstContentMs, (work.tokensMs * slowness) / work.tokens, done)
      })
    }
    if (this.#working < this.#slots) start()
    else this.#waiting.push(start)
  }

  #slowness(): number {
    const { speed = 1, coldMs = 0 } = this.plan
    const isCold = this.#timeline.now() - this.returnedAt < coldMs
    return (isCold ? coldSlowdown : 1) / speed
  }

  #settle(
    firstContentMs: number | undefined,
    perTokenMs: number | undefined,
    done: (firstContentMs: number | undefined) => void,
  ): void {
    this.inFlight--
    this.firstContentMs = averaged(this.firstContentMs, firstContentMs)
    this.perTokenMs = averaged(this.perTokenMs, perTokenMs)
    this.failureRate += ((firstContentMs === undefined ? 1 : 0) - this.failureRate) * newest
    done(firstContentMs)
  }
}

function averaged(average: number | undefined, latest: number | undefined): number | undefined {
  if (average === undefined || latest === undefined) return latest ?? average
  return average + (latest - average) * newest
}

/** A target without a server. */
export function simulatedTarget(id: string, weight: number): Target {
  return {
    id,
    model: 'simulated',
    type: vllm,
    upstreamModel: 'simulated',
    origin: '',
    paths: {},
    token: undefined,
    weight,
    inputSize: 0,
    toolCalling: true,
    dropParams: [],
    defaults: {},
    streamUsage: true,
    mock: {},
  }
}

/** A request of which no properties are known. */
export function plainRequest(known: Partial<RoutingRequest> = {}): RoutingRequest {
  const nothing = { session: undefined, group: undefined, prefixKeys: [], promptTokens: 0 }
  return { ...nothing, client: 'client', priority: 'normal', ...known }
}
