import type { TargetSignals } from '../sdk/strategy.ts'
import type { Target } from '../sdk/target.ts'
import { Looks } from './looks.ts'

/** What a pick is among: mostly the next one is among the same. */
interface Round {
  candidates: readonly TargetSignals[]
  /** Of each of them: the place of its account, and its weight as it was given. */
  places: readonly number[]
  given: number[]
  /** Of each of them: what it is credited with a request, and its account while this round goes on. */
  earned: Float64Array
  credits: Float64Array
  /** What the one that takes a request pays: the sum of what all are credited. */
  paid: number
  /** What each is credited, where it is the same for all; else 0. Then it is only counted up, in `owed`. */
  even: number
  owed: number
}

interface Rules {
  weightOf(signals: TargetSignals): number
  /** 0 (included) to 1 (excluded): where in its cycle the rotation begins. 0 is its start. */
  random(): number
  /** Where weights change for the same list of candidates. */
  observed?: {
    /** Monotonic milliseconds. */
    now(): number
    /** Called before weights are asked for anew. */
    look(candidates: readonly TargetSignals[], now: number): void
  }
  /** With equal credit the least of these is taken, which are 0 or more; then, and where absent, the first in order. */
  tieOf?(signals: TargetSignals): number
}

/** Weights are counted in whole billionths: with fractions, rounding would spoil exact cycles after long runs. */
const scale = 1e9
/** Beyond, sums would no longer be exact. */
const mostOwed = 2 ** 50
/** So many accounts are booked at most to find the place where a rotation begins. */
const mostBookings = 1_000_000
/** Whole cycles beyond this many picks are not needed for shares of the beginnings that follow the weights. */
const mostPicksAhead = 10_000

/**
 * Smooth weighted round robin, as nginx does it (ngx_http_upstream_round_robin.c): for each request every candidate is
 * credited its share of one request, and the one with the most credit takes it and pays for the whole of it.
 *
 * The rotation begins at a random place of its cycle, or the first targets of all models, in all processes, would get the
 * first requests of each. Any whole cycle from there on is as exact as the first one.
 *
 * Who is no candidate neither earns nor pays. So a pick among a part of the targets leaves the standing of the others
 * as it was, and a target that comes back, or is new, has nothing to catch up on.
 */
export class SmoothRotation {
  readonly #rules: Rules
  readonly #looks = new Looks()
  /** Where the account of a target stands in the two lists. */
  #places = new Map<Target, number>()
  #weights: number[] = []
  /** Those of the last round's candidates are kept there, in their order, so that a pick goes through them quickly. */
  #credits: number[] = []
  /** What one request costs: the weights of all known targets together. */
  #price = 0
  #last: Round | undefined

  /** `weightOf` gives 0 or more; who has 0 is only taken where all have 0, and then all count alike. */
  constructor(rules: Rules) {
    this.#rules = rules
  }

  next(candidates: readonly TargetSignals[]): TargetSignals {
    const isNew = this.#places.size === 0
    const round = this.#roundOf(candidates)
    if (isNew) this.#begin(round)
    const picked = this.#pick(round, this.#rules.tieOf ?? noTie)
    if (round.owed > mostOwed) this.#settle(round)
    return picked
  }

  /** Goes on to a random place of the cycle: as after so many picks, made while nothing was in flight. */
  #begin(round: Round): void {
    const count = round.credits.length
    if (round.even > 0) {
      // Each in turn: the accounts after any number of picks are known without making them.
      const ahead = Math.floor(this.#rules.random() * count)
      round.owed = ahead * round.even
      round.credits.fill(-round.paid, 0, ahead)
      return
    }
    const most = Math.min(mostPicksAhead, Math.floor(mostBookings / count))
    const ahead = Math.floor(this.#rules.random() * Math.min(cycleOf(round), most))
    for (let picks = 0; picks < ahead; picks++) this.#pick(round, noTie)
  }

  #pick(round: Round, tieOf: (signals: TargetSignals) => number): TargetSignals {
    const { candidates, credits } = round
    if (round.even === 0) earn(round)
    else round.owed += round.even
    let best = -1
    let tie = 0
    let most = Number.NEGATIVE_INFINITY
    for (let index = 0; index < candidates.length; index++) {
      const credit = credits[index] as number
      if (credit < most || round.earned[index] === 0) continue
      if (credit === most && tie === 0) continue
      const own = tieOf(at(candidates, index))
      if (credit === most && own >= tie) continue
      best = index
      tie = own
      most = credit
    }
    const picked = at(candidates, best)
    credits[best] = most - round.paid
    return picked
  }

  /** Weights were set anew: they count from the next pick on, however many targets there are. */
  reweigh(): void {
    this.#looks.demand()
  }

