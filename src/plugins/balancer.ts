import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { RouterError } from '../core/errors.ts'
import type { Lease } from '../core/lease.ts'
import type { StoredLease, WishedTarget } from '../core/lease-store.ts'
import type { StopSignal } from '../core/stop-signal.ts'
import type { ExclusiveInstance, StrategyInstance, TargetSignals } from '../core/strategy.ts'
import type { Model, Target } from '../core/target.ts'
import type { Breaker } from '../relay/breaker.ts'
import type { Wanted } from '../relay/lease-queue.ts'
import type { LiveSignals } from '../relay/live-signals.ts'
import type { Acquired } from '../relay/over-targets.ts'
import { RetryBudget } from '../relay/retry-budget.ts'
import { type ModelState, modelStates, type SettledListener } from './balancer/model-states.ts'
import leaseStore from './lease-store.ts'

export interface Balancer {
  /**
   * Picks and reserves a target that is not in `tried`; undefined when none is left. Waits where the strategy is
   * exclusive and all are taken: throws RouterError `queue_full` or `queue_timeout`, or the reason of the signal.
   */
  acquire(model: Model, tried: ReadonlySet<Target>, signal: StopSignal): Acquired
  /** What is known of a model's targets now, in the order of the configuration; sleeping ones come last. */
  signals(model: Model): readonly TargetSignals[]
  /** Requests of a model that wait for a target in this process. */
  waiting(model: Model): number
  /** Whether most of what a target was sent lately failed. */
  isDoubtful(target: Target): boolean
  /** How many second tries a model may make at targets that fail a lot. */
  retryBudget(model: Model): RetryBudget
  /** The strategy at work for a model. */
  strategy(model: Model): StrategyInstance | undefined
  /** Calls back at the end of every attempt at a target. */
  onSettled(listener: SettledListener): void
}

declare module 'fastify' {
  interface FastifyInstance {
    balancer: Balancer
  }
}

export default fp(
  async (app) => {
    await app.register(leaseStore)
    const listeners: SettledListener[] = []
    const states = modelStates(app, (target, ending) => {
      for (const listener of listeners) listener(target, ending)
    })
    const losses = new Map<string, AbortController>()
    app.leases.onLost?.(({ key }) => losses.get(key)?.abort())
    app.leases.onFreed((alias) => states.get(alias)?.queue.wake())
    const { breakerOf } = app.health
    app.decorate('balancer', {
      acquire(model, tried, signal) {
        const state = states.get(model.alias)
        if (!state) return undefined
        const left: Pick<ModelState, 'active' | 'reserve'> = app.health.responsive(
          usable(state, tried, app.health),
        )
        if (left.active.length + left.reserve.length === 0) {
          // On a failover the failure before tells more than that nothing is left.
          if (tried.size > 0 || state.active.length === 0) return undefined
          throw allResting(model, state, breakerOf)
        }
        const { strategy } = state
        if ('order' in strategy) return acquireExclusively(app, state, strategy, { tried, signal, losses })
        const candidates = left.active.length > 0 ? left.active : left.reserve
        return reserve(state, signalsIn(state, strategy.pick(candidates)), breakerOf)
      },
      signals: (model) => {
        const state = states.get(model.alias)
        return state ? [...state.active, ...state.reserve] : []
      },
      isDoubtful: (target) => {
        for (const { live } of states.values()) {
          const signals = live.get(target)
          if (signals) return signals.failureRate >= 0.5
        }
        return false
      },
      retryBudget: (model) => states.get(model.alias)?.budget ?? new RetryBudget(now),
      waiting: (model) => states.get(model.alias)?.queue.length ?? 0,
      strategy: (model) => states.get(model.alias)?.strategy,
      onSettled: (listener) => {
        listeners.push(listener)
      },
    })
  },
  { name: 'balancer', dependencies: ['config', 'models', 'registries', 'health'] },
)

interface ExclusiveWish {
  tried: ReadonlySet<Target>
  signal: StopSignal
  /** Aborted when a lease, by its key, is lost. */
  losses: Map<string, AbortController>
}

/** Waits in the model's queue for a target that nobody else has. */
async function acquireExclusively(
  app: FastifyInstance,
  state: ModelState,
  strategy: ExclusiveInstance,
  wish: ExclusiveWish,
): Promise<Lease> {
  const { leases } = app
  const { breakerOf } = app.health
  const { tried, signal, losses } = wish
  const preference: Preference = {
    order: (candidates) => strategy.order(candidates),
    affinity: state.affinity,
    complete: tried.size === 0,
  }
  const granted = await state.queue.acquire({
    wanted: () => wanted(app.health.responsive(usable(state, tried, app.health)), preference),
    signal,
  })
  const target = targetOf(granted, state)
  if (!target) {
    // It was removed while the store chose it.
    void leases.release(granted)
    return acquireExclusively(app, state, strategy, wish)
  }
  const loss = leases.onLost && new AbortController()
  if (loss) losses.set(granted.key, loss)
  const giveBack = (): void => {
    losses.delete(granted.key)
    void leases.release(granted)
  }
  const lease = reserve(state, signalsIn(state, { target }), breakerOf, giveBack)
  return loss ? { ...lease, lost: loss.signal } : lease
}

type Health = FastifyInstance['health']
type BreakerOf = Health['breakerOf']

