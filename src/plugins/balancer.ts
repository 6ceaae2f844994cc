import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { didYouMean } from '../core/did-you-mean.ts'
import { ConfigError, RouterError } from '../core/errors.ts'
import type { Ending, Lease } from '../core/lease.ts'
import type { StoredLease, WishedTarget } from '../core/lease-store.ts'
import type { ExclusiveInstance, StrategyInstance, TargetSignals } from '../core/strategy.ts'
import type { Model, Target } from '../core/target.ts'
import type { Breaker } from '../relay/breaker.ts'
import { LeaseQueue, type Wanted } from '../relay/lease-queue.ts'
import { LiveSignals } from '../relay/live-signals.ts'
import { RetryBudget } from '../relay/retry-budget.ts'
import leaseStore from './lease-store.ts'

export interface Balancer {
  /**
   * Picks and reserves a target that is not in `tried`; undefined when none is left. Waits where the strategy is
   * exclusive and all are taken: throws RouterError `queue_full` or `queue_timeout`, or the reason of the signal.
   */
  acquire(model: Model, tried: ReadonlySet<Target>, signal: AbortSignal): Promise<Lease | undefined>
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

type SettledListener = (target: Target, ending: Ending) => void

declare module 'fastify' {
  interface FastifyInstance {
    balancer: Balancer
  }
}

interface ModelState {
  strategy: StrategyInstance
  affinity: boolean
  active: readonly LiveSignals[]
  /** Sleeping targets, where they may be used at all. */
  reserve: readonly LiveSignals[]
  queue: LeaseQueue
  budget: RetryBudget
  onSettled: SettledListener
}

export default fp(
  async (app) => {
    await app.register(leaseStore)
    const listeners: SettledListener[] = []
    const states = statesOf(app, (target, ending) => {
      for (const listener of listeners) listener(target, ending)
    })
    app.leases.onFreed((alias) => {
      const model = app.models.find(alias)
      if (model) states.get(model)?.queue.wake()
    })
    const { breakerOf } = app.health
    app.decorate('balancer', {
      async acquire(model, tried, signal) {
        const state = states.get(model)
        if (!state) return undefined
        const left = usable(state, tried, breakerOf)
        if (left.active.length + left.reserve.length === 0) {
          // On a failover the failure before tells more than that nothing is left.
          if (tried.size > 0 || state.active.length === 0) return undefined
          throw allResting(model, state, breakerOf)
        }
        const { strategy } = state
        if ('order' in strategy) return acquireExclusively(app, state, strategy, tried, signal)
        const candidates = left.active.length > 0 ? left.active : left.reserve
        return reserve(state, strategy.pick(candidates).target, breakerOf)
      },
      signals: (model) => {
        const state = states.get(model)
        return state ? [...state.active, ...state.reserve] : []
      },
      isDoubtful: (target) => {
        for (const { active, reserve } of states.values()) {
          const signals = [...active, ...reserve].find((live) => live.target === target)
          if (signals) return signals.failureRate >= 0.5
        }
        return false
      },
      retryBudget: (model) => states.get(model)?.budget ?? new RetryBudget(now),
      waiting: (model) => states.get(model)?.queue.length ?? 0,
      strategy: (model) => states.get(model)?.strategy,
      onSettled: (listener) => {
        listeners.push(listener)
      },
    })
  },
  { name: 'balancer', dependencies: ['config', 'models', 'registries', 'health'] },
)

/** Waits in the model's queue for a target that nobody else has. */
async function acquireExclusively(
  { health, leases }: FastifyInstance,
  state: ModelState,
  strategy: ExclusiveInstance,
  tried: ReadonlySet<Target>,
  signal: AbortSignal,
): Promise<Lease> {
  const { breakerOf } = health
  const preference: Preference = {
    order: (candidates) => strategy.order(candidates),
    affinity: state.affinity,
    complete: tried.size === 0,
  }
  const granted = await state.queue.acquire({
    wanted: () => wanted(usable(state, tried, breakerOf), preference),
    signal,
  })
  return reserve(state, targetOf(granted, state), breakerOf, () => void leases.release(granted))
}

/** Throws ConfigError with every strategy that nobody knows. */
function statesOf(app: FastifyInstance, onSettled: SettledListener): Map<Model, ModelState> {
  const states = new Map<Model, ModelState>()
  const context = { now, random: Math.random }
  const faults = new Set<string>()
  const { balanceStrategy, useSleeping, queueSize, queueTimeoutMs } = app.config
  for (const model of app.models.all()) {
    const name = model.strategy ?? balanceStrategy
    const strategy = app.strategies.find(name)
    if (!strategy) {
      const place = model.strategy
        ? `${model.group}["${model.alias}"].strategy`
        : 'LLM_ROUTER_BALANCE_STRATEGY'
      faults.add(
        `${place}: no strategy "${name}"; known: ${app.strategies.names().join(', ')}${didYouMean(name, app.strategies.names())}`,
      )
      continue
    }
    const live = (target: Target): LiveSignals => new LiveSignals(target, context.now())
    states.set(model, {
      onSettled,
      strategy: strategy.create(context),
      affinity: strategy.affinity === true,
      budget: new RetryBudget(now),
      active: model.targets.map(live),
      reserve: useSleeping === 'fallback' ? model.sleeping.map(live) : [],
      queue: new LeaseQueue({
        ...context,
        model: model.alias,
        store: app.leases,
        timeoutMs: queueTimeoutMs,
        size: queueSize,
        newKey: () => randomBytes(12).toString('hex'),
      }),
    })
  }
  if (faults.size > 0) throw new ConfigError([...faults])
  return states
}

type BreakerOf = (target: Target) => Breaker

/** The targets that may be tried now; where all are kept out, those that may be looked at once more. */
function usable(
  state: ModelState,
  tried: ReadonlySet<Target>,
  breakerOf: BreakerOf,
): Pick<ModelState, 'active' | 'reserve'> {
  const untried = (signals: readonly LiveSignals[]) => signals.filter(({ target }) => !tried.has(target))
  const of = (may: (breaker: Breaker) => boolean) => {
    const allowed = ({ target }: LiveSignals): boolean => may(breakerOf(target))
    return { active: untried(state.active).filter(allowed), reserve: untried(state.reserve).filter(allowed) }
  }
  // A model's only target has no better one: its own quick refusal tells the client more than ours would.
  const isOnly = state.active.length + state.reserve.length === 1
  const available = of((breaker) => breaker.available || (isOnly && !breaker.stalls))
  if (available.active.length + available.reserve.length > 0 || tried.size > 0) return available
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
  const wish = (candidates: readonly TargetSignals[], reserve: boolean): WishedTarget[] =>
    (candidates.length === 0 ? [] : order(candidates)).map(({ target: { id, origin } }) => ({
      id,
      // An embedded target is a host of its own.
      host: origin || id,
      reserve,
    }))
  return {
    targets: [...wish(left.active, false), ...wish(left.reserve, true)],
    affinity,
    complete,
  }
}

function targetOf({ target: { id } }: StoredLease, { active, reserve }: ModelState): Target {
  const signals = [...active, ...reserve].find(({ target }) => target.id === id)
  if (!signals) throw new Error('the lease store gave a target that it was not asked for')
  return signals.target
}

function reserve(state: ModelState, target: Target, breakerOf: BreakerOf, giveBack?: () => void): Lease {
  const signals = [...state.active, ...state.reserve].find((live) => live.target === target)
  if (!signals) throw new Error('a strategy picked a target that it was not offered')
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
      state.strategy.settled?.(target, outcome)
      state.onSettled(target, ending)
    },
  }
}

function isOut(breaker: Breaker): boolean {
  return breaker.state !== 'closed'
}

function now(): number {
  return performance.now()
}
