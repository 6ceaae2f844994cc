import type { Operation } from '../../sdk/provider.ts'
import type { Target } from '../../sdk/target.ts'

/** After this a server is asked again, in milliseconds: a 404 may come from a proxy in front of a server that starts. */
const forgetAfterMs = 300_000

/** Operations that servers turned out not to have, so that not every request is sent twice. */
export class DeclinedOperations {
  readonly #now: () => number
  readonly #until = new WeakMap<Target, Map<Operation, number>>()

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  has(target: Target, operation: Operation): boolean {
    return (this.#until.get(target)?.get(operation) ?? Number.NEGATIVE_INFINITY) > this.#now()
  }

  add(target: Target, operation: Operation): void {
    const known = this.#until.get(target) ?? new Map<Operation, number>()
    this.#until.set(target, known.set(operation, this.#now() + forgetAfterMs))
  }
}
