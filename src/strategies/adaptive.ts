import type { SharingStrategy, TargetSignals } from '../sdk/strategy.ts'
import type { Target } from '../sdk/target.ts'
import { draw, inPlay, loadOf, weightInPlay } from './draw.ts'

/** Response length for predictions, which sets the relative weight of first content and tokens. */
const typicalTokens = 200
/** Predictions are not exact: a target within this of the cheapest is as good, and the weights decide. */
const asGood = 1.25
/** A target that is always too dear is tried again after both, because its averages are not updated without requests. */
const retryAfterMs = 10_000
const retryAfterPicks = 50
/** A target is never considered worse than this part of successes. */
const minHealth = 0.05

interface Moment {
  at: number
  picks: number
}

/**
 * Picks the target with the lowest predicted cost of another request: the time to its first content and for its tokens,
 * times the requests in flight including this one (and those of other users, if the engine reports them), divided by the success
 * rate.
 */
export const adaptive: SharingStrategy = {
  name: 'adaptive',
  usesWeights: true,
  create: ({ now, random }) => {
    const known = new Known()
    let picks = 0
    const choose = (
      targets: readonly TargetSignals[],
      lastPicked: readonly (Moment | undefined)[],
      moment: Moment,
    ): TargetSignals => {
      const forgotten = targets.find((signals, index) => isForgotten(signals, lastPicked[index], moment))
      return forgotten ?? draw(cheapest(targets), random()) ?? none()
    }
    return {
      reason: () => 'least expected time',
      preview(candidates) {
        const targets = inPlay(candidates)
        return choose(targets, targets.map(known.lastOf), { at: now(), picks })
      },
      scores(candidates) {
        const quickest = quickestOf(candidates)
        return candidates.map((signals) => -costOf(signals, quickest))
      },
      pick(candidates) {
        const moment = { at: now(), picks }
        const targets = inPlay(candidates)
        const lastPicked = known.of(targets, moment)
        const picked = choose(targets, lastPicked, moment)
        picks++
        Object.assign(lastPicked[targets.indexOf(picked)] ?? {}, { at: moment.at, picks })
        return picked
      },
    }
  },
}

/** When each target was last picked; before its first pick, when it was first offered. */
class Known {
  readonly #moments = new WeakMap<Target, Moment>()
  /** The next pick is mostly among the same list. */
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

function none(): never {
  throw new Error('a strategy was called without candidates')
}

function isForgotten(
  { inFlight, returnedAt }: TargetSignals,
  last: Moment | undefined,
  { at, picks }: Moment,
): boolean {
  if (inFlight > 0 || !last) return false
  return returnedAt > last.at || (at - last.at >= retryAfterMs && picks - last.picks >= retryAfterPicks)
}

/** The target that is predicted to cost least, and those that are about as good. */
function cheapest(targets: readonly TargetSignals[]): readonly TargetSignals[] {
  const quickest = quickestOf(targets)
  const costs = targets.map((signals) => costOf(signals, quickest))
  let least = Number.POSITIVE_INFINITY
  for (const cost of costs) least = Math.min(least, cost)
  return targets.filter((_, index) => (costs[index] ?? 0) <= least * asGood)
}

interface Quickest {
  firstContentMs: number
  perTokenMs: number
}

/** A target that has not been seen yet counts as being this quick. */
function quickestOf(targets: readonly TargetSignals[]): Quickest {
  let first = Number.POSITIVE_INFINITY
  let token = Number.POSITIVE_INFINITY
  for (const { firstContentMs, perTokenMs } of targets) {
    if (firstContentMs !== undefined && firstContentMs < first) first = firstContentMs
    if (perTokenMs !== undefined && perTokenMs < token) token = perTokenMs
  }
  return { firstContentMs: finite(first, 1), perTokenMs: finite(token, 0) }
}

/** In milliseconds of work per weight. */
function costOf(signals: TargetSignals, quickest: Quickest): number {
  const firstContentMs = signals.firstContentMs ?? quickest.firstContentMs
  const perTokenMs = signals.perTokenMs ?? quickest.perTokenMs
  const answerMs = firstContentMs + perTokenMs * typicalTokens
  const health = Math.max(minHealth, 1 - signals.failureRate)
  return (answerMs * (loadOf(signals) + 1)) / (weightInPlay(signals) * health)
}

function finite(value: number, otherwise: number): number {
  return Number.isFinite(value) ? value : otherwise
}
