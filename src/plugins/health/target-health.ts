import type { AttemptResult } from '../../relay/attempt/attempt-result.ts'
import { needsAll } from '../../relay/request/request-traits.ts'
import type { Judgement } from '../../relay/run/lease.ts'
import { Breaker, type Ticket } from './breaker.ts'
import { Suspicions } from './suspicions.ts'

/**
 * Standing of a target for a request. `deprioritized`: used if no healthy target is left. `ejected`: used only
 * if no target of the model is healthy. `unavailable`: cannot answer now.
 */
export type Standing = 'healthy' | 'deprioritized' | 'ejected' | 'unavailable'

/** The HTTP status because of which a target is `misconfigured`. */
export interface Misconfiguration {
  readonly status: number
}

/** An attempt's record in its target's health, until its request ends. */
export interface HealthTicket {
  readonly plain: Ticket
  readonly features: readonly [Breaker, Ticket][]
}

interface Environment {
  /** Monotonic milliseconds. */
  now(): number
  /** 0 (inclusive) to 1 (exclusive). */
  random(): number
  /** Called when the standing may no longer be `healthy`. */
  onUnhealthy(health: TargetHealth): void
  /**
   * Called when a breaker opens or closes, and when the target becomes misconfigured or recovers. `features`: those of
   * the breaker, 0 for all requests.
   */
  onChange(health: TargetHealth, change: HealthChange): void
}

export type HealthChange =
  | { type: 'ejected' | 'restored'; features: number; breaker: Breaker }
  | { type: 'misconfigured' | 'configured'; status: number }

/** Maximum cooldown that a target can request, in milliseconds. */
const maxCooldownMs = 300_000
const suspicionMs = 10_000
/** A misconfigured target gets one trial request per this interval, in milliseconds. */
const misconfiguredRetryMs = 60_000
/** Consecutive rejections that make a target misconfigured. */
const refusalsToMisconfigured = 3

/** Health of one target as observed by requests: failures, features that fail, cooldowns. */
export class TargetHealth {
  readonly breaker: Breaker
  readonly #environment: Environment
  /** Breakers for failures of requests with features, by these features. */
  readonly #features = new Map<number, Breaker>()
  readonly #suspicions: Suspicions
  #cooldownUntil = 0
  #suspectedUntil = 0
  #misconfigured: Misconfiguration | undefined
  #retryAt = 0
  #refusals = 0
  #answeredAt = Number.NEGATIVE_INFINITY

  constructor(environment: Environment) {
    this.#environment = environment
    this.breaker = this.#breakerFor(0)
    this.#suspicions = new Suspicions(environment.now)
  }

  /** Time of the last response to any request; -Infinity before the first. */
  get answeredAt(): number {
    return this.#answeredAt
  }

  get misconfigured(): Misconfiguration | undefined {
    return this.#misconfigured
  }

