import type { Verdict } from '../core/lease.ts'
import { RecentAttempts } from './recent-attempts.ts'

export interface BreakerSettings {
  /** Failures in a row that open the breaker. */
  failuresInRow: number
  connectFailuresInRow: number
  slowInRow: number
  /** Share of failures within the window that opens it, once there are `windowMinimum` attempts. */
  failureShare: number
  windowMs: number
  windowMinimum: number
  /** First pause; doubles with each opening up to the last. */
  openMs: number
  maxOpenMs: number
  /** After this long without an opening the pause starts from the first again. */
  forgetMs: number
  successesToClose: number
  misconfiguredMs: number
  /** Longest pause that a target may ask for. */
  maxBusyMs: number
  /** While everything is open, a target gets at most one try in this time. */
  lastResortMs: number
}

/** See docs/reliability.md for where the numbers come from. */
export const breakerDefaults: BreakerSettings = {
  failuresInRow: 5,
  connectFailuresInRow: 2,
  slowInRow: 3,
  failureShare: 0.5,
  windowMs: 30_000,
  windowMinimum: 10,
  openMs: 5_000,
  maxOpenMs: 300_000,
  forgetMs: 600_000,
  successesToClose: 2,
  misconfiguredMs: 60_000,
  maxBusyMs: 300_000,
  lastResortMs: 1_000,
}

export type BreakerState = 'closed' | 'open' | 'half_open'

/** Handed out when an attempt begins, given back when it ends. */
export interface Ticket {
  readonly generation: number
  readonly probe: boolean
}

interface Environment {
  /** Monotonic milliseconds. */
  now(): number
  /** 0 (included) to 1 (excluded). */
  random(): number
  /** The breaker has opened, or its target rests. */
  onTrouble?(breaker: Breaker): void
}

/** Keeps a target that fails out of the choice, and lets it back in carefully. One per target. */
export class Breaker {
  readonly #environment: Environment
  readonly #settings: BreakerSettings
  #state: BreakerState = 'closed'
  /** Rises with every change of state: results of attempts from before it no longer count. */
  #generation = 0
  #inRow = { failure: 0, connect: 0, slow: 0, success: 0, busy: 0 }
  readonly #window = new RecentAttempts()
  #openings = 0
  #openedAt = Number.NEGATIVE_INFINITY
  #openUntil = 0
  #restUntil = 0
  #restKind: 'busy' | 'misconfigured' = 'busy'
  #probing = false
  #lastTryAt = Number.NEGATIVE_INFINITY

  constructor(environment: Environment, settings: BreakerSettings = breakerDefaults) {
    this.#environment = environment
    this.#settings = settings
  }

