import { hashOfText, mixed } from '../../lib/rolling-hash.ts'
import type { Target } from '../../sdk/target.ts'

/**
 * Rendezvous hashing (Thaler and Ravishankar, 1998): each target has a rank for each key, the same in every router. When a
 * target joins or leaves, only the keys that it gains or had are moved.
 */
export class Rendezvous {
  readonly #seeds = new WeakMap<Target, number>()

  /** From 0 to 1; a key belongs to the target with the highest rank. */
  rank(key: number, target: Target): number {
    let seed = this.#seeds.get(target)
    if (seed === undefined) {
      seed = mixed(hashOfText(target.id) % 0x100000000)
      this.#seeds.set(target, seed)
    }
    const low = mixed((key % 0x100000000) ^ seed)
    return mixed(low ^ Math.floor(key / 0x100000000)) / 0x100000000
  }
}
