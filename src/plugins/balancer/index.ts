import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Acquired, Lease, PickContext } from '../../relay/run/lease.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { Priority, StrategyInstance, TargetSignals } from '../../sdk/strategy.ts'
import type { Model, Target } from '../../sdk/target.ts'
import { openQueue } from '../../stores/choose.ts'
import { candidates, lastAnswered, unreliableRate } from './candidates.ts'
import leaseStore from './lease-store.ts'
import type { Group } from './live-signals.ts'
import {
  type ModelState,
  modelStates,
  type SettledListener,
  setWeights,
  weightControl,
} from './model-states.ts'
import { type Preview, preview } from './preview.ts'
import { reserve, signalsIn } from './reserve.ts'
import { RetryBudget } from './retry-budget.ts'
import { ExclusiveAcquisition, SharedAcquisition } from './slot-acquisition.ts'
import { slotLimitOf } from './slot-limit.ts'

export interface Balancer {
  /**
   * Picks and reserves a target; undefined if no target is left for a retry. If targets have limits, waits until one
   * has a free slot: throws RouterError `queue_full`, `queue_timeout` or `deadline_exceeded`, or the abort reason of the
   * signal.
   */
  acquire(model: Model, context: PickContext, signal: AbortSignal): Acquired
  /** What `acquire` would do now, without effect; undefined if there is no such model. */
  preview(model: Model, context: PickContext): Preview | undefined
  /** Current signals of a model's targets, in configuration order; standby targets come last. */
  signals(model: Model): readonly TargetSignals[]
  /** Number of requests of a model that wait for a target in this process. */
  waiting(model: Model): number
  /** Whether requests of the model may have to wait for a slot. */
  mayWait(alias: string): boolean
  /** Current limit of concurrent requests at a target, over all processes; undefined: unlimited. */
  slotLimit(target: Target): number | undefined
  /** Whether most recent attempts at the target failed and none succeeded. */
  isUnreliable(target: Target): boolean
  /** Limits a model's retries while its targets fail often. */
  retryBudget(model: Model): RetryBudget
  /** Overrides weights of a model's targets by id; other targets keep their configured weights. */
  setWeights(alias: string, weights: ReadonlyMap<string, number>): void
  /** Whether the strategy of the model uses weights that can be set. */
  usesWeights(alias: string): boolean
  /** Discards the measurements of targets with this id. */
  reset(targetId: string): void
  /** A target may have become usable: waiting requests check again. */
  wake(): void
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
    const states = modelStates(app, openQueue(app), (target, result) => {
      for (const listener of listeners) listener(target, result)
    })
    const revocations = new Map<string, AbortController>()
    app.leases.onRevoked?.(({ key }) => revocations.get(key)?.abort())
    app.leases.onFreed((alias) => states.get(alias)?.queue.wake())
    app.decorate('balancer', {
      acquire(model, context, signal) {
        const state = states.get(model.alias)
        if (!state) return undefined
        const groups = candidates(state, context, app.health)
        const [best] = groups
        if (!best) {
          // On a failover, the previous error says more than that no target is left.
          if (context.tried.size > 0 || state.active.length === 0) return undefined
          throw unavailableError(model, state, app.health)
        }
        const { strategy } = state
        if ('order' in strategy || state.isLimited)
          return acquireSlot(app, state, { model, context, signal, revocations })
        const proven = context.isLast ? lastAnswered(groups, app.health) : undefined
        const picked =
          proven ?? signalsIn(state, strategy.pick(state.loadedFirst.soonest(best.signals), context.request))
        return reserve(state, picked, context, app.health)
      },
      preview(model, context) {
        const state = states.get(model.alias)
        const none = (): RouterError =>
          unavailableError(model, state ?? { active: [], standby: [] }, app.health)
        return state && preview(state, context, { health: app.health, none })
      },
      signals: (model) => {
        const state = states.get(model.alias)
        return state ? [...state.active, ...state.standby] : []
      },
      isUnreliable: (target) => {
        for (const { live } of states.values()) {
          const signals = live.get(target)
          if (signals) return signals.failureRate >= unreliableRate && !answeredRecently(target, app.health)
        }
        return false
      },
      mayWait: (alias) => {
        const state = states.get(alias)
        return state !== undefined && ('order' in state.strategy || state.isLimited)
      },
      slotLimit: (target) => {
        const state = states.get(target.model)
        const signals = state?.live.get(target)
        if (!state || !signals) return undefined
        const isExclusive = 'order' in state.strategy && target.maxInFlight === undefined
        return isExclusive ? 1 : slotLimitOf(signals)
      },
      retryBudget: (model) => states.get(model.alias)?.budget ?? new RetryBudget(now),
      waiting: (model) => states.get(model.alias)?.queue.length ?? 0,
      setWeights: (alias, weights) => {
        const state = states.get(alias)
        if (state) setWeights(state, weights)
      },
      usesWeights: (alias) => {
        const state = states.get(alias)
        if (!state) return false
        return state.usesWeights || state.canaries !== undefined || weightControl(state) !== undefined
      },
      reset: (targetId) => {
        for (const { live } of states.values())
          for (const signals of live.values()) if (signals.target.id === targetId) signals.reset()
      },
      wake: () => {
        for (const { queue } of states.values()) queue.wake()
      },
      strategy: (model) => states.get(model.alias)?.strategy,
      onSettled: (listener) => {
        listeners.push(listener)
      },
    })
  },
  { name: 'balancer', dependencies: ['config', 'models', 'registries', 'health', 'engines'] },
)

interface SlotRequest {
  model: Model
  context: PickContext
  signal: AbortSignal
  revocations: Map<string, AbortController>
}

/** Takes a slot at a target, or waits for one in the model's queue. */
async function acquireSlot(
  app: FastifyInstance,
  state: ModelState,
  { model, context, signal, revocations }: SlotRequest,
): Promise<Lease | undefined> {
  const { strategy } = state
  let none: RouterError | undefined
  const groups = (): readonly Group[] => {
    const groups = candidates(state, context, app.health)
    // All targets became unavailable while the request waited: it fails like a new request does.
    if (groups.length > 0) return groups
    none = unavailableError(model, state, app.health)
    throw none
  }
  const options = { app, alias: model.alias, state, context, revocations, groups }
  const acquisition =
    'order' in strategy
      ? new ExclusiveAcquisition(strategy, options)
      : new SharedAcquisition(strategy, options)
  try {
    return await state.queue.acquire({
      client: context.request.client,
      weight: context.turn.weight * weightOf[context.request.priority],
      deadlineAt: context.turn.deadlineAt,
      isComplete: acquisition.isComplete,
      signal,
      take: () => acquisition.take(),
      returnSlot: (lease) => acquisition.returnSlot(lease),
      onAbandoned: () => acquisition.abandon(),
    })
  } catch (error) {
    if (error === none && context.tried.size > 0) return undefined
    throw error
  }
}

const weightOf: Readonly<Record<Priority, number>> = { high: 4, normal: 1, low: 1 / 4 }

type Health = FastifyInstance['health']

/**
 * A target that has answered within this time, in milliseconds, is worth a retry even if most other attempts at it
 * fail.
 */
const recentMs = 10_000

function answeredRecently(target: Target, health: Health): boolean {
  return now() - health.of(target).answeredAt < recentMs
}

/** The error for the client when no target is available, with the time to retry after. */
function unavailableError(
  model: Model,
  state: Pick<ModelState, 'active' | 'standby'>,
  health: Health,
): RouterError {
  const healths = [...state.active, ...state.standby].map(({ target }) => health.of(target))
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

function now(): number {
  return performance.now()
}
