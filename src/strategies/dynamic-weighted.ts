import type { Outcome, SharingStrategy, TargetSignals, WeightControl } from '../core/strategy.ts'
import type { Target } from '../core/target.ts'
import { Recent } from './recent.ts'
import { SmoothRotation } from './smooth-rotation.ts'

/** However badly a target does, it keeps this part of its weight: only its answers can show that it is well again. */
const least = 0.05
/** What a target that comes back begins with, growing evenly to the whole in `slowStartMs`. */
const startsWith = 0.1
const slowStartMs = 30_000
const historyLength = 10_000

/**
 * Shares as the weights say, times what is observed: a target counts less the slower than the fastest it begins to
 * answer and the more often it fails. A target that comes back from a failure begins with a tenth and is given its
 * whole share over 30 s.
 */
export const dynamicWeighted: SharingStrategy = {
  name: 'dynamic_weighted',
  create: ({ now }) => {
    const rotation = new SmoothRotation()
    const settings = new WeightSettings()
    return {
      weights: settings,
      pick(candidates) {
        const factorOf = observedFactor(candidates, now())
        return rotation.next(candidates, (signals) => settings.weightOf(signals.target) * factorOf(signals))
      },
      settled: (target, outcome) => settings.record(target, outcome),
      retain(targets) {
        rotation.retain(targets)
        settings.retain(targets)
      },
    }
  },
}

/** Says which part of its weight each of the candidates is worth now, `least` to 1. */
function observedFactor(
  candidates: readonly TargetSignals[],
  at: number,
): (signals: TargetSignals) => number {
  const fastestMs = Math.min(...candidates.map(({ firstContentMs }) => firstContentMs ?? Infinity))
  // Against the one that has run longest: after a start all are equally new, and none is held back.
  const mostStarted = Math.max(...candidates.map((signals) => startedPart(signals, at)))
  return (signals) => {
    const { firstContentMs, failureRate } = signals
    // Who was not seen yet counts as fast, and is soon seen.
    const speed = firstContentMs ? fastestMs / firstContentMs : 1
    const health = 1 - failureRate
    // Squared: a failure costs its own time, and then another target's.
    const observed = speed * health * health * (startedPart(signals, at) / mostStarted)
    return Math.max(least, observed)
  }
}

function startedPart({ returnedAt }: TargetSignals, at: number): number {
  const part = Math.min(Math.max((at - returnedAt) / slowStartMs, 0), 1)
  return startsWith + (1 - startsWith) * part
}

class WeightSettings implements WeightControl {
  readonly #weights = new Map<string, number>()
  readonly #histories = new Map<string, Recent<Outcome>>()

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

  history(targetId: string): readonly Outcome[] {
    return this.#histories.get(targetId)?.list() ?? []
  }

  retain(targets: readonly Target[]): void {
    const ids = new Set(targets.map(({ id }) => id))
    for (const kept of [this.#weights, this.#histories])
      for (const id of kept.keys()) if (!ids.has(id)) kept.delete(id)
  }

  weightOf(target: Target): number {
    return this.#weights.get(target.id) ?? target.weight
  }

  record(target: Target, outcome: Outcome): void {
    const history = this.#histories.get(target.id) ?? new Recent<Outcome>(historyLength)
    this.#histories.set(target.id, history)
    history.add(outcome)
  }
}
