import type { TargetHealth } from './target-health.ts'

/** How the targets of all models stand for a request without features. */
export interface Outlook {
  /** Those that do not stand `first`: the same list for as long as they are the same ones. */
  readonly kept: readonly TargetHealth[]
  /** Whether some stand otherwise for requests with features, or are to be tried although they come last: look at each. */
  readonly isMixed: boolean
}

const well: Outlook = { kept: [], isMixed: false }

/** The targets that something is known against. Nearly always there is none, so a pick costs nothing more. */
export class Troubled {
  readonly #all = new Set<TargetHealth>()
  #outlook: Outlook = well

  add(health: TargetHealth): void {
    this.#all.add(health)
  }

  retain(present: ReadonlySet<TargetHealth>): void {
    for (const health of this.#all) if (!present.has(health)) this.#all.delete(health)
  }

  outlook(): Outlook {
    if (this.#all.size === 0 && this.#outlook.kept.length === 0) return well
    const { kept } = this.#outlook
    let count = 0
    let areSame = true
    let isMixed = false
    for (const health of this.#all) {
      if (health.isWell) {
        this.#all.delete(health)
        continue
      }
      const standing = health.standing(0)
      if (health.hasFeatureFailures || standing === 'last') isMixed = true
      if (standing !== 'first' && kept[count++] !== health) areSame = false
    }
    if (areSame && count === kept.length && isMixed === this.#outlook.isMixed) return this.#outlook
    const now = areSame && count === kept.length ? kept : this.#keptNow()
    this.#outlook = { kept: now, isMixed }
    return this.#outlook
  }

  #keptNow(): readonly TargetHealth[] {
    return [...this.#all].filter((health) => health.standing(0) !== 'first')
  }
}
