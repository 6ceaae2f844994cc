import type { Loading, WaitingRequest } from '../../relay/attempt/loading-wait.ts'
import type { Target } from '../../sdk/target.ts'
import type { TargetStates } from './target-states.ts'

export interface LoadingOptions {
  states: TargetStates
  /** Maximum wait of one request, in milliseconds. */
  timeoutMs: number
  /** Monotonic milliseconds. */
  now(): number
  /** 0 (inclusive) to 1 (exclusive). */
  random(): number
  /** Whether the target is still configured for its model. */
  isPresent(target: Target): boolean
  /** Whether the model has another usable target for which `isAlternative` is true. */
  hasAlternative(target: Target, isAlternative: (other: Target) => boolean): boolean
}

type Outcome = 'ready' | 'elsewhere' | 'timeout' | 'stopped'

/**
 * How long a server counts as loading after it said so in a response, in milliseconds, unless a health check says more.
 */
const holdMs = 1_000
/** Spreads the requests that waited for the same server, so that they do not all reach it at once; in milliseconds. */
const spreadMs = 500
/** The end of another target's cooldown emits no event, so it is polled at this interval in milliseconds. */
const revisitMs = 500

/** Servers that load their models. Requests wait for them if no other target is usable. */
export class LoadingServers implements Loading {
  readonly #options: LoadingOptions
  readonly #holds = new Map<Target, NodeJS.Timeout>()
  readonly #deadlines = new WeakMap<object, number>()
  readonly #waiting = new Set<() => void>()

  constructor(options: LoadingOptions) {
    this.#options = options
    options.states.onChange(() => this.reevaluate())
  }

  /** Re-evaluates all waits; call when something changed that requests may wait for. */
  reevaluate(): void {
    for (const reevaluate of [...this.#waiting]) reevaluate()
  }

  isLoading(target: Target): boolean {
    return this.#options.states.of(target) === 'loading'
  }

  noteLoading(target: Target): void {
    clearTimeout(this.#holds.get(target))
    const end = (): void => {
      this.#holds.delete(target)
      this.#options.states.setReportedLoading(target, false)
    }
    this.#holds.set(target, setTimeout(end, holdMs).unref())
    this.#options.states.setReportedLoading(target, true)
  }

  async wait(
    target: Target,
    { request, stop, isAlternative, hasFallback }: WaitingRequest,
  ): Promise<Outcome> {
    const outcome = await this.#until(this.#deadlineOf(request), stop, () => {
      // Does not wait for a target that a reload has removed or reconfigured.
      if (!this.#options.isPresent(target)) return 'elsewhere'
      if (this.#options.hasAlternative(target, isAlternative)) return 'elsewhere'
      if (!this.isLoading(target)) return 'ready'
      return hasFallback ? 'elsewhere' : undefined
    })
    if (outcome !== 'ready' || this.#waiting.size === 0) return outcome
    const spread = this.#options.now() + this.#options.random() * spreadMs
    const after = await this.#until(spread, stop, () => undefined)
    return after === 'stopped' ? after : 'ready'
  }

  /** Call when no more requests will wait. */
  stop(): void {
    for (const timer of this.#holds.values()) clearTimeout(timer)
  }

  #deadlineOf(request: object): number {
    const known = this.#deadlines.get(request)
    if (known !== undefined) return known
    const deadline = this.#options.now() + this.#options.timeoutMs
    this.#deadlines.set(request, deadline)
    return deadline
  }

  /** Re-evaluates at every change of any server's state, until the deadline. */
  #until(
    deadline: number,
    stop: WaitingRequest['stop'],
    outcomeNow: () => Outcome | undefined,
  ): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const end = (outcome: Outcome): void => {
      clearTimeout(timer)
      clearInterval(revisit)
      this.#waiting.delete(reevaluate)
      stop.removeEventListener('abort', onAbort)
      resolve(outcome)
    }
    const onAbort = (): void => end('stopped')
    const reevaluate = (): void => {
      const outcome = outcomeNow()
      if (outcome) end(outcome)
    }
    const timer = setTimeout(() => end('timeout'), Math.max(0, deadline - this.#options.now()))
    const revisit = setInterval(() => reevaluate(), revisitMs)
    this.#waiting.add(reevaluate)
    stop.addEventListener('abort', onAbort, { once: true })
    if (stop.aborted) onAbort()
    else reevaluate()
    return promise
  }
}
