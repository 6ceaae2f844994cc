import type { FastifyInstance } from 'fastify'
import type { PickContext } from '../../relay/run/lease.ts'
import type { Standing } from '../health/target-health.ts'
import type { Group, LiveSignals } from './live-signals.ts'
import type { ModelState } from './model-states.ts'

type Health = Pick<FastifyInstance['health'], 'of' | 'summary' | 'admit' | 'loadingOf' | 'hasHung' | 'isHung'>

/** Groups the targets that an attempt may use, in descending preference. Empty if none can answer now. */
export function candidates(state: ModelState, context: PickContext, health: Health): readonly Group[] {
  const groups = usable(state, context, health)
  return state.canaries
    ? state.canaries.apply(groups, [...state.active, ...state.standby], context.request)
    : groups
}

function usable(state: ModelState, context: PickContext, health: Health): readonly Group[] {
  const admitted: Admitted = health.admit(state)
  const summary = health.summary()
  const isPlain = context.tried.size === 0 && context.canServe === undefined && admitted.standby.length === 0
  if (isPlain && !summary.isMixed && !health.hasHung()) {
    const healthy = state.available.of(admitted.active, summary.unhealthy)
    if (healthy.length > 0) return [{ signals: healthy, isStandby: false }]
  }
  const groups = new CandidateSearch(admitted, context, health).groups()
  if (groups.length > 0 || context.hasFallback) return groups
  return new CandidateSearch(health.loadingOf(state), context, health).groups()
}

/** Checks each target individually. `candidates` skips this if no target needs it. */
class CandidateSearch {
  readonly #context: PickContext
  readonly #health: Health
  /** Targets that can serve the request and answer now, including those already tried. */
  readonly #active: readonly Assessed[]
  readonly #standby: readonly Assessed[]

  constructor({ active, standby }: Admitted, context: PickContext, health: Health) {
    this.#context = context
    this.#health = health
    this.#active = this.#assess(active)
    this.#standby = this.#assess(standby)
  }

  groups(): readonly Group[] {
    const all = [...this.#active, ...this.#standby]
    const isAnyHealthy = all.some(({ standing }) => standing === 'healthy')
    const groups = isAnyHealthy ? this.#byStanding() : this.#asIfHealthy(all)
    return groups.map((group) => this.#withoutUnreliable(group)).filter(({ signals }) => signals.length > 0)
  }

  #assess(signals: readonly LiveSignals[]): readonly Assessed[] {
    const { canServe, traits } = this.#context
    const assessed: Assessed[] = []
    for (const each of signals) {
      if (canServe && !canServe(each.target)) continue
      const health = this.#health.of(each.target)
      const standing = health.standing(health.hasFeatureFailures ? traits.features : 0)
      if (standing === 'unavailable') continue
      const isHung = this.#health.isHung(each.target)
      assessed.push({ signals: each, standing: isHung ? 'ejected' : standing })
    }
    return assessed
  }

  #byStanding(): Group[] {
    const due = this.#misconfiguredDue()
    const last = this.#untried(this.#active, 'deprioritized').filter((each) => each !== due)
    return [
      { signals: due ? [due] : [], isStandby: false },
      { signals: this.#untried(this.#active, 'healthy'), isStandby: false },
      { signals: last, isStandby: false },
      { signals: this.#untried(this.#standby, 'healthy'), isStandby: true },
      { signals: this.#untried(this.#standby, 'deprioritized'), isStandby: true },
    ]
  }

  /**
   * No target is healthy, so all are used as if they were. If a fallback model exists, targets with an open breaker are
   * left to their probes.
   */
  #asIfHealthy(all: readonly Assessed[]): Group[] {
    const { hasFallback } = this.#context
    const isEjected = all.every(({ signals }) => this.#health.of(signals.target).breaker.state === 'open')
    if (hasFallback && isEjected) return []
    return [
      { signals: this.#untried(this.#active), isStandby: false },
      { signals: this.#untried(this.#standby), isStandby: true },
    ]
  }

  /** A misconfigured target that is due for another try goes first; the others serve the request if it fails again. */
  #misconfiguredDue(): LiveSignals | undefined {
    if (this.#context.tried.size > 0) return undefined
    const due = this.#active.find(
      ({ signals, standing }) => standing === 'deprioritized' && this.#health.of(signals.target).isTrialDue,
    )
    return due?.signals
  }

  #untried(assessed: readonly Assessed[], wanted?: Standing): readonly LiveSignals[] {
    const { tried } = this.#context
    return assessed
      .filter(({ signals, standing }) => !tried.has(signals.target.id) && (wanted ?? standing) === standing)
      .map(({ signals }) => signals)
  }

  /** For retries, targets that fail most requests are used only if no other target is left. */
  #withoutUnreliable(group: Group): Group {
    if (this.#context.tried.size === 0) return group
    const steady = group.signals.filter(({ failureRate }) => failureRate < unreliableRate)
    return steady.length === 0 ? group : { ...group, signals: steady }
  }
}

type Admitted = Pick<ModelState, 'active' | 'standby'>

interface Assessed {
  signals: LiveSignals
  standing: Standing
}

/** Failure rate at which a target counts as failing most requests. */
export const unreliableRate = 0.5

/**
 * The candidate that answered any request most recently, regardless of its group: the best choice for a request's last
 * attempt. Undefined if none has answered yet.
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
