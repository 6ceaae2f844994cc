import type { AttemptResult } from '../../relay/attempt/attempt-result.ts'
import type { Judgement } from '../../relay/run/lease.ts'
import { needsAll } from '../../sdk/request-traits.ts'
import { Breaker, type Ticket } from './breaker.ts'
import { Suspicions } from './suspicions.ts'

/**
 * How a target stands for a request. `first`: it is healthy. `last`: it is used when no healthy target is left.
 * `ejected`: it is used only when no target of the model is healthy. `out`: it cannot answer now.
 */
export type Standing = 'first' | 'last' | 'ejected' | 'out'

/** Why a target is `misconfigured`: the status that it answers with. */
export interface Misconfiguration {
  readonly status: number
}

/** What an attempt holds of its target's health until its request is over. */
export interface HealthTicket {
  readonly plain: Ticket
  readonly features: readonly [Breaker, Ticket][]
}

interface Environment {
  /** Monotonic milliseconds. */
  now(): number
  /** 0 (included) to 1 (excluded). */
  random(): number
  /** The target may stand otherwise than `first` from now on. */
  onTrouble(health: TargetHealth): void
  /** Its breaker opened or closed, or it was found misconfigured or well again. `features`: of the breaker, 0 for all requests. */
  onChange(health: TargetHealth, change: HealthChange): void
}

export type HealthChange =
  | { type: 'ejected' | 'restored'; features: number; breaker: Breaker }
  | { type: 'misconfigured' | 'configured'; status: number }

/** Longest pause that a target may ask for, in milliseconds. */
const maxCooldownMs = 300_000
const suspicionMs = 10_000
/** A misconfigured target is tried with one request in this time. */
const misconfiguredRetryMs = 60_000
/** So many refusals without an answer in between make a target misconfigured. */
const refusalsToMisconfigured = 3

/** What requests have shown of one target: whether it fails, for whom, and whether it asked for a pause. */
export class TargetHealth {
  readonly breaker: Breaker
  readonly #environment: Environment
  /** Failures of requests with features, by the features. */
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

  /** When it last answered anybody; -Infinity before that. */
  get answeredAt(): number {
    return this.#answeredAt
  }

  get misconfigured(): Misconfiguration | undefined {
    return this.#misconfigured
  }

