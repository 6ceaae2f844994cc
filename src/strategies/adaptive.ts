import type { SharingStrategy, TargetSignals } from '../sdk/strategy.ts'
import type { Target } from '../sdk/target.ts'
import { Draw, drawnPlace, weightInPlay } from './draw.ts'
import { Looks } from './looks.ts'

/** The answer that costs are predicted for: what matters is how first content and tokens weigh against each other. */
const typicalTokens = 200
/** Predictions are not exact: who is within this of the cheapest is as good, and the weights decide. */
const asGood = 1.25
/** A target that is always too dear is tried again after both, for its averages say nothing new without requests. */
const retryAfterMs = 10_000
const retryAfterPicks = 50
/** Between two looks: so many of the cheapest may turn out to be no longer so, before all are looked at again. */
const maxDraws = 4
/** Below this part of successes a target is not thought worse still. */
const leastHealth = 0.05

interface Moment {
  at: number
  picks: number
}

/**
 * Takes the target where one more request is predicted to cost least: the time to its first content and for its tokens,
 * times the calls in flight with this one, over the part of requests that succeed.
 */
export const adaptive: SharingStrategy = {
  name: 'adaptive',
  create: ({ now, random }) => {
    const draw = new Draw()
    const known = new Known()
    const cheapest = new Cheapest()
    const looks = new Looks()
    let picks = 0
    return {
      pick(candidates) {
        const at = now()
        const targets = draw.among(candidates)
        const lastTaken = known.of(targets, { at, picks })
        if (!cheapest.isAmong(targets)) looks.demand()
        const isDue = looks.isDue(targets.length, at)
        if (isDue) cheapest.look(targets)
        let picked = isDue ? forgottenAmong(targets, lastTaken, { at, picks }) : -1
        for (let draws = 0; picked === -1; draws++) {
          if (draws === maxDraws) cheapest.look(targets)
          picked = cheapest.draw(random())
        }
        picks++
        Object.assign(lastTaken[picked] as Moment, { at, picks })
        return targets[picked] as TargetSignals
      },
    }
  },
}

/** When each target was last picked; before its first pick, when it was first offered. */
class Known {
  readonly #moments = new WeakMap<Target, Moment>()
  /** Mostly the next pick is among the same. */
  #targets: readonly TargetSignals[] | undefined
  #inOrder: readonly Moment[] = []

  of(targets: readonly TargetSignals[], now: Moment): readonly Moment[] {
    if (targets === this.#targets) return this.#inOrder
    this.#targets = targets
    this.#inOrder = targets.map(({ target }) => {
      const moment = this.#moments.get(target) ?? { ...now }
      this.#moments.set(target, moment)
      return moment
    })
    return this.#inOrder
  }
}

/** The index of the first that is forgotten; -1 for none. */
function forgottenAmong(
  targets: readonly TargetSignals[],
  lastTaken: readonly Moment[],
  { at, picks }: Moment,
): number {
  for (let index = 0; index < targets.length; index++) {
    const { returnedAt, inFlight } = targets[index] as TargetSignals
    const last = lastTaken[index] as Moment
    if (inFlight > 0) continue
    if (returnedAt > last.at || (at - last.at >= retryAfterMs && picks - last.picks >= retryAfterPicks))
      return index
  }
  return -1
}

/** Those that were cheapest when all were last looked at. */
class Cheapest {
  #targets: readonly TargetSignals[] = []
  #quickest: Quickest = { firstContentMs: 1, perTokenMs: 0 }
  /** What one of them may cost, in ms of work per weight. */
  #most = 0
  #count = 0
  /** Of each of them: its index among the targets, and the weights up to and with it. Both are kept for their room. */
  #indexes: number[] = []
  #sums: number[] = []
  #costs = new Float64Array(0)

  isAmong(targets: readonly TargetSignals[]): boolean {
    return this.#targets === targets
  }

  look(targets: readonly TargetSignals[]): void {
    this.#targets = targets
    this.#quickest = quickestOf(targets)
    this.#most = this.#lowestCost() * asGood
    this.#count = 0
    let sum = 0
    for (let index = 0; index < targets.length; index++) {
      if ((this.#costs[index] as number) > this.#most) continue
      sum += weightInPlay(targets[index] as TargetSignals)
      this.#indexes[this.#count] = index
      this.#sums[this.#count++] = sum
    }
  }

  /** The index of one of them, with a chance as the weights say; -1 when it is no longer so cheap. Never just after a look. */
  draw(random: number): number {
    const sums = this.#sums
    const index = this.#indexes[
      drawnPlace(sums, this.#count, random * (sums[this.#count - 1] as number))
    ] as number
    return costOf(this.#targets[index] as TargetSignals, this.#quickest) > this.#most ? -1 : index
  }

  #lowestCost(): number {
    const targets = this.#targets
    if (this.#costs.length < targets.length) this.#costs = new Float64Array(targets.length)
    let least = Number.POSITIVE_INFINITY
    for (let index = 0; index < targets.length; index++) {
      const cost = costOf(targets[index] as TargetSignals, this.#quickest)
      this.#costs[index] = cost
      if (cost < least) least = cost
    }
    return least
  }
}

interface Quickest {
  firstContentMs: number
  perTokenMs: number
}

/** A target that was not seen yet counts as quick as these. */
function quickestOf(targets: readonly TargetSignals[]): Quickest {
  let first = Number.POSITIVE_INFINITY
  let token = Number.POSITIVE_INFINITY
  for (let index = 0; index < targets.length; index++) {
    const { firstContentMs, perTokenMs } = targets[index] as TargetSignals
    if (firstContentMs !== undefined && firstContentMs < first) first = firstContentMs
    if (perTokenMs !== undefined && perTokenMs < token) token = perTokenMs
  }
  return { firstContentMs: finite(first, 1), perTokenMs: finite(token, 0) }
}

function costOf(signals: TargetSignals, quickest: Quickest): number {
  const firstContentMs = signals.firstContentMs ?? quickest.firstContentMs
  const perTokenMs = signals.perTokenMs ?? quickest.perTokenMs
  const answerMs = firstContentMs + perTokenMs * typicalTokens
  const health = Math.max(leastHealth, 1 - signals.failureRate)
  return (answerMs * (signals.inFlight + 1)) / (weightInPlay(signals) * health)
}

function finite(value: number, otherwise: number): number {
  return Number.isFinite(value) ? value : otherwise
}