  get state(): BreakerState {
    if (this.#state === 'open' && this.#environment.now() >= this.#openUntil) return 'half_open'
    return this.#state
  }

  /** Why the target rests although its breaker is closed; undefined when it does not. */
  get resting(): 'busy' | 'misconfigured' | undefined {
    return this.#environment.now() < this.#restUntil ? this.#restKind : undefined
  }

  /** Whether all is as it is nearly always: it is closed, and its target does not rest. */
  get isWell(): boolean {
    if (this.#restUntil !== 0 && this.resting === undefined) this.#restUntil = 0
    return this.#state === 'closed' && this.#restUntil === 0
  }

  /** Whether an attempt may begin now. */
  get available(): boolean {
    if (this.#state === 'closed' && this.#restUntil === 0) return true
    if (this.resting !== undefined) return false
    const state = this.state
    return state === 'closed' || (state === 'half_open' && !this.#probing)
  }

  /** Whether it is open because answers did not come, so that each try would cost its client a long wait. */
  get stalls(): boolean {
    return this.#state !== 'closed' && this.#inRow.slow >= this.#settings.slowInRow
  }

  /** Milliseconds until the target may be tried again; 0 when it may now. */
  get waitMs(): number {
    const now = this.#environment.now()
    const open = this.#state === 'open' ? this.#openUntil - now : 0
    return Math.max(0, open, this.#restUntil - now)
  }

  /** Whether the target may be tried although it is not available, because no other is. */
  get lastResort(): boolean {
    if (this.resting !== undefined || this.#probing) return false
    return this.#environment.now() - this.#lastTryAt >= this.#settings.lastResortMs
  }

  begin(): Ticket {
    this.#lastTryAt = this.#environment.now()
    if (this.#state === 'open') this.#become('half_open')
    const probe = this.#state === 'half_open'
    if (probe) this.#probing = true
    return { generation: this.#generation, probe }
  }

  /** `pauseMs`: how long a busy target asked to be left alone, where it said so. */
  end(ticket: Ticket, verdict: Verdict, pauseMs?: number): void {
    const current = ticket.generation === this.#generation
    if (ticket.probe && current) this.#probing = false
    if (verdict === 'busy') this.#rest('busy', this.#busyMs(pauseMs))
    else if (verdict === 'misconfigured') this.#rest('misconfigured', this.#settings.misconfiguredMs)
    if (!current) return
    if (verdict === 'success') this.#succeeded()
    else if (verdict === 'failure' || verdict === 'connect' || verdict === 'slow') this.#failed(verdict)
  }

  /** An attempt that is over turned out to be the target's fault after all. */
  blame(): void {
    if (this.#state === 'closed') this.#failed('failure')
  }

  #succeeded(): void {
    const row = this.#inRow
    row.failure = 0
    row.connect = 0
    row.slow = 0
    row.busy = 0
    row.success++
    this.#window.add(this.#environment.now(), false)
    if (this.#state === 'half_open' && this.#inRow.success >= this.#settings.successesToClose)
      this.#become('closed')
  }

  #failed(verdict: 'failure' | 'connect' | 'slow'): void {
    const { failuresInRow, connectFailuresInRow, slowInRow } = this.#settings
    const row = this.#inRow
    row.success = 0
    row.failure++
    row.connect = verdict === 'connect' ? row.connect + 1 : 0
    row.slow = verdict === 'slow' ? row.slow + 1 : 0
    this.#window.add(this.#environment.now(), true)
    const enough =
      this.#state === 'half_open' ||
      row.failure >= failuresInRow ||
      row.connect >= connectFailuresInRow ||
      row.slow >= slowInRow ||
      this.#shareExceeded()
    if (enough) this.#open()
  }

  #shareExceeded(): boolean {
    const { windowMs, windowMinimum, failureShare } = this.#settings
    const { attempts, failures } = this.#window.since(this.#environment.now() - windowMs)
    return attempts >= windowMinimum && failures / attempts >= failureShare
  }

  #open(): void {
    const { openMs, maxOpenMs, forgetMs } = this.#settings
    const now = this.#environment.now()
    if (now - this.#openedAt > forgetMs) this.#openings = 0
    const jitter = 0.8 + 0.4 * this.#environment.random()
    this.#openUntil = now + Math.min(maxOpenMs, openMs * 2 ** this.#openings) * jitter
    this.#openings++
    this.#openedAt = now
    this.#become('open')
  }

  #become(state: BreakerState): void {
    this.#state = state
    if (state !== 'closed') this.#environment.onTrouble?.(this)
    this.#generation++
    this.#probing = false
    this.#inRow.success = 0
    if (state === 'closed') {
      this.#inRow = { failure: 0, connect: 0, slow: 0, success: 0, busy: 0 }
      this.#window.clear()
    }
  }

  #rest(kind: 'busy' | 'misconfigured', ms: number): void {
    this.#restUntil = Math.max(this.#restUntil, this.#environment.now() + ms)
    this.#restKind = kind
    this.#environment.onTrouble?.(this)
  }

  #busyMs(asked: number | undefined): number {
    const { maxBusyMs } = this.#settings
    if (asked !== undefined) return Math.min(maxBusyMs, asked)
    const steps = 2 ** Math.min(this.#inRow.busy, 5)
    this.#inRow.busy++
    return Math.min(30_000, 1_000 * steps) * (0.8 + 0.4 * this.#environment.random())
  }
}
