import type { SharingStrategy, TargetSignals } from '../core/strategy.ts'
import type { Target } from '../core/target.ts'
import { Draw, weightInPlay } from './draw.ts'

/** The answer that costs are predicted for: what matters is how first content and tokens weigh against each other. */
const typicalTokens = 200
/** Predictions are not exact: who is within this of the cheapest is as good, and the weights decide. */
const asGood = 1.25
/** A target that is always too dear is tried again after both, for its averages say nothing new without requests. */
const retryAfterMs = 10_000
const retryAfterPicks = 50
/** They are looked for once in picks of this part of the targets. */
const lookShare = 0.01
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
    const prices = new Prices()
    let picks = 0
    return {
      pick(candidates) {
        const at = now()
        const targets = draw.among(candidates)
        const lastTaken = known.of(targets, { at, picks })
        // Among hundreds, those that nobody takes need not be looked for with every pick.
        const looks = picks % Math.ceil(targets.length * lookShare) === 0
        let picked = looks ? forgottenAmong(targets, lastTaken, { at, picks }) : -1
        if (picked === -1) picked = prices.drawCheapest(targets, random())
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

class Prices {
  /** Of the last targets, in ms of work per weight; kept for their room. */
  #costs = new Float64Array(0)

  /** The index of one of the cheapest, with a chance as the weights say. */
  drawCheapest(targets: readonly TargetSignals[], random: number): number {
    const most = this.#look(targets) * asGood
    const costs = this.#costs
    let weight = 0
    for (let index = 0; index < targets.length; index++)
      if ((costs[index] as number) <= most) weight += weightInPlay(targets[index] as TargetSignals)
    let left = random * weight
    let last = 0
    for (let index = 0; index < targets.length && left >= 0; index++) {
      if ((costs[index] as number) > most) continue
      last = index
      left -= weightInPlay(targets[index] as TargetSignals)
    }
    return last
  }

  /** Gives the lowest cost. */
  #look(targets: readonly TargetSignals[]): number {
    if (this.#costs.length < targets.length) this.#costs = new Float64Array(targets.length)
    const quickest = quickestOf(targets)
    let least = Number.POSITIVE_INFINITY
    for (let index = 0; index < targets.length; index++) {
      const cost = costOf(targets[index] as TargetSignals, quickest)
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
