export interface BreakerSettings {
  /** Consecutive failures that open the breaker. */
  failuresInRow: number
  connectFailuresInRow: number
  slowInRow: number
  /** Share of failures within the window that opens it, with at least `windowMinimum` attempts. */
  failureShare: number
  windowMs: number
  windowMinimum: number
  /** Initial open time; doubles with each opening up to the maximum. */
  openMs: number
  maxOpenMs: number
  /** Maximum open time after failed connections: a connection attempt is cheap, and a server may return at any time. */
  maxUnreachableMs: number
  /** Without an opening for this long, the open time starts from the initial one again. */
  forgetMs: number
  successesToClose: number
}

/** See docs/reliability.md for the rationale of these values. */
export const breakerDefaults: BreakerSettings = {
  failuresInRow: 5,
  connectFailuresInRow: 2,
  slowInRow: 3,
  failureShare: 0.5,
  windowMs: 30_000,
  windowMinimum: 10,
  openMs: 5_000,
  maxOpenMs: 300_000,
  maxUnreachableMs: 30_000,
  forgetMs: 600_000,
  successesToClose: 2,
}

export type BreakerState = 'closed' | 'open' | 'half_open'
/** `connect`: the target was unreachable. `slow`: no first content in time. */
export type BreakerFailure = 'failure' | 'slow' | 'connect'

/** Issued when an attempt begins and returned when it ends. */
export interface Ticket {
  readonly generation: number
  readonly probe: boolean
}

interface Environment {
  /** Monotonic milliseconds. */
  now(): number
  /** 0 (inclusive) to 1 (exclusive). */
  random(): number
  /** Called when the breaker opens and when it closes. */
  onChange?(breaker: Breaker): void
}

/** Circuit breaker of one target: ejects it after repeated failures and readmits it through probes. */
export class Breaker {
  readonly #environment: Environment
  readonly #settings: BreakerSettings
  #state: BreakerState = 'closed'
  /** Incremented with every state change: results of attempts that began earlier are ignored. */
  #generation = 0
  #inRow = { failure: 0, connect: 0, slow: 0, success: 0 }
  readonly #window = new RecentAttempts()
  #openings = 0
  #openedAt = Number.NEGATIVE_INFINITY
  #openUntil = 0
  #openedBy: BreakerFailure = 'failure'
  #probing = false

  constructor(environment: Environment, settings: BreakerSettings = breakerDefaults) {
    this.#environment = environment
    this.#settings = settings
  }

