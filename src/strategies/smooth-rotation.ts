import type { TargetSignals } from '../sdk/strategy.ts'
import type { Target } from '../sdk/target.ts'
import { noCandidates } from './draw.ts'

interface Rules {
  /** At least 0; a target with 0 is only picked if all candidates have 0, in which case all are equal. */
  weightOf(signals: TargetSignals): number
  /** Whether weights may change from pick to pick; otherwise `weightOf` is called once per list of candidates. */
  weightsChange?: boolean
  /** Position in the cycle at which the rotation begins, 0 (inclusive, its start) to 1 (exclusive). */
  random(): number
  /** Among candidates with equal credit the one with the lowest value is picked; then, or if absent, the first in order. */
  tieOf?(signals: TargetSignals): number
}

interface Account {
  /** Credit in units of 1 / `onePick` requests: integers, because rounding would break exact cycles. */
  credit: number
}

/** The candidates of a pick with their accounts. Reused while the list of candidates stays the same. */
interface Round {
  candidates: readonly TargetSignals[]
  /** In the order of the candidates. */
  accounts: readonly Account[]
  /** Credit that each candidate gets per pick, and their sum, the price of a pick. */
  shares: number[]
  price: number
}

/** Credit units of one request. */
const onePick = 1e12
/** The initial position is reached by simulating picks: at most this many, and at most this many account updates. */
const maxSkippedPicks = 10_000
const maxSkippedUpdates = 1_000_000

/**
 * Smooth weighted round robin, as in nginx (ngx_http_upstream_round_robin.c): each pick credits every candidate its share of
 * one request; the candidate with the most credit is picked and pays for the whole request.
 *
 * The rotation begins at a random position of its cycle: otherwise the first target of each model would get the first request
 * of every process. Any full cycle from there on is exact.
 *
 * Only candidates accumulate credit and pay, so a returning or new target has nothing to catch up on.
 */
export class SmoothRotation {
  readonly #rules: Rules
  readonly #accounts = new Map<Target, Account>()
  #last: Round | undefined

  constructor(rules: Rules) {
    this.#rules = rules
  }

  next(candidates: readonly TargetSignals[]): TargetSignals {
    const isFirst = this.#accounts.size === 0
    const round = this.#roundOf(candidates)
    if (isFirst) this.#skipAhead(round)
    return pick(round, this.#rules.tieOf)
  }

  /** Returns what `next` would, without side effects; before the first pick, the rotation may still begin elsewhere. */
  peek(candidates: readonly TargetSignals[]): TargetSignals {
    return pick(this.#copyOf(candidates), this.#rules.tieOf)
  }

  /** Returns the credit of each candidate at the next pick, in requests. */
  credits(candidates: readonly TargetSignals[]): readonly number[] {
    const { accounts, shares } = this.#copyOf(candidates)
    return accounts.map(({ credit }, index) => (credit + (shares[index] ?? 0)) / onePick)
  }

  #copyOf(candidates: readonly TargetSignals[]): Round {
    const accounts = candidates.map(({ target }) => ({ credit: this.#accounts.get(target)?.credit ?? 0 }))
    return {
      candidates,
      accounts,
      ...sharesOf(candidates.map((candidate) => this.#rules.weightOf(candidate))),
    }
  }

  /** Forgets all targets but these. */
  retain(targets: readonly Target[]): void {
    const current = new Set(targets)
    for (const target of this.#accounts.keys()) if (!current.has(target)) this.#accounts.delete(target)
    this.#last = undefined
  }

  #roundOf(candidates: readonly TargetSignals[]): Round {
    const isSame = this.#last?.candidates === candidates
    if (isSame && this.#last && !this.#rules.weightsChange) return this.#last
    const accounts =
      isSame && this.#last ? this.#last.accounts : candidates.map(({ target }) => this.#accountOf(target))
    this.#last = {
      candidates,
      accounts,
      ...sharesOf(candidates.map((candidate) => this.#rules.weightOf(candidate))),
    }
    return this.#last
  }

  /** Advances to a random position in the cycle, as if that many requests had ended. */
  #skipAhead(round: Round): void {
    const count = round.candidates.length
    const weights = round.candidates.map((candidate) => this.#rules.weightOf(candidate))
    const limit = Math.min(maxSkippedPicks, Math.floor(maxSkippedUpdates / count), cycleOf(weights))
    const skipped = Math.floor(this.#rules.random() * limit)
    for (let picks = 0; picks < skipped; picks++) pick(round)
  }

  #accountOf(target: Target): Account {
    const known = this.#accounts.get(target)
    if (known) return known
    const account = { credit: 0 }
    this.#accounts.set(target, account)
    return account
  }
}

function pick(
  { candidates, accounts, shares, price }: Round,
  tieOf: (signals: TargetSignals) => number = () => 0,
): TargetSignals {
  let best: TargetSignals | undefined
  let bestAccount: Account = { credit: Number.NEGATIVE_INFINITY }
  for (let index = 0; index < candidates.length; index++) {
    const signals = candidates[index]
    const account = accounts[index]
    const share = shares[index]
    if (!signals || !account || !share) continue
    account.credit += share
    if (account.credit < bestAccount.credit) continue
    if (account.credit === bestAccount.credit && best && tieOf(signals) >= tieOf(best)) continue
    best = signals
    bestAccount = account
  }
  if (!best) return noCandidates()
  bestAccount.credit -= price
  return best
}

function sharesOf(weights: readonly number[]): Pick<Round, 'shares' | 'price'> {
  const sum = sumOf(weights)
  const shares: number[] = []
  let price = 0
  for (const weight of weights) {
    const part = sum > 0 ? weight / sum : 1 / weights.length
    // At least 1: a target with a weight whose share is rounded to 0 would never be picked.
    const share = part > 0 ? Math.max(1, Math.round(part * onePick)) : 0
    shares.push(share)
    price += share
  }
  return { shares, price }
}

/** Length of the cycle: the number of picks after which all accounts have the same credit again. */
function cycleOf(weights: readonly number[]): number {
  if (sumOf(weights) === 0) return weights.length
  // In billionths, so that configured weights become integers.
  const parts = weights.map((weight) => (weight === 0 ? 0 : Math.max(1, Math.round(weight * 1e9))))
  return sumOf(parts) / parts.reduce(commonDivisor)
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b)
}

function sumOf(numbers: readonly number[]): number {
  let sum = 0
  for (const number of numbers) sum += number
  return sum
}
