import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { outcomeOf } from '../../relay/attempt/attempt-result.ts'
import type { Acquired, Lease, TargetWish } from '../../relay/run/lease.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { ExclusiveInstance, StrategyInstance, TargetSignals } from '../../sdk/strategy.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { LeaseCandidate, StoredLease } from '../../stores/leases/store.ts'
import type { TargetHealth } from '../health/target-health.ts'
import { candidates, failsOften, type Group, lastAnswered } from './candidates.ts'
import type { Wanted } from './lease-queue.ts'
import leaseStore from './lease-store.ts'
import type { LiveSignals } from './live-signals.ts'
import { isCold, loadedFirst } from './loaded-first.ts'
import { type ModelState, modelStates, type SettledListener } from './model-states.ts'
import { RetryBudget } from './retry-budget.ts'

export interface Balancer {
  /**
   * Picks and reserves a target; undefined if no target is left for a retry. With an exclusive strategy it waits while
   * all targets are taken: throws RouterError `queue_full` or `queue_timeout`, or the abort reason of the signal.
   */
  acquire(model: Model, wish: TargetWish, signal: AbortSignal): Acquired
  /** Current signals of a model's targets, in configuration order; standby targets come last. */
  signals(model: Model): readonly TargetSignals[]
  /** Requests of a model that wait for a target in this process. */
  waiting(model: Model): number
  /** Whether most recent attempts at the target failed and none succeeded. */
  failsOften(target: Target): boolean
  /** Limits a model's retries while its targets fail often. */
  retryBudget(model: Model): RetryBudget
  /** The active strategy of a model. */
  strategy(model: Model): StrategyInstance | undefined
  /** Calls the listener at the end of every attempt. */
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
    const states = modelStates(app, (target, result) => {
      for (const listener of listeners) listener(target, result)
    })
    const revocations = new Map<string, AbortController>()
    app.leases.onRevoked?.(({ key }) => revocations.get(key)?.abort())
    app.leases.onFreed((alias) => states.get(alias)?.queue.wake())
    app.decorate('balancer', {
      acquire(model, wish, signal) {
        const state = states.get(model.alias)
        if (!state) return undefined
        const groups = candidates(state, wish, app.health)
        const [best] = groups
        if (!best) {
          // On a failover, the previous error says more than that no target is left.
          if (wish.tried.size > 0 || state.active.length === 0) return undefined
          throw noneUsable(model, state, app.health)
        }
        const { strategy } = state
        if ('order' in strategy)
          return acquireExclusively(app, state, strategy, { model, wish, signal, revocations })
        const known = wish.isLast ? lastAnswered(groups, app.health) : undefined
        const picked =
          known ?? signalsIn(state, strategy.pick(state.loadedFirst.soonest(best.signals), wish.request))
        return reserve(state, picked, wish, app.health)
      },
      signals: (model) => {
        const state = states.get(model.alias)
        return state ? [...state.active, ...state.reserve] : []
      },
      failsOften: (target) => {
        for (const { live } of states.values()) {
          const signals = live.get(target)
          if (signals) return signals.failureRate >= failsOften && !answeredRecently(target, app.health)
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
  { name: 'balancer', dependencies: ['config', 'models', 'registries', 'health', 'engines'] },
)

interface ExclusiveWish {
  model: Model
  wish: TargetWish
  signal: AbortSignal
  /** By lease key; aborted when the lease is revoked. */
  revocations: Map<string, AbortController>
}

/** Waits in the model's queue for exclusive use of a target. */
async function acquireExclusively(
  app: FastifyInstance,
  state: ModelState,
  strategy: ExclusiveInstance,
  exclusive: ExclusiveWish,
): Promise<Lease | undefined> {
  const { leases, health } = app
  const { model, wish, signal, revocations } = exclusive
  const preference: Preference = {
    order: (signals) => strategy.order(loadedFirst(signals, isCold), wish.request),
    affinity: state.affinity,
    complete: wish.tried.size === 0 && wish.can === undefined,
  }
  let none: RouterError | undefined
  const granted = await state.queue
    .acquire({
      wanted: () => {
        const groups = candidates(state, wish, health)
        // All targets became unavailable while the request waited: it fails like a new request does.
        if (groups.length > 0) return wanted(inOrder(groups, wish, health), preference)
        none = noneUsable(model, state, health)
        throw none
      },
      signal,
    })
    .catch((error: unknown) => {
      if (error === none && wish.tried.size > 0) return undefined
      throw error
    })
  if (!granted) return undefined
  const target = targetOf(granted, state)
  if (!target) {
    // The target was removed from the configuration while the store chose it.
    void leases.release(granted)
    return acquireExclusively(app, state, strategy, exclusive)
  }
  const revocation = leases.onRevoked && new AbortController()
  if (revocation) revocations.set(granted.key, revocation)
  const release = (): void => {
    revocations.delete(granted.key)
    void leases.release(granted)
  }
  const lease = reserve(state, signalsIn(state, { target }), wish, health, release)
  return revocation ? { ...lease, revoked: revocation.signal } : lease
}

type Health = FastifyInstance['health']

/**
 * A target that has answered within this time, in milliseconds, is worth a retry even if most other attempts at it
 * fail.
 */
const recentMs = 10_000

function answeredRecently(target: Target, health: Health): boolean {
  return now() - health.of(target).answeredAt < recentMs
}

/**
 * Order for a request's last attempt: the target that answered most recently, then the others that have answered. The
 * request waits while these are taken instead of taking a target that is free only because it fails.
 */
function inOrder(groups: readonly Group[], wish: TargetWish, health: Health): readonly Group[] {
  const known = wish.isLast ? lastAnswered(groups, health) : undefined
  if (!known) return groups
  const isProven = ({ target, failureRate }: LiveSignals): boolean =>
    failureRate < failsOften && Number.isFinite(health.of(target).answeredAt)
  const others = groups.map((group) => ({
    ...group,
    signals: group.signals.filter((each) => each !== known && isProven(each)),
  }))
  return [{ signals: [known], isStandby: false }, ...others.filter(({ signals }) => signals.length > 0)]
}

/** The error for the client when no target is available, with the time to retry after. */
function noneUsable(model: Model, state: ModelState, health: Health): RouterError {
  const healths = [...state.active, ...state.reserve].map(({ target }) => health.of(target))
  const seconds = Math.min(...healths.map(({ waitMs }) => waitMs)) / 1000
  const retryAfterSeconds = Math.ceil(Math.min(300, Math.max(1, seconds)))
  if (healths.every(({ cooldownMs }) => cooldownMs > 0)) {
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
  order(candidates: readonly LiveSignals[]): readonly TargetSignals[]
}

function wanted(groups: readonly Group[], { order, affinity, complete }: Preference): Wanted {
  const wish = ({ signals, isStandby }: Group, index = 0): readonly LeaseCandidate[] => {
    const ordered = order(signals)
    // A host that has the model loaded precedes others of its group, but never a better group.
    if (affinity && index > 0) return ordered.map((each) => wishedTarget(each, true))
    // In configuration order, the result depends only on the list, so it is cached.
    const known = ordered === signals ? wishes.get(signals) : undefined
    if (known) return known
    const wished = ordered.map((each) => wishedTarget(each, isStandby))
    if (ordered === signals) wishes.set(signals, wished)
    return wished
  }
  const [only, ...others] = groups
  const first = only ? wish(only) : []
  const targets = others.length === 0 ? first : [...first, ...others.flatMap((group) => wish(group, 1))]
  return { targets, affinity, complete }
}

/** Cache, keyed by list of candidates. */
const wishes = new WeakMap<readonly TargetSignals[], readonly LeaseCandidate[]>()

function wishedTarget({ target: { id, origin } }: TargetSignals, reserve: boolean): LeaseCandidate {
  // An embedded target is its own host.
  return { id, host: origin || id, reserve }
}

function targetOf({ target: { id } }: StoredLease, { active, reserve }: ModelState): Target | undefined {
  const isIt = ({ target }: LiveSignals): boolean => target.id === id
  return (active.find(isIt) ?? reserve.find(isIt))?.target
}

/** Throws if a custom strategy returns a target that it was not offered. */
function signalsIn({ live }: ModelState, { target }: Pick<TargetSignals, 'target'>): LiveSignals {
  const signals = live.get(target)
  if (!signals) throw new Error('a strategy picked a target that it was not offered')
  return signals
}

function reserve(
  state: ModelState,
  signals: LiveSignals,
  { traits, request }: TargetWish,
  healths: Health,
  release?: () => void,
): Lease {
  const { target } = signals
  const health = healths.of(target)
  const ticket = health.begin(health.hasFeatureFailures ? traits.features : 0)
  const pickedAt = now()
  const wasCold = isCold(signals)
  let settled = false
  const { strategy } = state
  // Before the pick changes what it was made by.
  const named = strategy.reason ? strategy.reason(target, request) : state.strategyName
  const reason = state.live.size === 1 ? 'only target' : named
  signals.picked()
  strategy.taken?.(target, request)
  return {
    target,
    reason,
    hasAnswered: Number.isFinite(health.answeredAt),
    answering: () => health.answering(),
    judge: (judgement) => health.judge(ticket, judgement),
    settle(attempted) {
      if (settled) return
      settled = true
      release?.()
      const wasOut = isOut(health)
      health.end(ticket, attempted)
      const at = now()
      const { firstContentMs, usage, streamed } = attempted?.type === 'success' ? attempted : noAnswer
      const outcome = { result: outcomeOf(attempted), durationMs: at - pickedAt, firstContentMs, usage }
      signals.settled(outcome, at, { tokens: streamed ? usage?.completionTokens : undefined, wasCold })
      // The target recovered: its share grows slowly.
      if (wasOut && !isOut(health)) signals.returnedAt = at
      // A target that was removed meanwhile no longer belongs to the strategy.
      if (state.strategy.settled && holds(state, signals))
        state.strategy.settled(signals.target, outcome, request)
      state.onSettled(target, attempted)
    },
  }
}

const noAnswer = { firstContentMs: undefined, usage: undefined, streamed: false }

function holds({ live }: ModelState, signals: LiveSignals): boolean {
  return live.get(signals.target) === signals
}

function isOut({ breaker }: TargetHealth): boolean {
  return breaker.state !== 'closed'
}

function now(): number {
  return performance.now()
}
