import type { FastifyInstance } from 'fastify'
import type { TargetStatus } from '../../sdk/console/status.ts'
import type { CheckedState, Target } from '../../sdk/target.ts'
import type { TargetHealth } from '../health/target-health.ts'

type State = TargetStatus['state']

export interface StatesSince {
  /** The state of a target now, and when that began. */
  of(target: Target, isStandby: boolean): { state: State; since: string }
}

/** Interval of background checks in milliseconds: some states change by time alone. */
const checkIntervalMs = 2_000

/** Tracks the states of all targets to record when each began. */
export function targetStatesSince(app: FastifyInstance): StatesSince {
  const known = new WeakMap<Target, { state: State; since: string }>()
  const stateOf = (target: Target, isStandby: boolean): State => {
    if (isStandby) return 'standby'
    if (app.health.isDrained(target)) return 'drained'
    return stateByHealth(app.health.of(target), app.health.stateOf(target), app.health.isHung(target))
  }
  const of: StatesSince['of'] = (target, isStandby) => {
    const state = stateOf(target, isStandby)
    const before = known.get(target)
    if (before?.state === state) return before
    const now = { state, since: new Date().toISOString() }
    known.set(target, now)
    return now
  }
  const checkAll = (): void => {
    for (const model of app.models.all()) for (const target of model.targets) of(target, false)
  }
  // A reload may replace the object of a target that stays.
  app.models.onChange(({ replaced }) => {
    for (const [target, previous] of replaced) {
      const before = known.get(previous)
      if (before) known.set(target, before)
    }
  })
  app.health.onState((target) => of(target, false))
  const timer = setInterval(checkAll, checkIntervalMs).unref()
  app.addHook('preClose', (closed) => {
    clearInterval(timer)
    closed()
  })
  return { of }
}

function stateByHealth(
  { breaker, cooldownMs, misconfigured }: TargetHealth,
  checked: CheckedState,
  isHung: boolean,
): State {
  if (isDown(checked)) return 'down'
  if (checked === 'loading' || checked === 'asleep') return checked
  if (misconfigured !== undefined) return 'misconfigured'
  if (breaker.state === 'open') return 'open'
  if (isHung) return 'hung'
  if (cooldownMs > 0) return 'busy'
  return breaker.state === 'half_open' ? 'trial' : 'up'
}

export function isDown(state: CheckedState): state is NonNullable<TargetStatus['down']> {
  return state === 'refused' || state === 'silent' || state === 'failing'
}