/** The targets that may be tried now; where all are kept out, those that may be looked at once more. */
function usable(
  state: ModelState,
  tried: ReadonlySet<Target>,
  { admit, keepingOut, breakerOf }: Health,
): Pick<ModelState, 'active' | 'reserve'> {
  const { available } = state
  const admitted: Pick<ModelState, 'active' | 'reserve'> = admit(state)
  const { active, reserve } = admitted
  if (tried.size === 0 && reserve.length === 0) {
    const left = available.of(active, keepingOut())
    if (left === active) return admitted
    if (left.length > 0) return { active: left, reserve }
  }
  const untried = (signals: readonly LiveSignals[]) => signals.filter(({ target }) => !tried.has(target))
  const of = (may: (breaker: Breaker) => boolean) => {
    const allowed = ({ target }: LiveSignals): boolean => may(breakerOf(target))
    return { active: untried(active).filter(allowed), reserve: untried(reserve).filter(allowed) }
  }
  // A model's only target has no better one: its own quick refusal tells the client more than ours would.
  const isOnly = state.active.length + state.reserve.length === 1
  const left = of((breaker) => breaker.available || (isOnly && !breaker.stalls))
  if (left.active.length + left.reserve.length > 0 || tried.size > 0) return left
  return of((breaker) => breaker.lastResort)
}

/** Every target is kept out: what the client hears, and when it may come again. */
function allResting(model: Model, state: ModelState, breakerOf: BreakerOf): RouterError {
  const breakers = [...state.active, ...state.reserve].map(({ target }) => breakerOf(target))
  const seconds = Math.min(...breakers.map(({ waitMs }) => waitMs)) / 1000
  const retryAfterSeconds = Math.ceil(Math.min(300, Math.max(1, seconds)))
  if (breakers.every(({ resting }) => resting === 'busy')) {
    return new RouterError('rate_limit', `All upstreams of the model '${model.alias}' are rate limited`, {
      code: 'rate_limit_exceeded',
      retryAfterSeconds,
    })
  }
  return new RouterError('overloaded', `No upstream is available for the model '${model.alias}'`, {
    code: 'no_healthy_provider',
    retryAfterSeconds: Math.min(30, retryAfterSeconds),
  })
}

interface Preference extends Omit<Wanted, 'targets'> {
  order(candidates: readonly TargetSignals[]): readonly TargetSignals[]
}

function wanted(
  left: Pick<ModelState, 'active' | 'reserve'>,
  { order, affinity, complete }: Preference,
): Wanted {
  const wish = (candidates: readonly TargetSignals[], reserve: boolean): readonly WishedTarget[] => {
    if (candidates.length === 0) return []
    const ordered = order(candidates)
    // In the order of the configuration they are the same for as long as the list is.
    const known = ordered === candidates ? wishes.get(candidates) : undefined
    if (known) return known
    const wished = ordered.map((signals) => wishedTarget(signals, reserve))
    if (ordered === candidates) wishes.set(candidates, wished)
    return wished
  }
  const active = wish(left.active, false)
  const targets = left.reserve.length === 0 ? active : [...active, ...wish(left.reserve, true)]
  return { targets, affinity, complete }
}

/** Of lists of candidates. */
const wishes = new WeakMap<readonly TargetSignals[], readonly WishedTarget[]>()

function wishedTarget({ target: { id, origin } }: TargetSignals, reserve: boolean): WishedTarget {
  // An embedded target is a host of its own.
  return { id, host: origin || id, reserve }
}

function targetOf({ target: { id } }: StoredLease, { active, reserve }: ModelState): Target | undefined {
  const isIt = ({ target }: LiveSignals): boolean => target.id === id
  return (active.find(isIt) ?? reserve.find(isIt))?.target
}

/** A strategy of the user's own may give others than it got. */
function signalsIn({ live }: ModelState, { target }: Pick<TargetSignals, 'target'>): LiveSignals {
  const signals = live.get(target)
  if (!signals) throw new Error('a strategy picked a target that it was not offered')
  return signals
}

function reserve(
  state: ModelState,
  signals: LiveSignals,
  breakerOf: BreakerOf,
  giveBack?: () => void,
): Lease {
  const { target } = signals
  const breaker = breakerOf(target)
  const ticket = breaker.begin()
  const pickedAt = now()
  let settled = false
  signals.picked()
  return {
    target,
    settle(ending) {
      if (settled) return
      settled = true
      const { result, verdict, pauseMs, firstContentMs, tokens } = ending
      giveBack?.()
      const wasOut = isOut(breaker)
      breaker.end(ticket, verdict, pauseMs)
      const at = now()
      const outcome = { result, durationMs: at - pickedAt, firstContentMs }
      signals.settled(outcome, at, tokens)
      // Back from a failure: its share grows slowly.
      if (wasOut && !isOut(breaker)) signals.returnedAt = at
      // A target that was removed meanwhile is none of the strategy's any more.
      if (state.strategy.settled && holds(state, signals)) state.strategy.settled(signals.target, outcome)
      state.onSettled(target, ending)
    },
  }
}

function holds({ live }: ModelState, signals: LiveSignals): boolean {
  return live.get(signals.target) === signals
}

function isOut(breaker: Breaker): boolean {
  return breaker.state !== 'closed'
}

function now(): number {
  return performance.now()
}
