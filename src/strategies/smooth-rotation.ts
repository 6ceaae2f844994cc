import type { TargetSignals } from '../sdk/strategy.ts'
import type { Target } from '../sdk/target.ts'

interface Rules {
  /** At least 0; a target with 0 is only picked if all candidates have 0, and then all are equal. */
  weightOf(signals: TargetSignals): number
  /** Whether weights may change from pick to pick; else they are asked for once for each list of candidates. */
  weightsChange?: boolean
  /** 0 (included) to 1 (excluded): where in its cycle the rotation begins. 0 is its start. */
  random(): number
  /** With equal credit the candidate with the lowest value is picked; then, and where absent, the first in order. */
  tieOf?(signals: TargetSignals): number
}

interface Account {
  /** Credit of the target in fractions of one request, as integers because rounding would break exact cycles. */
  credit: number
}

/** The candidates of a pick; the next pick is mostly among the same list. */
interface Round {
  candidates: readonly TargetSignals[]
  /** In the order of the candidates. */
  accounts: readonly Account[]
  /** Credit of each per pick, and the sum, which the picked target pays. */
  shares: number[]
  paid: number
}

/** Parts of one request. */
const onePick = 1e12
/** The start of a rotation is found by playing it: at most this many picks, of all targets together. */
const maxPicksAhead = 10_000
const maxBookingsAhead = 1_000_000

/**
 * Smooth weighted round robin, as nginx does it (ngx_http_upstream_round_robin.c): for each request every candidate is
 * credited its share of one request, and the one with the most credit is picked and pays for the whole of it.
 *
 * The rotation begins at a random position of its cycle, or the first targets of all models, in all processes, would get the
 * first requests of each. Any whole cycle from there on is as exact as the first one.
 *
 * Only candidates accumulate credit and pay. So a pick among some of the targets leaves the credit of the others as it was,
 * and a returning or new target has nothing to catch up on.
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

  /** What `next` would return, without effect; before the first pick the rotation may still begin elsewhere. */
  peek(candidates: readonly TargetSignals[]): TargetSignals {
    return pick(this.#copyOf(candidates), this.#rules.tieOf)
  }

  /** Credit of each candidate if it were picked now, in requests. */
  credits(candidates: readonly TargetSignals[]): readonly number[] {
    const { accounts, shares } = this.#copyOf(candidates)
    return accounts.map(({ credit }, index) => (credit + (shares[index] ?? 0)) / onePick)
  }

  #copyOf(candidates: readonly TargetSignals[]): Round {
    const accounts = candidates.map(({ target }) => ({ credit: this.#accounts.get(target)?.credit ?? 0 }))
    return { candidates, accounts, ...sharesOf(candidates.map((each) => this.#rules.weightOf(each))) }
  }

  /** Forgets all targets but these. */
  retain(targets: readonly Target[]): void {
    const kept = new Set(targets)
    for (const target of this.#accounts.keys()) if (!kept.has(target)) this.#accounts.delete(target)
    this.#last = undefined
  }

  #roundOf(candidates: readonly TargetSignals[]): Round {
    const isSame = this.#last?.candidates === candidates
    if (isSame && this.#last && !this.#rules.weightsChange) return this.#last
    const accounts =
      isSame && this.#last ? this.#last.accounts : candidates.map(({ target }) => this.#accountOf(target))
    this.#last = { candidates, accounts, ...sharesOf(candidates.map((each) => this.#rules.weightOf(each))) }
    return this.#last
  }

  /** Advances to a random position in the cycle, as after that many picks without requests in flight. */
  #skipAhead(round: Round): void {
    const count = round.candidates.length
    const weights = round.candidates.map((each) => this.#rules.weightOf(each))
    const most = Math.min(maxPicksAhead, Math.floor(maxBookingsAhead / count), cycleOf(weights))
    const ahead = Math.floor(this.#rules.random() * most)
    for (let picks = 0; picks < ahead; picks++) pick(round)
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
  { candidates, accounts, shares, paid }: Round,
  tieOf: (signals: TargetSignals) => number = () => 0,
): TargetSignals {
  let best: TargetSignals | undefined
  let most: Account = { credit: Number.NEGATIVE_INFINITY }
  for (let index = 0; index < candidates.length; index++) {
    const signals = candidates[index]
    const account = accounts[index]
    const share = shares[index]
    if (!signals || !account || !share) continue
    account.credit += share
    if (account.credit < most.credit) continue
    if (account.credit === most.credit && best && tieOf(signals) >= tieOf(best)) continue
    best = signals
    most = account
  }
  if (!best) throw new Error('a strategy was called without candidates')
  most.credit -= paid
  return best
}

function sharesOf(weights: readonly number[]): Pick<Round, 'shares' | 'paid'> {
  const sum = sumOf(weights)
  const shares: number[] = []
  let paid = 0
  for (const weight of weights) {
    const part = sum > 0 ? weight / sum : 1 / weights.length
    // Rounded to nothing, a target with a weight would never be picked.
    const share = part > 0 ? Math.max(1, Math.round(part * onePick)) : 0
    shares.push(share)
    paid += share
  }
  return { shares, paid }
}

/** After this many picks all accounts are as they were. */
function cycleOf(weights: readonly number[]): number {
  if (sumOf(weights) === 0) return weights.length
  // In billionths, so that weights written in a file are integers.
  const parts = weights.map((weight) => (weight === 0 ? 0 : Math.max(1, Math.round(weight * 1e9))))
  return sumOf(parts) / parts.reduce(commonDivisor)
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b)
}

function sumOf(numbers: readonly number[]): number {
  let sum = 0
  for (const each of numbers) sum += each
  return sum
}
