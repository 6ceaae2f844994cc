import type { CheckedState, Target } from '../../sdk/target.ts'

/** The targets that a model is served from. */
export interface Candidates<Candidate> {
  active: readonly Candidate[]
  /** Used only if no active target is left. */
  standby: readonly Candidate[]
}

type StateListener = (target: Target, state: CheckedState) => void

/** State of each target's server according to the health checks, and which targets may be picked as a result. */
export class TargetStates {
  /** Of targets that are not up. */
  readonly #states = new Map<Target, CheckedState>()
  /** Checked state of targets whose server reported to a request that it is loading. */
  readonly #reportedLoading = new Map<Target, CheckedState>()
  readonly #listeners: StateListener[] = []
  /** Ids of drained targets: a reload may replace a target but keeps its id. */
  #drained: ReadonlySet<string> = new Set()
  /** Filtered lists by unfiltered list. A list is reused until a state changes, because strategies cache per list. */
  #filtered = new WeakMap<readonly object[], readonly object[]>()

  of(target: Target): CheckedState {
    return this.#states.get(target) ?? 'up'
  }

  /** Whether the server can take requests according to the checks. */
  isUp(target: Target): boolean {
    if (this.isDrained(target)) return false
    if (this.#states.size === 0) return true
    const state = this.of(target)
    return state === 'up' || state === 'degraded'
  }

  isDrained({ id }: Target): boolean {
    return this.#drained.has(id)
  }

  /** Sets exactly the targets with these ids to drained. */
  drain(ids: ReadonlySet<string>): void {
    this.#drained = ids
    this.#filtered = new WeakMap()
  }

  /** Sets the state found by the health checks. */
  set(target: Target, state: CheckedState): void {
    if (this.#reportedLoading.has(target)) this.#reportedLoading.set(target, state)
    // If the server is down, the checks override its response to a request.
    if (this.#reportedLoading.has(target) && (state === 'up' || state === 'degraded')) return
    this.#change(target, state)
  }

  /** Marks a server that reported to a request that it is loading. Lasts until called again with `false`. */
  setReportedLoading(target: Target, on: boolean): void {
    if (on && !this.#reportedLoading.has(target)) this.#reportedLoading.set(target, this.of(target))
    const checked = this.#reportedLoading.get(target) ?? 'up'
    if (!on) this.#reportedLoading.delete(target)
    if (checked === 'up' || checked === 'degraded') this.#change(target, on ? 'loading' : checked)
  }

  /** Drops the state of removed targets. */
  retain(targets: ReadonlySet<Target>): void {
    for (const known of [this.#states, this.#reportedLoading])
      for (const target of known.keys()) if (!targets.has(target)) known.delete(target)
    this.#filtered = new WeakMap()
  }

  onChange(listener: StateListener): void {
    this.#listeners.push(listener)
  }

  /**
   * The targets that may be picked: those that are up. If there are none, those whose checks only time out are used as
   * if they were up (panic mode).
   */
  admit<Candidate extends { target: Target }, Given extends Candidates<Candidate>>(
    all: Given & Candidates<Candidate>,
  ): Candidates<Candidate> {
    if (this.#states.size === 0 && this.#drained.size === 0) return all
    const active = this.#up(all.active)
    const standby = this.#up(all.standby)
    return active.length + standby.length > 0 ? { active, standby } : this.#in('silent', all)
  }

  /** Targets that are loading, for which a request without another target waits. */
  loading<Candidate extends { target: Target }>(all: Candidates<Candidate>): Candidates<Candidate> {
    return this.#states.size === 0 ? { active: [], standby: [] } : this.#in('loading', all)
  }

  /** Whether the model is in panic mode: all targets are down, and those that only time out are used anyway. */
  isPanicking(targets: readonly Target[]): boolean {
    if (this.#states.size === 0 || targets.some((target) => this.isUp(target))) return false
    return targets.some((target) => this.of(target) === 'silent' && !this.isDrained(target))
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
    { active, standby }: Candidates<Candidate>,
  ): Candidates<Candidate> {
    const isIn = ({ target }: Candidate): boolean => this.of(target) === state && !this.isDrained(target)
    return { active: active.filter(isIn), standby: standby.filter(isIn) }
  }
}
