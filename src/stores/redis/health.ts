import { StoreDownError } from '../leases/store.ts'

export interface StoreLog {
  info(message: string): void
  warn(details: object, message: string): void
}

/** So many failures in a row, and the next calls do not even try. */
const failuresToSkip = 3
const skipMs = 1_000
/** An outage that comes and goes is told this often at most, in milliseconds. */
const logPauseMs = 10_000

/** Whether Redis answers, learned from each call: spares requests the wait for one that does not. */
export class RedisHealth {
  readonly #now: () => number
  readonly #log: StoreLog
  readonly #whenDown: string
  #downSince: number | undefined
  #failures = 0
  #skipUntil = Number.NEGATIVE_INFINITY
  #loggedAt = Number.NEGATIVE_INFINITY
  #told = false

  /** `now`: monotonic milliseconds. `whenDown`: what then happens, for the log. */
  constructor(now: () => number, log: StoreLog, whenDown: string) {
    this.#now = now
    this.#log = log
    this.#whenDown = whenDown
  }

  /** For how long it has not answered, in milliseconds; 0 when it answered last time. */
  get downForMs(): number {
    return this.#downSince === undefined ? 0 : this.#now() - this.#downSince
  }

  /** Makes a call, unless the last ones failed a moment ago. Any failure is a StoreDownError. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#now() < this.#skipUntil) throw new StoreDownError()
    try {
      const answer = await call()
      this.#answered()
      return answer
    } catch (error) {
      this.failed(error)
      if (++this.#failures >= failuresToSkip) this.#skipUntil = this.#now() + skipMs
      throw new StoreDownError(error)
    }
  }

  /** A new connection: worth a try again. */
  connected(): void {
    this.#skipUntil = Number.NEGATIVE_INFINITY
  }

  failed(error: unknown): void {
    this.#downSince ??= this.#now()
    if (this.#told || this.#now() - this.#loggedAt < logPauseMs) return
    this.#told = true
    this.#loggedAt = this.#now()
    const text = error instanceof Error ? error.message : String(error)
    this.#log.warn({ error: text, redis_down: this.#whenDown }, 'Redis does not answer')
  }

  #answered(): void {
    this.#failures = 0
    this.#downSince = undefined
    if (this.#told) this.#log.info('Redis answers again')
    this.#told = false
  }
}
