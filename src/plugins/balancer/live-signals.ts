import { movingAverage } from '../../lib/numbers.ts'
import type { EngineSignals } from '../../sdk/engine-signals.ts'
import type { Outcome, TargetSignals } from '../../sdk/strategy.ts'
import type { Target } from '../../sdk/target.ts'

/** After this many consecutive failures, the next success counts as a recovery. */
const failuresBeforeReturn = 3

/** Signals of one target, updated by the leases on it. */
export class LiveSignals implements TargetSignals {
  /** Replaced when a reload changes the target's configuration. */
  target: Target
  weight: number | undefined
  uses = 0
  inFlight = 0
  firstContentMs: number | undefined
  perTokenMs: number | undefined
  failureRate = 0
  returnedAt: number
  #engine: EngineSignals | undefined
  /** Concurrency of its engine, as last reported. */
  reportedSlots: number | undefined
  /** Moving average of the time that the engine took to load the model, in ms; undefined before the first. */
  loadMs: number | undefined
  /** Whether the target has answered since the last poll of its engine, so that the model is loaded. */
  hasAnswered = false
  #failuresInRow = 0

  /** `now`: monotonic milliseconds, as in `StrategyContext`. */
  constructor(target: Target, now: number) {
    this.target = target
    this.returnedAt = now
  }

  get engine(): EngineSignals | undefined {
    return this.#engine
  }

  set engine(engine: EngineSignals | undefined) {
    this.#engine = engine
    // An engine that misses one poll keeps its number of slots.
    this.reportedSlots = engine?.slots ?? engine?.maxRunning ?? this.reportedSlots
  }

  /** Discards the measurements. */
  reset(): void {
    this.firstContentMs = undefined
    this.perTokenMs = undefined
    this.loadMs = undefined
    this.failureRate = 0
    this.#failuresInRow = 0
  }

  countPicked(): void {
    this.uses++
    this.inFlight++
  }

  /** The target turned out to have no slot for the request. */
  uncountPicked(): void {
    this.uses--
    this.inFlight--
  }

  /** `tokens`: length of the response, if known. `wasCold`: the engine had to load the model for it. */
  settled(
    { result, durationMs, firstContentMs }: Outcome,
    now: number,
    { tokens, wasCold = false }: { tokens?: number | undefined; wasCold?: boolean } = {},
  ): void {
    this.inFlight--
    if (result === 'cancelled') return
    this.failureRate = movingAverage(this.failureRate, result === 'failure' ? 1 : 0)
    if (result === 'failure') {
      this.#failuresInRow++
      return
    }
    if (this.#failuresInRow >= failuresBeforeReturn) this.returnedAt = now
    this.#failuresInRow = 0
    // Without a recorded first content, the response arrived as a whole.
    const first = firstContentMs ?? durationMs
    this.hasAnswered = true
    if (wasCold) this.loadMs = movingAverage(this.loadMs, Math.max(0, first - (this.firstContentMs ?? 0)))
    else this.firstContentMs = movingAverage(this.firstContentMs, first)
    if (tokens !== undefined && tokens > 1 && firstContentMs !== undefined)
      this.perTokenMs = movingAverage(this.perTokenMs, Math.max(0, durationMs - first) / (tokens - 1))
  }
}

/** Targets of equal health that a strategy can choose from. */
export interface Group {
  readonly signals: readonly LiveSignals[]
  readonly isStandby: boolean
}
