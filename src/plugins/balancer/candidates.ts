import type { FastifyInstance } from 'fastify'
import type { TargetWish } from '../../relay/run/lease.ts'
import type { Standing } from '../health/target-health.ts'
import type { LiveSignals } from './live-signals.ts'
import type { ModelState } from './model-states.ts'

/** Targets that a strategy may choose from, all equally good as far as their health goes. */
export interface Group {
  readonly signals: readonly LiveSignals[]
  readonly isStandby: boolean
}

type Health = Pick<FastifyInstance['health'], 'of' | 'outlook' | 'admit' | 'loadingOf' | 'hasHung' | 'isHung'>

/**
 * The targets that an attempt may use, in groups: every target of a group is preferred to those of the groups behind it.
 * Empty where none can answer now.
 */
export function candidates(state: ModelState, wish: TargetWish, health: Health): readonly Group[] {
  const admitted: Admitted = health.admit(state)
  const outlook = health.outlook()
  const isPlain = wish.tried.size === 0 && wish.can === undefined && admitted.reserve.length === 0
  if (isPlain && !outlook.isMixed && !health.hasHung()) {
    const well = state.available.of(admitted.active, outlook.kept)
    if (well.length > 0) return [{ signals: well, isStandby: false }]
  }
  const groups = new Search(admitted, wish, health).groups()
  if (groups.length > 0 || wish.hasFallback) return groups
  return new Search(health.loadingOf(state), wish, health).groups()
}

/** Looks at each target. */
class Search {
  readonly #wish: TargetWish
  readonly #health: Health
  /** Those that the request may use at all and that can answer now, also the tried ones. */
  readonly #active: readonly Looked[]
  readonly #standby: readonly Looked[]

  constructor({ active, reserve }: Admitted, wish: TargetWish, health: Health) {
    this.#wish = wish
    this.#health = health
    this.#active = this.#look(active)
    this.#standby = this.#look(reserve)
  }

  groups(): readonly Group[] {
    const all = [...this.#active, ...this.#standby]
    const isAnyHealthy = all.some(({ standing }) => standing === 'first')
    const groups = isAnyHealthy ? this.#byStanding() : this.#asIfHealthy(all)
    return groups.map((group) => this.#steady(group)).filter(({ signals }) => signals.length > 0)
  }

  #look(signals: readonly LiveSignals[]): readonly Looked[] {
    const { can, traits } = this.#wish
    const looked: Looked[] = []
    for (const each of signals) {
      if (can && !can(each.target)) continue
      const health = this.#health.of(each.target)
      const standing = health.standing(health.hasFeatureFailures ? traits.features : 0)
      if (standing === 'out') continue
      const isHung = this.#health.isHung(each.target)
      looked.push({ signals: each, standing: isHung ? 'ejected' : standing })
    }
    return looked
  }

  #byStanding(): Group[] {
    const due = this.#due()
    const last = this.#untried(this.#active, 'last').filter((each) => each !== due)
    return [
      { signals: due ? [due] : [], isStandby: false },
      { signals: this.#untried(this.#active, 'first'), isStandby: false },
      { signals: last, isStandby: false },
      { signals: this.#untried(this.#standby, 'first'), isStandby: true },
      { signals: this.#untried(this.#standby, 'last'), isStandby: true },
    ]
  }

  /**
   * No target is healthy: all are used as if they were. Where another model can stand in, those whose breaker is open are left
   * to their probes.
   */
  #asIfHealthy(all: readonly Looked[]): Group[] {
    const { hasFallback } = this.#wish
    const isEjected = all.every(({ signals }) => this.#health.of(signals.target).breaker.state === 'open')
    if (hasFallback && isEjected) return []
    return [
      { signals: this.#untried(this.#active), isStandby: false },
      { signals: this.#untried(this.#standby), isStandby: true },
    ]
  }

  /** A misconfigured target that is to be tried again goes before the others, which answer if it is still not well. */
  #due(): LiveSignals | undefined {
    if (this.#wish.tried.size > 0) return undefined
    const due = this.#active.find(
      ({ signals, standing }) => standing === 'last' && this.#health.of(signals.target).isDue,
    )
    return due?.signals
  }

  #untried(looked: readonly Looked[], wanted?: Standing): readonly LiveSignals[] {
    const { tried } = this.#wish
    return looked
      .filter(({ signals, standing }) => !tried.has(signals.target.id) && (wanted ?? standing) === standing)
      .map(({ signals }) => signals)
  }

  /** Among those left for a further attempt, the ones that mostly fail come into question only when no other is left. */
  #steady(group: Group): Group {
    if (this.#wish.tried.size === 0) return group
    const steady = group.signals.filter(({ failureRate }) => failureRate < failsOften)
    return steady.length === 0 ? group : { ...group, signals: steady }
  }
}

type Admitted = Pick<ModelState, 'active' | 'reserve'>

interface Looked {
  signals: LiveSignals
  standing: Standing
}

/** A target with this share of failures counts as one that mostly fails. */
export const failsOften = 0.5

/**
 * The candidate that answered anybody most recently, whatever its group: the best chance for the last attempt of a
 * request. Undefined where none has answered yet.
 */
export function lastAnswered(groups: readonly Group[], health: Health): LiveSignals | undefined {
  let best: LiveSignals | undefined
  let bestAt = Number.NEGATIVE_INFINITY
  for (const signals of groups.filter(({ isStandby }) => !isStandby).flatMap((group) => group.signals)) {
    const { answeredAt } = health.of(signals.target)
    if (answeredAt <= bestAt) continue
    best = signals
    bestAt = answeredAt
  }
  return best
}
