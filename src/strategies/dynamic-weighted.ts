import type { SharingStrategy, TargetSignals, WeightControl } from '../sdk/strategy.ts'
import type { Target } from '../sdk/target.ts'
import { SmoothRotation } from './smooth-rotation.ts'

/** Minimum share of its weight that a target keeps, because only its responses can show that it has recovered. */
const minFactor = 0.05
/** A recovered target starts with this share of its weight, which grows linearly to 1 over `slowStartMs`. */
const initialShare = 0.1
const slowStartMs = 30_000

/**
 * Distributes requests by weight and observed performance: a target gets fewer the slower its first content is relative to the
 * fastest target and the more often it fails. A recovered target starts with a tenth and reaches its full share after 30 s.
 */
export const dynamicWeighted: SharingStrategy = {
  name: 'dynamic_weighted',
  usesWeights: true,
  create: ({ now, random }) => {
    const settings = new WeightSettings()
    let observed: Observed = { at: 0, fastestMs: 0, maxStarted: 1 }
    const rotation = new SmoothRotation({
      random,
      weightsChange: true,
      weightOf: (signals) => settings.weightOf(signals.target) * factorOf(signals, observed),
    })
    return {
      weights: settings,
      reason: () => 'by weight, speed and health',
      preview(candidates) {
        observed = observe(candidates, now())
        return rotation.peek(candidates)
      },
      scores(candidates) {
        observed = observe(candidates, now())
        return rotation.credits(candidates)
      },
      pick(candidates) {
        observed = observe(candidates, now())
        return rotation.next(candidates)
      },
      retain(targets) {
        rotation.retain(targets)
        settings.retain(targets)
      },
    }
  },
}

/** Reference values for comparing candidates. */
interface Observed {
  at: number
  fastestMs: number
  maxStarted: number
}

function observe(candidates: readonly TargetSignals[], at: number): Observed {
  let fastestMs = Number.POSITIVE_INFINITY
  let earliest = Number.POSITIVE_INFINITY
  for (const { firstContentMs, returnedAt } of candidates) {
    if (firstContentMs !== undefined && firstContentMs < fastestMs) fastestMs = firstContentMs
    if (returnedAt < earliest) earliest = returnedAt
  }
  // Relative to the longest-running target: after startup all are equally new, and none is held back.
  return { at, fastestMs, maxStarted: startedShare(earliest, at) }
}

/** Share of its weight that a target gets now, `minFactor` to 1. */
function factorOf({ firstContentMs, failureRate, returnedAt }: TargetSignals, observed: Observed): number {
  // A target without observations counts as fast, so that it is soon observed.
  const speed = firstContentMs ? observed.fastestMs / firstContentMs : 1
  const health = 1 - failureRate
  const started = startedShare(returnedAt, observed.at) / observed.maxStarted
  // Squared, because a failure costs time at this target and again at the next one.
  return Math.max(minFactor, speed * health * health * started)
}

function startedShare(returnedAt: number, at: number): number {
  const elapsed = (at - returnedAt) / slowStartMs
  if (elapsed >= 1) return 1
  return initialShare + (1 - initialShare) * Math.max(elapsed, 0)
}

class WeightSettings implements WeightControl {
  readonly #weights = new Map<string, number>()

  set(targetId: string, weight: number): void {
    if (Number.isNaN(weight)) throw new RangeError('a weight must be a number')
    this.#weights.set(targetId, Math.min(Math.max(weight, 0), 1))
  }

  reset(targetId: string): void {
    this.#weights.delete(targetId)
  }

  get(targetId: string): number | undefined {
    return this.#weights.get(targetId)
  }

  retain(targets: readonly Target[]): void {
    const ids = new Set(targets.map(({ id }) => id))
    for (const id of this.#weights.keys()) if (!ids.has(id)) this.#weights.delete(id)
  }

  weightOf(target: Target): number {
    return this.#weights.size === 0 ? target.weight : (this.#weights.get(target.id) ?? target.weight)
  }
}