  /** Milliseconds until the pause that it asked for is over; 0 without one. */
  get cooldownMs(): number {
    return Math.max(0, this.#cooldownUntil - this.#environment.now())
  }

  /** Milliseconds until it may be tried again; 0 when it may now. */
  get waitMs(): number {
    return Math.max(this.cooldownMs, this.breaker.waitMs)
  }

  /** Whether it gets requests in its turn. A misconfigured or suspected target does: it only comes last. */
  get usable(): boolean {
    return this.cooldownMs === 0 && this.breaker.state !== 'open'
  }

  /** Whether nothing is known against it. */
  get isHealthy(): boolean {
    return (
      this.breaker.state === 'closed' &&
      this.#misconfigured === undefined &&
      this.#features.size === 0 &&
      Math.max(this.#cooldownUntil, this.#suspectedUntil) <= this.#environment.now()
    )
  }

  /** Whether it stands otherwise for requests with some features. */
  get hasFeatureFailures(): boolean {
    return this.#features.size > 0
  }

  /** Features whose requests pass it over now. */
  get ejectedFeatures(): readonly number[] {
    return Array.from(this.#features)
      .filter(([, breaker]) => breaker.state === 'open')
      .map(([features]) => features)
  }

  /** Whether a misconfigured target is to be tried again, to see whether it is well. */
  get isDue(): boolean {
    return this.#misconfigured !== undefined && this.#environment.now() >= this.#retryAt
  }

  standing(features: number): Standing {
    const { breaker } = this
    const now = this.#environment.now()
    if (now < this.#cooldownUntil) return 'out'
    if (!breaker.available) return breaker.openedBy === 'connect' ? 'out' : 'ejected'
    if (this.#features.size > 0 && this.#concerning(features).some(([, { available }]) => !available))
      return 'ejected'
    if (this.#misconfigured !== undefined || now < this.#suspectedUntil) return 'last'
    return 'first'
  }

  begin(features: number): HealthTicket {
    if (this.isDue) this.#retryAt = this.#environment.now() + misconfiguredRetryMs
    return {
      plain: this.breaker.begin(),
      features: this.#concerning(features).map(([, breaker]) => [breaker, breaker.begin()]),
    }
  }

  /** The attempt has ended; undefined: by what was thrown. */
  end({ plain, features }: HealthTicket, result: AttemptResult | undefined): void {
    const answered = result?.type === 'success'
    const { verdict, pauseMs = 0 } = result?.type === 'failure' ? result : noVerdict
    // A probe is over when it is known what it has shown: until then no other one is sent.
    if (verdict === 'ambiguous') return
    for (const [breaker, ticket] of features) breaker.end(ticket, answered ? 'success' : undefined)
    this.breaker.end(plain, answered ? 'success' : verdict === 'connect' ? verdict : undefined)
    if (answered) this.#answered()
    if (verdict === 'cooldown') {
      const until = this.#environment.now() + Math.min(maxCooldownMs, pauseMs)
      this.#cooldownUntil = Math.max(this.#cooldownUntil, until)
      this.#environment.onTrouble(this)
    }
  }

  /** It has begun to answer. */
  answering(): void {
    this.#answeredAt = this.#environment.now()
    this.#suspectedUntil = 0
  }

  /** The request of an attempt whose failure was `ambiguous` is over, or another target answers it. */
  judge(ticket: HealthTicket, judgement: Judgement): void {
    const { answeredBy, kind, features, fingerprint, refusal } = judgement
    if (answeredBy !== 'fallback') release(ticket, this.breaker)
    const isRefusal = refusal !== undefined && this.#isOurs(refusal, judgement)
    switch (answeredBy) {
      case 'target':
        if (isRefusal) this.#refused(refusal, judgement)
        else this.#countFailures(ticket, features, kind, 1)
        return
      case 'nobody':
        if (isRefusal) this.#refused(refusal, judgement)
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
   * Whether a refusal may speak of our key or model rather than of what the request names. Nobody but us is meant by a rejected
   * key. A server that has answered nobody yet may know neither the operation nor the model.
   */
  #isOurs(refusal: number, { names }: Judgement): boolean {
    if (names === undefined || refusal === 401 || refusal === 402) return true
    return names === 'operation' && this.#answeredAt === Number.NEGATIVE_INFINITY
  }

  #countFailures(ticket: HealthTicket, features: number, kind: 'failure' | 'slow', failures: number): void {
    if (failures === 0) return
    this.#environment.onTrouble(this)
    const breaker = features === 0 ? this.breaker : this.#features.get(features)
    const known = ticket.features.find(([each]) => each === breaker)?.[1]
    const held = features === 0 ? ticket.plain : known
    const failing = breaker ?? this.#addFeatures(features)
    for (let count = 0; count < failures; count++) failing.fail(held ?? failing.ticket(), kind)
  }

  #suspect(): void {
    this.#suspectedUntil = this.#environment.now() + suspicionMs
    this.#environment.onTrouble(this)
  }

  #refused(status: number, { answeredBy, fingerprint, features }: Judgement): void {
    const neverAnswered = this.#answeredAt === Number.NEGATIVE_INFINITY
    const isNew = this.#suspicions.isNew(features, fingerprint)
    if (answeredBy === 'target' || neverAnswered || isNew) this.#refusals++
    const rejectsKey = status !== 404 && neverAnswered
    if (!rejectsKey && this.#refusals < refusalsToMisconfigured) return
    const isNews = this.#misconfigured?.status !== status
    this.#misconfigured = { status }
    this.#retryAt = this.#environment.now() + misconfiguredRetryMs
    this.#environment.onTrouble(this)
    if (isNews) this.#environment.onChange(this, { type: 'misconfigured', status })
  }

  #answered(): void {
    this.answering()
    this.#refusals = 0
    this.#suspicions.answered()
    const { status } = this.#misconfigured ?? {}
    this.#misconfigured = undefined
    if (status !== undefined) this.#environment.onChange(this, { type: 'configured', status })
    for (const [features, breaker] of this.#features) if (breaker.isIdle) this.#features.delete(features)
  }

  #concerning(features: number): [number, Breaker][] {
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
        if (breaker.state !== 'closed') this.#environment.onTrouble(this)
        const type = breaker.state === 'closed' ? 'restored' : 'ejected'
        this.#environment.onChange(this, { type, features, breaker })
      },
    })
  }
}

const noVerdict = { verdict: 'nothing', pauseMs: 0 } as const

/** What its attempt held as a probe, or not, is free for the next one. */
function release({ plain, features }: HealthTicket, breaker: Breaker): void {
  breaker.end(plain, undefined)
  for (const [each, ticket] of features) each.end(ticket, undefined)
}