  /** Milliseconds left of the cooldown that the target requested; 0 without one. */
  get cooldownMs(): number {
    return Math.max(0, this.#cooldownUntil - this.#environment.now())
  }

  /** Milliseconds until the target may be tried again; 0 if it may now. */
  get waitMs(): number {
    return Math.max(this.cooldownMs, this.breaker.waitMs)
  }

  /**
   * Whether the target takes part in the regular selection. A misconfigured or suspected target does: it only comes
   * last.
   */
  get usable(): boolean {
    return this.cooldownMs === 0 && this.breaker.state !== 'open'
  }

  /** Whether the target has no known problem. */
  get isHealthy(): boolean {
    return (
      this.breaker.state === 'closed' &&
      this.#misconfigured === undefined &&
      this.#features.size === 0 &&
      Math.max(this.#cooldownUntil, this.#suspectedUntil) <= this.#environment.now()
    )
  }

  /** Whether requests with some features have a different standing. */
  get hasFeatureFailures(): boolean {
    return this.#features.size > 0
  }

  /** Features whose requests skip the target now. */
  get ejectedFeatures(): readonly number[] {
    return Array.from(this.#features)
      .filter(([, breaker]) => breaker.state === 'open')
      .map(([features]) => features)
  }

  /** Whether a misconfigured target is due for a trial request. */
  get isTrialDue(): boolean {
    return this.#misconfigured !== undefined && this.#environment.now() >= this.#retryAt
  }

  standing(features: number): Standing {
    const { breaker } = this
    const now = this.#environment.now()
    if (now < this.#cooldownUntil) return 'unavailable'
    if (!breaker.available) return breaker.openedBy === 'connect' ? 'unavailable' : 'ejected'
    if (this.#features.size > 0 && this.#breakersFor(features).some(([, { available }]) => !available))
      return 'ejected'
    if (this.#misconfigured !== undefined || now < this.#suspectedUntil) return 'deprioritized'
    return 'healthy'
  }

  begin(features: number): HealthTicket {
    if (this.isTrialDue) this.#retryAt = this.#environment.now() + misconfiguredRetryMs
    return {
      plain: this.breaker.begin(),
      features: this.#breakersFor(features).map(([, breaker]) => [breaker, breaker.begin()]),
    }
  }

  /** Ends an attempt. `result`: undefined if it threw. */
  end({ plain, features }: HealthTicket, result: AttemptResult | undefined): void {
    const answered = result?.type === 'success'
    const { verdict, pauseMs = 0 } = result?.type === 'failure' ? result : noVerdict
    // A probe stays in progress until its result is known, so that no second one is sent.
    if (verdict === 'ambiguous') return
    for (const [breaker, ticket] of features) breaker.end(ticket, answered ? 'success' : undefined)
    this.breaker.end(plain, answered ? 'success' : verdict === 'connect' ? verdict : undefined)
    if (answered) this.#answered()
    if (verdict === 'cooldown') {
      const until = this.#environment.now() + Math.min(maxCooldownMs, pauseMs)
      this.#cooldownUntil = Math.max(this.#cooldownUntil, until)
      this.#environment.onUnhealthy(this)
    }
  }

  /** Resets failures, cooldowns and rejected keys, as if the target were new. */
  reset(): void {
    this.#cooldownUntil = 0
    this.#suspectedUntil = 0
    this.#refusals = 0
    this.#suspicions.reset()
    const { status } = this.#misconfigured ?? {}
    this.#misconfigured = undefined
    this.#features.clear()
    this.breaker.reset()
    if (status !== undefined) this.#environment.onChange(this, { type: 'configured', status })
  }

  /** Call when a response begins. */
  contentSeen(): void {
    this.#answeredAt = this.#environment.now()
    this.#suspectedUntil = 0
  }

  /** Judges an attempt whose failure was `ambiguous`: its request has ended, or another target answers it. */
  judge(ticket: HealthTicket, judgement: Judgement): void {
    const { answeredBy, kind, features, fingerprint, refusalStatus } = judgement
    if (answeredBy !== 'fallback') release(ticket, this.breaker)
    const isRefusal = refusalStatus !== undefined && this.#isMisconfiguration(refusalStatus, judgement)
    switch (answeredBy) {
      case 'target':
        if (isRefusal) this.#countRefusal(refusalStatus, judgement)
        else this.#countFailures(ticket, features, kind, 1)
        return
      case 'nobody':
        if (isRefusal) this.#countRefusal(refusalStatus, judgement)
        this.#suspect()
        return
      case 'unknown':
        return
      case 'fallback':
        if (!isRefusal)
          this.#countFailures(ticket, features, kind, this.#suspicions.add(features, fingerprint))
    }
  }

  /**
   * Whether a rejection may concern the configured key or model rather than something that only this request uses. A rejected key
   * always concerns the configuration. A server that has never answered may support neither the operation nor the
   * model.
   */
  #isMisconfiguration(refusalStatus: number, { mayLack }: Judgement): boolean {
    if (mayLack === undefined || refusalStatus === 401 || refusalStatus === 402) return true
    return mayLack === 'operation' && this.#answeredAt === Number.NEGATIVE_INFINITY
  }

  #countFailures(ticket: HealthTicket, features: number, kind: 'failure' | 'slow', failures: number): void {
    if (failures === 0) return
    this.#environment.onUnhealthy(this)
    const breaker = features === 0 ? this.breaker : this.#features.get(features)
    const known = ticket.features.find(([each]) => each === breaker)?.[1]
    const ticketOfBreaker = features === 0 ? ticket.plain : known
    const failing = breaker ?? this.#addFeatures(features)
    for (let count = 0; count < failures; count++) failing.fail(ticketOfBreaker ?? failing.ticket(), kind)
  }

  #suspect(): void {
    this.#suspectedUntil = this.#environment.now() + suspicionMs
    this.#environment.onUnhealthy(this)
  }

  #countRefusal(status: number, { answeredBy, fingerprint, features }: Judgement): void {
    const neverAnswered = this.#answeredAt === Number.NEGATIVE_INFINITY
    const isNew = this.#suspicions.isNew(features, fingerprint)
    if (answeredBy === 'target' || neverAnswered || isNew) this.#refusals++
    const rejectsKey = status !== 404 && neverAnswered
    if (!rejectsKey && this.#refusals < refusalsToMisconfigured) return
    const isChanged = this.#misconfigured?.status !== status
    this.#misconfigured = { status }
    this.#retryAt = this.#environment.now() + misconfiguredRetryMs
    this.#environment.onUnhealthy(this)
    if (isChanged) this.#environment.onChange(this, { type: 'misconfigured', status })
  }

  #answered(): void {
    this.contentSeen()
    this.#refusals = 0
    this.#suspicions.reset()
    const { status } = this.#misconfigured ?? {}
    this.#misconfigured = undefined
    if (status !== undefined) this.#environment.onChange(this, { type: 'configured', status })
    for (const [features, breaker] of this.#features) if (breaker.isIdle) this.#features.delete(features)
  }

  #breakersFor(features: number): [number, Breaker][] {
    if (features === 0 || this.#features.size === 0) return []
    return Array.from(this.#features).filter(([needed]) => needsAll(features, needed))
  }

  #addFeatures(features: number): Breaker {
    const breaker = this.#breakerFor(features)
    this.#features.set(features, breaker)
    return breaker
  }

  #breakerFor(features: number): Breaker {
    const { now, random } = this.#environment
    return new Breaker({
      now,
      random,
      onChange: (breaker) => {
        if (breaker.state !== 'closed') this.#environment.onUnhealthy(this)
        const type = breaker.state === 'closed' ? 'restored' : 'ejected'
        this.#environment.onChange(this, { type, features, breaker })
      },
    })
  }
}

const noVerdict = { verdict: 'nothing', pauseMs: 0 } as const

/** Releases the probe slots that the attempt held. */
function release({ plain, features }: HealthTicket, breaker: Breaker): void {
  breaker.end(plain, undefined)
  for (const [each, ticket] of features) each.end(ticket, undefined)
}