  /** Forgets all targets but these. */
  retain(targets: readonly Target[]): void {
    this.#writeBack()
    const kept = targets.filter((target) => this.#places.has(target))
    const of = (values: readonly number[]): number[] =>
      kept.map((target) => values[this.#places.get(target) ?? 0] ?? 0)
    this.#weights = of(this.#weights)
    this.#credits = of(this.#credits)
    this.#places = new Map(kept.map((target, place) => [target, place]))
    this.#last = undefined
  }

  #roundOf(candidates: readonly TargetSignals[]): Round {
    let round = this.#last
    const isSame = round?.candidates === candidates
    if (!round || !isSame) {
      this.#writeBack()
      const places = candidates.map(({ target }) => this.#pathOf(target))
      const room = (): Float64Array => new Float64Array(places.length)
      round = { candidates, places, given: [], earned: room(), credits: room(), paid: 0, even: 0, owed: 0 }
      this.#last = round
      this.#fetch(round)
    }
    const { observed } = this.#rules
    if (observed) {
      const now = observed.now()
      if (!isSame) this.#looks.demand()
      if (this.#looks.isDue(candidates.length, now)) {
        observed.look(candidates, now)
        this.#weigh(round)
      }
    } else if (!isSame) this.#weigh(round)
    return round
  }

  /** The accounts of the last round's candidates go back to those of all. */
  #writeBack(): void {
    if (!this.#last) return
    const { places, credits, owed } = this.#last
    for (let index = 0; index < places.length; index++)
      this.#credits[places[index] as number] = (credits[index] as number) + owed
  }

  #fetch(round: Round): void {
    const { places, credits } = round
    round.owed = 0
    for (let index = 0; index < places.length; index++)
      credits[index] = this.#credits[places[index] as number] as number
  }

  #weigh(round: Round): void {
    const { candidates, places, given } = round
    const { weightOf } = this.#rules
    let changed = given.length === 0
    let most = 0
    for (let index = 0; index < candidates.length; index++) {
      const weight = weightOf(candidates[index] as TargetSignals)
      if (weight > most) most = weight
      if (weight === given[index]) continue
      given[index] = weight
      changed = true
    }
    if (!changed) return
    const weights = this.#weights
    let present = 0
    for (let index = 0; index < given.length; index++) {
      const weight = most > 0 ? inBillionths(given[index] as number) : scale
      weights[places[index] as number] = weight
      present += weight
    }
    this.#reprice(round)
    this.#shareOut(round, present)
  }

  /** `present`: the weights of all candidates of the round together. */
  #shareOut(round: Round, present: number): void {
    const { places, earned } = round
    this.#settle(round)
    round.paid = 0
    for (let index = 0; index < places.length; index++) {
      const weight = this.#weights[places[index] as number] as number
      // Rounded to nothing, one with a weight would never be taken.
      const part = weight === 0 ? 0 : Math.max(1, Math.round((weight * this.#price) / present))
      earned[index] = part
      round.paid += part
    }
    const [first = 0] = earned
    round.even = earned.every((part) => part === first) ? first : 0
  }

  /** What is owed to all candidates is put into their accounts. */
  #settle(round: Round): void {
    if (round.owed === 0) return
    const { credits } = round
    for (let index = 0; index < credits.length; index++)
      credits[index] = (credits[index] as number) + round.owed
    round.owed = 0
  }

  #pathOf(target: Target): number {
    const known = this.#places.get(target)
    if (known !== undefined) return known
    const place = this.#places.size
    this.#places.set(target, place)
    this.#credits[place] = 0
    return place
  }

  /** Credit is worth the same part of a request after weights have changed as before. */
  #reprice(round: Round): void {
    let price = 0
    for (const weight of this.#weights) price += weight
    if (this.#price !== 0 && this.#price !== price) {
      const credits = this.#credits
      this.#writeBack()
      for (let place = 0; place < credits.length; place++)
        credits[place] = Math.round(((credits[place] as number) * price) / this.#price)
      this.#fetch(round)
    }
    this.#price = price
  }
}

function earn({ credits, earned }: Round): void {
  for (let index = 0; index < credits.length; index++)
    credits[index] = (credits[index] as number) + (earned[index] as number)
}

/** After so many picks the accounts are as at the beginning. */
function cycleOf({ earned, paid }: Round): number {
  let part = paid
  for (let index = 0; index < earned.length && part > 1; index++)
    part = commonDivisor(part, earned[index] as number)
  return paid / part
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b)
}

function noTie(): number {
  return 0
}

function at(candidates: readonly TargetSignals[], index: number): TargetSignals {
  const signals = candidates[index]
  if (!signals) throw new Error('a strategy was given no candidates')
  return signals
}

function inBillionths(weight: number): number {
  return weight > 0 ? Math.max(1, Math.round(weight * scale)) : 0
}
