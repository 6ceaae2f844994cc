import type { SharingStrategy, TargetSignals } from '../core/strategy.ts'
import type { Target } from '../core/target.ts'
import { draw, inPlay, weightInPlay } from './draw.ts'

/** The answer that costs are predicted for: what matters is how first content and tokens weigh against each other. */
const typicalTokens = 200
/** Predictions are not exact: who is within this of the cheapest is as good, and the weights decide. */
const asGood = 1.25
/** A target that is always too dear is tried again after both, for its averages say nothing new without requests. */
const retryAfterMs = 10_000
const retryAfterPicks = 50
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
    /** When each target was last picked; before its first pick, when it was first offered. */
    const lastTaken = new WeakMap<Target, Moment>()
    let picks = 0
    return {
      pick(candidates) {
        const moment = { at: now(), picks }
        const targets = inPlay(candidates)
        for (const { target } of targets) if (!lastTaken.has(target)) lastTaken.set(target, moment)
        const forgotten = targets.find((signals) =>
          isForgotten(signals, lastTaken.get(signals.target), moment),
        )
        const picked = forgotten ?? draw(cheapest(targets), random())
        picks++
        lastTaken.set(picked.target, { ...moment, picks })
        return picked
      },
    }
  },
}

function isForgotten(
  { returnedAt, inFlight }: TargetSignals,
  last: Moment | undefined,
  moment: Moment,
): boolean {
  if (!last || inFlight > 0) return false
  if (returnedAt > last.at) return true
  return moment.at - last.at >= retryAfterMs && moment.picks - last.picks >= retryAfterPicks
}

function cheapest(targets: readonly TargetSignals[]): readonly TargetSignals[] {
  const quickest = {
    firstContentMs: Math.min(...targets.map(({ firstContentMs }) => firstContentMs ?? Infinity)),
    perTokenMs: Math.min(...targets.map(({ perTokenMs }) => perTokenMs ?? Infinity)),
  }
  const costs = targets.map((signals) => cost(signals, quickest))
  const most = Math.min(...costs) * asGood
  return targets.filter((_, index) => (costs[index] ?? Infinity) <= most)
}

/** In ms of work per weight. A target that was not seen yet counts as quick as the quickest. */
function cost(signals: TargetSignals, quickest: { firstContentMs: number; perTokenMs: number }): number {
  const firstContentMs = signals.firstContentMs ?? finite(quickest.firstContentMs, 1)
  const perTokenMs = signals.perTokenMs ?? finite(quickest.perTokenMs, 0)
  const health = Math.max(leastHealth, 1 - signals.failureRate)
  const answerMs = firstContentMs + perTokenMs * typicalTokens
  return (answerMs * (signals.inFlight + 1)) / weightInPlay(signals) / health
}

function finite(value: number, otherwise: number): number {
  return Number.isFinite(value) ? value : otherwise
}
