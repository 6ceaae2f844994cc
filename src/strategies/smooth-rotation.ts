import type { TargetSignals } from '../core/strategy.ts'
import type { Target } from '../core/target.ts'

interface Account {
  weight: number
  credit: number
}

interface Entry {
  signals: TargetSignals
  account: Account
}

/** Weights are counted in whole billionths: with fractions, rounding would spoil exact cycles after long runs. */
const scale = 1e9

/**
 * Smooth weighted round robin, as nginx does it (ngx_http_upstream_round_robin.c): for each request every candidate is
 * credited its share of one request, and the one with the most credit takes it and pays for the whole of it.
 *
 * Who is no candidate neither earns nor pays. So a pick among a part of the targets leaves the standing of the others
 * as it was, and a target that comes back, or is new, has nothing to catch up on.
 */
export class SmoothRotation {
  readonly #accounts = new Map<Target, Account>()
  /** What one request costs: the weights of all known targets together. */
  #price = 0
  /** What the last pick was among, and what came of it: mostly the next one is among the same. */
  #last:
    | { candidates: readonly TargetSignals[]; given: number[]; inPlay: Entry[]; present: number }
    | undefined

  /**
   * `weightOf` gives 0 or more; who has 0 is only taken where all have 0, and then all count alike. With equal credit
   * `comesBefore(a, b)` says whether `a` is to be taken rather than `b`, which stands before it.
   */
  next(
    candidates: readonly TargetSignals[],
    weightOf: (signals: TargetSignals) => number,
    comesBefore: (a: TargetSignals, b: TargetSignals) => boolean = () => false,
  ): TargetSignals {
    const { inPlay, present } = this.#isAsBefore(candidates, weightOf) ?? this.#update(candidates, weightOf)
    let best: Entry | undefined
    let paid = 0
    for (const entry of inPlay) {
      const earned = Math.round((entry.account.weight * this.#price) / present)
      entry.account.credit += earned
      paid += earned
      const lead = best ? entry.account.credit - best.account.credit : 1
      if (!best || lead > 0 || (lead === 0 && comesBefore(entry.signals, best.signals))) best = entry
    }
    if (!best) throw new Error('a strategy was given no candidates')
    best.account.credit -= paid
    return best.signals
  }

  /** Forgets all targets but these. */
  retain(targets: readonly Target[]): void {
    this.#last = undefined
    for (const target of this.#accounts.keys()) if (!targets.includes(target)) this.#accounts.delete(target)
  }

  #isAsBefore(candidates: readonly TargetSignals[], weightOf: (signals: TargetSignals) => number) {
    const last = this.#last
    if (last?.candidates !== candidates) return undefined
    for (let index = 0; index < candidates.length; index++) {
      const signals = candidates[index]
      if (signals && weightOf(signals) !== last.given[index]) return undefined
    }
    return last
  }

  #update(candidates: readonly TargetSignals[], weightOf: (signals: TargetSignals) => number) {
    const given = candidates.map(weightOf)
    const weights = given.map(inBillionths)
    const allZero = weights.every((weight) => weight === 0)
    const entries = candidates.map((signals, index) => {
      const account = this.#accounts.get(signals.target) ?? { weight: 0, credit: 0 }
      account.weight = allZero ? scale : (weights[index] ?? 0)
      this.#accounts.set(signals.target, account)
      return { signals, account }
    })
    this.#reprice()
    const inPlay = entries.filter(({ account }) => account.weight > 0)
    const present = inPlay.reduce((sum, { account }) => sum + account.weight, 0)
    this.#last = { candidates, given, inPlay, present }
    return this.#last
  }

  /** Credit is worth the same part of a request after weights have changed as before. */
  #reprice(): void {
    let price = 0
    for (const { weight } of this.#accounts.values()) price += weight
    if (this.#price !== 0 && this.#price !== price)
      for (const account of this.#accounts.values())
        account.credit = Math.round((account.credit * price) / this.#price)
    this.#price = price
  }
}

function inBillionths(weight: number): number {
  return weight > 0 ? Math.max(1, Math.round(weight * scale)) : 0
}
