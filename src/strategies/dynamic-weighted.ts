import type { SharingStrategy, TargetSignals, WeightControl } from '../sdk/strategy.ts'
import type { Target } from '../sdk/target.ts'
import { SmoothRotation } from './smooth-rotation.ts'

/** However badly a target does, it keeps this part of its weight: only its answers can show that it is well again. */
const least = 0.05
/** What a target that comes back begins with, growing evenly to the whole in `slowStartMs`. */
const startsWith = 0.1
const slowStartMs = 30_000

/**
 * Shares as the weights say, times what is observed: a target counts less the slower than the fastest it begins to
 * answer and the more often it fails. A target that comes back from a failure begins with a tenth and is given its
 * whole share over 30 s.
 */
export const dynamicWeighted: SharingStrategy = {
  name: 'dynamic_weighted',
  create: ({ now, random }) => {
    const settings = new WeightSettings(() => rotation.reweigh())
    const seen = new Observed()
    const rotation = new SmoothRotation({
      random,
      weightOf: (signals) => settings.weightOf(signals.target) * seen.factorOf(signals),
      observed: { now, look: (candidates, at) => seen.look(candidates, at) },
    })
    return {
      weights: settings,
      pick: (candidates) => rotation.next(candidates),
      retain(targets) {
        rotation.retain(targets)
        settings.retain(targets)
      },
    }
  },
}

/** Says which part of its weight each of the candidates is worth now, `least` to 1. */
class Observed {
  #at = 0
  #fastestMs = Number.POSITIVE_INFINITY
  #mostStarted = 1

  look(candidates: readonly TargetSignals[], at: number): void {
    let fastestMs = Number.POSITIVE_INFINITY
    let earliest = Number.POSITIVE_INFINITY
    for (let index = 0; index < candidates.length; index++) {
      const { firstContentMs, returnedAt } = candidates[index] as TargetSignals
      if (firstContentMs !== undefined && firstContentMs < fastestMs) fastestMs = firstContentMs
      if (returnedAt < earliest) earliest = returnedAt
    }
    this.#at = at
    this.#fastestMs = fastestMs
    // Against the one that has run longest: after a start all are equally new, and none is held back.
    this.#mostStarted = startedPart(earliest, at)
  }

  factorOf({ firstContentMs, failureRate, returnedAt }: TargetSignals): number {
    // Who was not seen yet counts as fast, and is soon seen.
    const speed = firstContentMs ? this.#fastestMs / firstContentMs : 1
    const health = 1 - failureRate
    // Squared: a failure costs its own time, and then another target's.
    const observed = speed * health * health * (startedPart(returnedAt, this.#at) / this.#mostStarted)
    return observed > least ? observed : least
  }
}

function startedPart(returnedAt: number, at: number): number {
  const part = (at - returnedAt) / slowStartMs
  if (part >= 1) return 1
  return startsWith + (1 - startsWith) * Math.max(part, 0)
}

class WeightSettings implements WeightControl {
  readonly #weights = new Map<string, number>()
  readonly #onChange: () => void

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  set(targetId: string, weight: number): void {
    if (Number.isNaN(weight)) throw new RangeError('a weight must be a number')
    this.#weights.set(targetId, Math.min(Math.max(weight, 0), 1))
    this.#onChange()
  }

  reset(targetId: string): void {
    this.#weights.delete(targetId)
    this.#onChange()
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
