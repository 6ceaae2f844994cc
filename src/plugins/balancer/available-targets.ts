import type { Target } from '../../sdk/target.ts'
import type { TargetHealth } from '../health/target-health.ts'
import type { LiveSignals } from './live-signals.ts'

/**
 * Those of a model's targets that are well: the same list for as long as they are the same ones, since strategies keep
 * what they know of a list. Among hundreds some are nearly always down.
 */
export class AvailableTargets {
  readonly #healthOf: (target: Target) => TargetHealth
  #all: readonly LiveSignals[] = []
  #kept: readonly TargetHealth[] = []
  #available: readonly LiveSignals[] = []

  constructor(healthOf: (target: Target) => TargetHealth) {
    this.#healthOf = healthOf
  }

  /** `kept`: the healths of the targets to leave out; a list that is the same says the same. */
  of(all: readonly LiveSignals[], kept: readonly TargetHealth[]): readonly LiveSignals[] {
    if (all === this.#all && kept === this.#kept) return this.#available
    const out = new Set(kept)
    const available = all.filter(({ target }) => !out.has(this.#healthOf(target)))
    // After a reload the same signals may be of targets with other weights or addresses.
    const isKept = all === this.#all && areSame(available, this.#available)
    this.#all = all
    this.#kept = kept
    if (available.length === all.length) this.#available = all
    else if (!isKept) this.#available = available
    return this.#available
  }
}

function areSame<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((each, index) => each === b[index])
}
