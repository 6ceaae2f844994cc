import type { Target } from '../../core/target.ts'
import type { Breaker } from '../../relay/breaker.ts'
import type { LiveSignals } from '../../relay/live-signals.ts'

/**
 * Those of a model's targets that may be tried now: the same list for as long as they are the same ones, since strategies
 * keep what they know of a list. Among hundreds some are nearly always down.
 */
export class AvailableTargets {
  readonly #breakerOf: (target: Target) => Breaker
  #all: readonly LiveSignals[] = []
  #keptOut: readonly Breaker[] = []
  #available: readonly LiveSignals[] = []

  constructor(breakerOf: (target: Target) => Breaker) {
    this.#breakerOf = breakerOf
  }

  /** `keepingOut`: the breakers that keep their targets out; a list that is the same says the same. */
  of(all: readonly LiveSignals[], keepingOut: readonly Breaker[]): readonly LiveSignals[] {
    if (all === this.#all && keepingOut === this.#keptOut) return this.#available
    const out = new Set(keepingOut)
    const available = all.filter(({ target }) => !out.has(this.#breakerOf(target)))
    // After a reload the same signals may be of targets with other weights or addresses.
    const isKept = all === this.#all && areSame(available, this.#available)
    this.#all = all
    this.#keptOut = keepingOut
    if (available.length === all.length) this.#available = all
    else if (!isKept) this.#available = available
    return this.#available
  }
}

function areSame<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((each, index) => each === b[index])
}
