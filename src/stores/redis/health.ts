import { StoreDataError, StoreDownError, type StoreLog } from '../store.ts'

/** Number of consecutive failures after which further calls fail immediately. */
const failuresToSkip = 3
const skipMs = 1_000
/** Minimum interval between log lines of an intermittent outage, in milliseconds. */
const logPauseMs = 10_000

/**
 * Tracks whether Redis responds, from the result of each call. While it does not, calls fail immediately instead of waiting.
 */
export class RedisHealth {
  readonly #now: () => number
  readonly #log: StoreLog
  readonly #whenDown: string
  #downSince: number | undefined
  #failures = 0
  #skipUntil = Number.NEGATIVE_INFINITY
  #loggedAt = Number.NEGATIVE_INFINITY
  #isLogged = false
  #dataLoggedAt = Number.NEGATIVE_INFINITY

  /** `now`: monotonic milliseconds. `whenDown`: the behaviour while Redis is down, for the log. */
  constructor(now: () => number, log: StoreLog, whenDown: string) {
    this.#now = now
    this.#log = log
    this.#whenDown = whenDown
  }

  get isDown(): boolean {
    return this.#downSince !== undefined
  }

  /** Time since Redis stopped responding, in milliseconds; 0 if it responded to the last call. */
  get downForMs(): number {
    return this.#downSince === undefined ? 0 : this.#now() - this.#downSince
  }

  /**
   * Makes a call, or fails immediately if the last calls have failed. Every failure is a StoreDownError, and a StoreDataError if
   * only this call is affected.
   */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#now() < this.#skipUntil) throw new StoreDownError()
    try {
      const result = await call()
      this.#succeeded()
      return result
    } catch (error) {
      if (isDataError(error)) {
        this.#succeeded()
        this.#logData(error)
        throw new StoreDataError(error)
      }
      this.failed(error)
      if (++this.#failures >= failuresToSkip) this.#skipUntil = this.#now() + skipMs
      throw new StoreDownError(error)
    }
  }

  /** To be called when a connection was established, so that the next call is made. */
  connected(): void {
    this.#skipUntil = Number.NEGATIVE_INFINITY
  }

  failed(error: unknown): void {
    this.#downSince ??= this.#now()
    if (this.#isLogged || this.#now() - this.#loggedAt < logPauseMs) return
    this.#isLogged = true
    this.#loggedAt = this.#now()
    const text = clusterHint(error instanceof Error ? error.message : String(error))
    this.#log.warn({ error: text, redis_down: this.#whenDown }, 'Redis is unavailable')
  }

  #logData({ message }: Error): void {
    if (this.#now() - this.#dataLoggedAt < logPauseMs) return
    this.#dataLoggedAt = this.#now()
    const details = { error: message, redis_down: this.#whenDown }
    this.#log.warn(details, 'a key in Redis has content that is not from llm-router')
  }

  #succeeded(): void {
    this.#failures = 0
    this.#downSince = undefined
    if (this.#isLogged) this.#log.info('Redis is available again')
    this.#isLogged = false
  }
}

/** Whether a script failed at the type or content of a key. Before version 7, Redis reports every error of a script as `ERR`. */
function isDataError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  const { message } = error
  return /^(?:WRONGTYPE|ERR)\b.*user_script/s.test(message) && !serverStates.test(message)
}

/** Errors that any write would get. */
const serverStates = /\b(?:BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|NOPERM|NOREPLICAS|OOM|READONLY)\b/

/** Adds a hint to the error of a cluster node that is configured as a single server. */
function clusterHint(text: string): string {
  return /^(?:MOVED|CROSSSLOT)\b/.test(text)
    ? `${text}; it is a node of a cluster, which LLM_ROUTER_REDIS_URL names as redis+cluster://host`
    : text
}
