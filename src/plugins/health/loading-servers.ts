import type { Loading, WaitingRequest } from '../../relay/attempt/loading-wait.ts'
import type { Target } from '../../sdk/target.ts'
import type { TargetStates } from './target-states.ts'

export interface LoadingOptions {
  states: TargetStates
  /** How long one request waits at most, in milliseconds. */
  timeoutMs: number
  /** Monotonic milliseconds. */
  now(): number
  /** 0 (included) to 1 (excluded). */
  random(): number
  /** Whether requests of its model still go to a target. */
  isPresent(target: Target): boolean
  /** Whether another target of its model, for which this is true, can be used. */
  hasAlternative(target: Target, isElse: (other: Target) => boolean): boolean
}

type Outcome = 'ready' | 'elsewhere' | 'timeout' | 'stopped'

/** A server that said that it loads is asked again after this, in milliseconds, where no health check says more. */
const holdMs = 1_000
/** Requests that waited for the same server do not all ask it in the same moment. */
const spreadMs = 500
/** A pause of another target ends by time alone: nobody tells. */
const revisitMs = 500

/** Servers that load their models: requests wait for them where no other target can be used. */
export class LoadingServers implements Loading {
  readonly #options: LoadingOptions
  readonly #holds = new Map<Target, NodeJS.Timeout>()
  readonly #deadlines = new WeakMap<object, number>()
  readonly #waiting = new Set<() => void>()

  constructor(options: LoadingOptions) {
    this.#options = options
    options.states.onChange(() => this.look())
  }

  /** Something that requests may wait for has changed. */
  look(): void {
    for (const look of [...this.#waiting]) look()
  }

  isLoading(target: Target): boolean {
    return this.#options.states.of(target) === 'loading'
  }

  says(target: Target): void {
    clearTimeout(this.#holds.get(target))
    const end = (): void => {
      this.#holds.delete(target)
      this.#options.states.hold(target, false)
    }
    this.#holds.set(target, setTimeout(end, holdMs).unref())
    this.#options.states.hold(target, true)
  }

  async wait(target: Target, { request, stop, isElse, hasFallback }: WaitingRequest): Promise<Outcome> {
    const outcome = await this.#until(this.#deadlineOf(request), stop, () => {
      // A target that a reload removed or described anew is not waited for.
      if (!this.#options.isPresent(target)) return 'elsewhere'
      if (this.#options.hasAlternative(target, isElse)) return 'elsewhere'
      if (!this.isLoading(target)) return 'ready'
      return hasFallback ? 'elsewhere' : undefined
    })
    if (outcome !== 'ready' || this.#waiting.size === 0) return outcome
    const spread = this.#options.now() + this.#options.random() * spreadMs
    const after = await this.#until(spread, stop, () => undefined)
    return after === 'stopped' ? after : 'ready'
  }

  /** Nobody waits any more. */
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

  /** Looks at each change of any server's state. */
  #until(
    deadline: number,
    stop: WaitingRequest['stop'],
    outcomeNow: () => Outcome | undefined,
  ): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const end = (outcome: Outcome): void => {
      clearTimeout(timer)
      clearInterval(revisit)
      this.#waiting.delete(look)
      stop.removeEventListener('abort', onAbort)
      resolve(outcome)
    }
    const onAbort = (): void => end('stopped')
    const look = (): void => {
      const outcome = outcomeNow()
      if (outcome) end(outcome)
    }
    const timer = setTimeout(() => end('timeout'), Math.max(0, deadline - this.#options.now()))
    const revisit = setInterval(() => look(), revisitMs)
    this.#waiting.add(look)
    stop.addEventListener('abort', onAbort, { once: true })
    if (stop.aborted) onAbort()
    else look()
    return promise
  }
}
