import type { SharingStrategy, TargetSignals } from '../sdk/strategy.ts'
import type { Target } from '../sdk/target.ts'
import { draw, effectiveWeight, loadOf, noCandidates, withWeight } from './draw.ts'

/** Assumed response length in tokens; determines how much time per token matters relative to time to first content. */
const typicalTokens = 200
/** Predictions are inexact: targets up to this factor of the lowest cost are equivalent, and the weights decide. */
const costTolerance = 1.25
/** An expensive target is tried again once both have passed, because its averages are not updated without requests. */
const retryAfterMs = 10_000
const retryAfterPicks = 50
/** Minimum success rate in predictions. */
const minHealth = 0.05

interface Moment {
  at: number
  picks: number
}

/**
 * Picks the target with the lowest predicted cost of another request: time to first content plus time for the tokens,
 * multiplied by the requests in flight including this one (and those of other users, if the engine reports them), divided by
 * weight and success rate.
 */
export const adaptive: SharingStrategy = {
  name: 'adaptive',
  usesWeights: true,
  create: ({ now, random }) => {
    const history = new PickHistory()
    let picks = 0
    const choose = (
      targets: readonly TargetSignals[],
      lastPicked: readonly (Moment | undefined)[],
      moment: Moment,
    ): TargetSignals => {
      const neglected = targets.find((signals, index) => isNeglected(signals, lastPicked[index], moment))
      return neglected ?? draw(cheapest(targets), random()) ?? noCandidates()
    }
    return {
      reason: () => 'least expected time',
      preview(candidates) {
        const targets = withWeight(candidates)
        return choose(targets, targets.map(history.lastOf), { at: now(), picks })
      },
      scores(candidates) {
        const quickest = quickestOf(candidates)
        return candidates.map((signals) => -costOf(signals, quickest))
      },
      pick(candidates) {
        const moment = { at: now(), picks }
        const targets = withWeight(candidates)
        const lastPicked = history.of(targets, moment)
        const picked = choose(targets, lastPicked, moment)
        picks++
        const last = lastPicked[targets.indexOf(picked)]
        if (last) {
          last.at = moment.at
          last.picks = picks
        }
        return picked
      },
    }
  },
}

/** When each target was last picked; before its first pick, when it first was a candidate. */
class PickHistory {
  readonly #moments = new WeakMap<Target, Moment>()
  /** The candidates of the last pick; those of the next one are usually the same list. */
  #targets: readonly TargetSignals[] = []
  #inOrder: readonly Moment[] = []

  readonly lastOf = ({ target }: TargetSignals): Moment | undefined => this.#moments.get(target)

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

function isNeglected(
  { inFlight, returnedAt }: TargetSignals,
  last: Moment | undefined,
  { at, picks }: Moment,
): boolean {
  if (inFlight > 0 || !last) return false
  return returnedAt > last.at || (at - last.at >= retryAfterMs && picks - last.picks >= retryAfterPicks)
}

/** Returns the target with the lowest predicted cost and those that are about as good. */
function cheapest(targets: readonly TargetSignals[]): readonly TargetSignals[] {
  const quickest = quickestOf(targets)
  const costs = targets.map((signals) => costOf(signals, quickest))
  let lowestCost = Number.POSITIVE_INFINITY
  for (const cost of costs) lowestCost = Math.min(lowestCost, cost)
  return targets.filter((_, index) => (costs[index] ?? 0) <= lowestCost * costTolerance)
}

interface Quickest {
  firstContentMs: number
  perTokenMs: number
}

/** The best value of each average, assumed for targets without observations so that they get requests. */
function quickestOf(targets: readonly TargetSignals[]): Quickest {
  let first = Number.POSITIVE_INFINITY
  let token = Number.POSITIVE_INFINITY
  for (const { firstContentMs, perTokenMs } of targets) {
    if (firstContentMs !== undefined && firstContentMs < first) first = firstContentMs
    if (perTokenMs !== undefined && perTokenMs < token) token = perTokenMs
  }
  return { firstContentMs: finite(first, 1), perTokenMs: finite(token, 0) }
}

/** Predicted cost in milliseconds per weight. */
function costOf(signals: TargetSignals, quickest: Quickest): number {
  const firstContentMs = signals.firstContentMs ?? quickest.firstContentMs
  const perTokenMs = signals.perTokenMs ?? quickest.perTokenMs
  const responseMs = firstContentMs + perTokenMs * typicalTokens
  const health = Math.max(minHealth, 1 - signals.failureRate)
  return (responseMs * (loadOf(signals) + 1)) / (effectiveWeight(signals) * health)
}

function finite(value: number, fallback: number): number {
  return Number.isFinite(value) ? value : fallback
}
