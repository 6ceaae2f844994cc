import type { CheckedState, Target } from '../../sdk/target.ts'

/** What a model's targets are picked from. */
export interface Candidates<Candidate> {
  active: readonly Candidate[]
  /** Used only where no active one is left. */
  reserve: readonly Candidate[]
}

type StateListener = (target: Target, state: CheckedState) => void

/** What the health checks say of each target's server, and which targets may be picked therefore. */
export class TargetStates {
  /** Of those that are not up. */
  readonly #states = new Map<Target, CheckedState>()
  /** What the checks say of them, where a request was told something else. */
  readonly #held = new Map<Target, CheckedState>()
  readonly #listeners: StateListener[] = []
  /** Filtered lists, by the whole one: the same list for as long as nothing changes, since strategies keep what they know of a list. */
  #filtered = new WeakMap<readonly object[], readonly object[]>()

  of(target: Target): CheckedState {
    return this.#states.get(target) ?? 'up'
  }

  /** Whether its server can take requests, as far as the checks say. */
  isUp(target: Target): boolean {
    if (this.#states.size === 0) return true
    const state = this.of(target)
    return state === 'up' || state === 'doubtful'
  }

  /** The checks have found this. */
  set(target: Target, state: CheckedState): void {
    if (this.#held.has(target)) this.#held.set(target, state)
    // The checks know better of a server that is down.
    if (this.#held.has(target) && (state === 'up' || state === 'doubtful')) return
    this.#change(target, state)
  }

  /** A server has answered a request by saying that it loads: that holds until this is called again with `false`. */
  hold(target: Target, on: boolean): void {
    if (on && !this.#held.has(target)) this.#held.set(target, this.of(target))
    const checked = this.#held.get(target) ?? 'up'
    if (!on) this.#held.delete(target)
    if (checked === 'up' || checked === 'doubtful') this.#change(target, on ? 'loading' : checked)
  }

  /** Targets that are gone are forgotten. */
  retain(targets: ReadonlySet<Target>): void {
    for (const known of [this.#states, this.#held])
      for (const target of known.keys()) if (!targets.has(target)) known.delete(target)
    this.#filtered = new WeakMap()
  }

  onChange(listener: StateListener): void {
    this.#listeners.push(listener)
  }

  /**
   * Those that may be picked: the ones that are up. Where there is none, those whose checks only time out are used as if
   * they were (panic mode).
   */
  admit<Candidate extends { target: Target }, Given extends Candidates<Candidate>>(
    all: Given & Candidates<Candidate>,
  ): Candidates<Candidate> {
    if (this.#states.size === 0) return all
    const active = this.#up(all.active)
    const reserve = this.#up(all.reserve)
    return active.length + reserve.length > 0 ? { active, reserve } : this.#in('silent', all)
  }

  /** Those that load: a request for which no other one is left waits for them. */
  loading<Candidate extends { target: Target }>(all: Candidates<Candidate>): Candidates<Candidate> {
    return this.#states.size === 0 ? { active: [], reserve: [] } : this.#in('loading', all)
  }

  /** Whether all targets are down and some of them only time out, so that they are used nevertheless. */
  isPanicking(targets: readonly Target[]): boolean {
    if (this.#states.size === 0 || targets.some((target) => this.isUp(target))) return false
    return targets.some((target) => this.of(target) === 'silent')
  }

  #change(target: Target, state: CheckedState): void {
    if (state === this.of(target)) return
    if (state === 'up') this.#states.delete(target)
    else this.#states.set(target, state)
    this.#filtered = new WeakMap()
    for (const listener of this.#listeners) listener(target, state)
  }

  #up<Candidate extends { target: Target }>(all: readonly Candidate[]): readonly Candidate[] {
    const known = this.#filtered.get(all) as readonly Candidate[] | undefined // only this method adds to it
    if (known) return known
    const up = all.filter(({ target }) => this.isUp(target))
    const result = up.length === all.length ? all : up
    this.#filtered.set(all, result)
    return result
  }

  #in<Candidate extends { target: Target }>(
    state: CheckedState,
    { active, reserve }: Candidates<Candidate>,
  ): Candidates<Candidate> {
    const isIn = ({ target }: Candidate): boolean => this.of(target) === state
    return { active: active.filter(isIn), reserve: reserve.filter(isIn) }
  }
}