  get state(): BreakerState {
    if (this.#state === 'open' && this.#environment.now() >= this.#openUntil) return 'half_open'
    return this.#state
  }

  /** The kind of failure that last opened the breaker. */
  get openedBy(): BreakerFailure {
    return this.#openedBy
  }

  /** Whether an attempt may begin now. */
  get available(): boolean {
    if (this.#state === 'closed') return true
    return this.state === 'half_open' && !this.#probing
  }

  /** Milliseconds until an attempt may begin; 0 if it may now. */
  get waitMs(): number {
    return this.#state === 'open' ? Math.max(0, this.#openUntil - this.#environment.now()) : 0
  }

  /** Whether the breaker is closed without recent failures. */
  get isIdle(): boolean {
    const since = this.#environment.now() - this.#settings.windowMs
    return this.#state === 'closed' && this.#inRow.failure === 0 && this.#window.since(since).failures === 0
  }

  /** For an attempt that began before this breaker existed. */
  ticket(): Ticket {
    return { generation: this.#generation, probe: false }
  }

  begin(): Ticket {
    if (this.state === 'half_open') {
      if (this.#state === 'open') this.#become('half_open')
      if (!this.#probing) {
        this.#probing = true
        return { generation: this.#generation, probe: true }
      }
    }
    return { generation: this.#generation, probe: false }
  }

  /** `undefined`: the attempt says nothing about the target, or not yet. */
  end(ticket: Ticket, result: 'success' | 'connect' | undefined): void {
    if (ticket.generation !== this.#generation) return
    if (ticket.probe) this.#probing = false
    if (result === 'success') this.#succeeded()
    else if (result === 'connect') this.#failed('connect')
  }

  /** Counts a finished attempt as a failure after the fact. */
  fail(ticket: Ticket, kind: 'failure' | 'slow'): void {
    if (ticket.generation === this.#generation) this.#failed(kind)
  }

  /** The server accepts connections again: a breaker opened by failed connections may probe immediately. */
  onReachable(): void {
    if (this.#state === 'open' && this.#openedBy === 'connect') this.#openUntil = this.#environment.now()
  }

  /** Closes it and resets all counts. */
  reset(): void {
    this.#openings = 0
    this.#openedAt = Number.NEGATIVE_INFINITY
    if (this.#state === 'closed') {
      this.#inRow = { failure: 0, connect: 0, slow: 0, success: 0 }
      this.#window.clear()
    } else this.#become('closed')
  }

  #succeeded(): void {
    const row = this.#inRow
    row.failure = 0
    row.connect = 0
    row.slow = 0
    row.success++
    this.#window.add(this.#environment.now(), false)
    // The target was used while open because every target of its model was. The success counts as that of a probe.
    if (this.#state === 'open') {
      this.#become('half_open')
      row.success = 1
    }
    if (this.#state === 'half_open' && row.success >= this.#settings.successesToClose) this.#become('closed')
  }

  #failed(kind: BreakerFailure): void {
    const { failuresInRow, connectFailuresInRow, slowInRow } = this.#settings
    const row = this.#inRow
    row.success = 0
    row.failure++
    row.connect = kind === 'connect' ? row.connect + 1 : 0
    row.slow = kind === 'slow' ? row.slow + 1 : 0
    this.#window.add(this.#environment.now(), true)
    const enough =
      this.#state === 'half_open' ||
      row.failure >= failuresInRow ||
      row.connect >= connectFailuresInRow ||
      row.slow >= slowInRow ||
      this.#shareExceeded()
    if (enough && this.#state !== 'open') this.#open(kind)
  }

  #shareExceeded(): boolean {
    const { windowMs, windowMinimum, failureShare } = this.#settings
    const { attempts, failures } = this.#window.since(this.#environment.now() - windowMs)
    return attempts >= windowMinimum && failures / attempts >= failureShare
  }

  #open(kind: BreakerFailure): void {
    const { openMs, maxOpenMs, maxUnreachableMs, forgetMs } = this.#settings
    const now = this.#environment.now()
    if (now - this.#openedAt > forgetMs) this.#openings = 0
    const jitter = 0.8 + 0.4 * this.#environment.random()
    const longest = kind === 'connect' ? maxUnreachableMs : maxOpenMs
    this.#openUntil = now + Math.min(longest, openMs * 2 ** this.#openings) * jitter
    this.#openings++
    this.#openedAt = now
    this.#openedBy = kind
    this.#become('open')
  }

  #become(state: BreakerState): void {
    this.#state = state
    this.#generation++
    this.#probing = false
    this.#inRow.success = 0
    if (state === 'closed') {
      this.#inRow = { failure: 0, connect: 0, slow: 0, success: 0 }
      this.#window.clear()
    }
    if (state !== 'half_open') this.#environment.onChange?.(this)
  }
}

/** The last hundred attempts are sufficient for a busy target. */
const maxAttempts = 100

/** End times and results of the most recent attempts at a target. */
export class RecentAttempts {
  readonly #at = new Float64Array(maxAttempts)
  readonly #failed = new Uint8Array(maxAttempts)
  #added = 0

  /** `at`: monotonic milliseconds, never decreasing. */
  add(at: number, failed: boolean): void {
    const slot = this.#added++ % maxAttempts
    this.#at[slot] = at
    this.#failed[slot] = failed ? 1 : 0
  }

  /** Counts the attempts that ended at or after `at`. */
  since(at: number): { attempts: number; failures: number } {
    let attempts = 0
    let failures = 0
    for (let slot = 0; slot < Math.min(maxAttempts, this.#added); slot++) {
      if ((this.#at[slot] ?? 0) < at) continue
      attempts++
      failures += this.#failed[slot] ?? 0
    }
    return { attempts, failures }
  }

  clear(): void {
    this.#added = 0
  }
}
