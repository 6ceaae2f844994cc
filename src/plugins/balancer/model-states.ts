import type { FastifyInstance } from 'fastify'
import type { ModelsChange } from '../../config/models/reuse.ts'
import { describeBug } from '../../lib/describe-bug.ts'
import { didYouMean } from '../../lib/did-you-mean.ts'
import { extensionProblem } from '../../lib/extension-problem.ts'
import type { AttemptResult } from '../../relay/attempt/attempt-result.ts'
import type { EngineSignals } from '../../sdk/engine-signals.ts'
import { ConfigError, modelNotFound, RouterError } from '../../sdk/errors.ts'
import type { StrategyInstance, WeightControl } from '../../sdk/strategy.ts'
import { allTargets, type Model, type Target } from '../../sdk/target.ts'
import type { RequestQueue } from '../../stores/queue/local.ts'
import type { TargetHealth } from '../health/target-health.ts'
import { CanarySplit, isCanary } from './canary.ts'
import { LeaseQueue } from './lease-queue.ts'
import { LiveSignals } from './live-signals.ts'
import { LoadedFirst } from './loaded-first.ts'
import { RetryBudget } from './retry-budget.ts'

/** `result`: undefined if the attempt threw. */
export type SettledListener = (target: Target, result: AttemptResult | undefined) => void

/** The balancer's state of one model. The object stays the same while a model of this name exists. */
export interface ModelState {
  strategyName: string
  strategy: StrategyInstance
  affinity: boolean
  /** See `SharingStrategy`. */
  usesWeights: boolean
  active: readonly LiveSignals[]
  /** Standby targets, if LLM_ROUTER_USE_SLEEPING permits them. */
  standby: readonly LiveSignals[]
  /** `active` and `standby` by target. */
  live: ReadonlyMap<Target, LiveSignals>
  /** Requests may have to wait for a slot, whatever the strategy. */
  isLimited: boolean
  /** Undefined if the model has no canary. */
  canaries: CanarySplit | undefined
  readonly available: AvailableTargets
  readonly loadedFirst: LoadedFirst
  readonly queue: LeaseQueue
  readonly budget: RetryBudget
  readonly onSettled: SettledListener
  /** Calls the strategy; logs what it throws, because the request no longer depends on it. */
  safely<Result>(call: () => Result): Result | undefined
}

/** By alias, so that a request that began before a reload finds its model's current state. */
export type ModelStates = ReadonlyMap<string, ModelState>

/** Creates the states of all models and keeps them up to date. Throws ConfigError with every unknown strategy. */
export function modelStates(
  app: FastifyInstance,
  turns: RequestQueue,
  onSettled: SettledListener,
): ModelStates {
  const states = new Map<string, ModelState>()
  checkStrategies(app)
  for (const model of app.models.all()) states.set(model.alias, stateOf(app, model, { turns, onSettled }))
  app.models.onChange((change) => update(app, states, change, { turns, onSettled }))
  app.engines.onSignals((targets, signals) => updateEngine(states, targets, signals))
  return states
}

/** The engine's counts include requests of this process; the remainder is the load of others. */
function updateEngine(
  states: ModelStates,
  targets: readonly Target[],
  signals: EngineSignals | undefined,
): void {
  const lives = targets.flatMap((target) => states.get(target.model)?.live.get(target) ?? [])
  const all = signals?.running === undefined ? undefined : signals.running + (signals.waiting ?? 0)
  const own = lives.reduce((sum, { inFlight }) => sum + inFlight, 0)
  const engine = signals && all !== undefined ? { ...signals, others: Math.max(0, all - own) } : signals
  for (const live of lives) {
    live.engine = engine
    live.hasAnswered = false
  }
  // There may be more slots, or fewer requests in the engine's own queue.
  for (const { model } of targets) states.get(model)?.queue.wake()
}

function checkStrategies(app: FastifyInstance): void {
  const errors = new Set<string>()
  for (const model of app.models.all()) {
    const name = strategyName(app, model)
    if (app.strategies.find(name)) continue
    const known = app.strategies.names()
    errors.add(
      `${strategyPath(model)}: no strategy "${name}"; known: ${known.join(', ')}${didYouMean(name, known)}`,
    )
  }
  if (errors.size > 0) throw new ConfigError([...errors])
}

function strategyName(app: FastifyInstance, model: Model): string {
  return model.strategy ?? app.config.balanceStrategy
}

/** The setting that names the model's strategy. */
function strategyPath({ strategy, group, alias }: Model): string {
  return strategy ? `${group}["${alias}"].strategy` : 'LLM_ROUTER_BALANCE_STRATEGY'
}

interface StateContext {
  turns: RequestQueue
  onSettled: SettledListener
}

function stateOf(
  app: FastifyInstance,
  model: Model,
  { turns, onSettled }: StateContext,
  strategy = strategyOf(app, model),
): ModelState {
  const { queueSize, queueTimeoutMs } = app.config
  return {
    onSettled,
    safely: (call) => callSafely(app, model, call),
    ...strategy,
    ...signalsOf(app, model, (target) => new LiveSignals(target, now())),
    available: new AvailableTargets(app.health.of),
    loadedFirst: new LoadedFirst(),
    budget: new RetryBudget(now),
    queue: new LeaseQueue({
      now,
      turns,
      model: model.alias,
      timeoutMs: queueTimeoutMs,
      size: queueSize,
    }),
  }
}

function callSafely<Result>(app: FastifyInstance, model: Model, call: () => Result): Result | undefined {
  try {
    return call()
  } catch (error) {
    app.log.error({ model: model.alias, ...describeBug(error) }, 'strategy failed')
    return undefined
  }
}

type ModelStrategy = Pick<ModelState, 'strategyName' | 'strategy' | 'affinity' | 'usesWeights'>

/** Throws ConfigError if the strategy cannot be created. */
function strategyOf(app: FastifyInstance, model: Model): ModelStrategy {
  const strategy = app.strategies.get(strategyName(app, model))
  try {
    return {
      strategyName: strategy.name,
      strategy: strategy.create({ now, random: app.random }),
      affinity: strategy.affinity === true,
      usesWeights: strategy.exclusive !== true && strategy.usesWeights === true,
    }
  } catch (error) {
    const problem = `strategy "${strategy.name}": 'create' failed: ${extensionProblem(error)}`
    throw new ConfigError([`${strategyPath(model)}: ${problem}`])
  }
}

/** As `strategyOf`, while the router runs: requests for the model fail if its strategy cannot be created. */
function strategyAfterReload(app: FastifyInstance, model: Model): ModelStrategy {
  try {
    return strategyOf(app, model)
  } catch (error) {
    const name = strategyName(app, model)
    app.log.error({ model: model.alias }, error instanceof ConfigError ? error.message : 'strategy failed')
    const pick = (): never => {
      throw strategyFailed(name, 'no instance')
    }
    return { strategyName: name, strategy: { pick }, affinity: false, usesWeights: false }
  }
}

export function strategyFailed(name: string, returned: string): RouterError {
  return new RouterError('internal', `The strategy '${name}' returned ${returned}`, {
    code: 'strategy_failed',
  })
}

function signalsOf(
  app: FastifyInstance,
  model: Model,
  live: (target: Target) => LiveSignals,
): Pick<ModelState, 'active' | 'standby' | 'live' | 'isLimited' | 'canaries'> {
  const standby = app.config.useSleeping === 'fallback' ? model.standby.map(live) : []
  const active = model.targets.map(live)
  const all = [...active, ...standby]
  const canaries = all.some(isCanary) ? new CanarySplit(app.random) : undefined
  const isLimited = all.some(({ target }) => target.maxInFlight !== undefined)
  return { active, standby, live: new Map(all.map((each) => [each.target, each])), isLimited, canaries }
}

/**
 * After a reload, unchanged targets keep their signals and models keep their queues. Attempts at removed targets keep
 * the objects they hold.
 */
function update(
  app: FastifyInstance,
  states: Map<string, ModelState>,
  { replaced }: ModelsChange,
  context: StateContext,
): void {
  const known = new Map<Target, LiveSignals>()
  for (const { active, standby } of states.values())
    for (const live of [...active, ...standby]) known.set(live.target, live)
  const liveOf = (target: Target): LiveSignals => {
    const previous = replaced.get(target)
    const live = known.get(target) ?? (previous && known.get(previous)) ?? new LiveSignals(target, now())
    live.target = target
    live.engine ??= app.engines.signalsOf(target)
    return live
  }
  const previous = new Map(states)
  states.clear()
  for (const model of app.models.all()) {
    const state = previous.get(model.alias)
    states.set(model.alias, state ?? stateOf(app, model, context, strategyAfterReload(app, model)))
    if (!state) continue
    Object.assign(state, signalsOf(app, model, liveOf))
    const name = strategyName(app, model)
    if (name !== state.strategyName) Object.assign(state, strategyAfterReload(app, model))
    state.safely(() => state.strategy.retain?.(allTargets(model)))
    previous.delete(model.alias)
    state.queue.wake()
  }
  for (const [alias, state] of previous) {
    state.active = []
    state.standby = []
    state.live = new Map()
    state.queue.refuseAll(modelNotFound(alias))
  }
}

function now(): number {
  return performance.now()
}

/**
 * The healthy targets of a model. The same list is returned while its members stay the same, because strategies cache
 * per list. This pays off with hundreds of targets, where some are nearly always down.
 */
export class AvailableTargets {
  readonly #healthOf: (target: Target) => TargetHealth
  #all: readonly LiveSignals[] = []
  #excluded: readonly TargetHealth[] = []
  #available: readonly LiveSignals[] = []

  constructor(healthOf: (target: Target) => TargetHealth) {
    this.#healthOf = healthOf
  }

  /** `excluded`: health objects of the targets to exclude. An identical list is taken as unchanged. */
  of(all: readonly LiveSignals[], excluded: readonly TargetHealth[]): readonly LiveSignals[] {
    if (all === this.#all && excluded === this.#excluded) return this.#available
    const out = new Set(excluded)
    const available = all.filter(({ target }) => !out.has(this.#healthOf(target)))
    // After a reload, the same signals may belong to targets with other weights or addresses.
    const isKept = all === this.#all && areSame(available, this.#available)
    this.#all = all
    this.#excluded = excluded
    if (available.length === all.length) this.#available = all
    else if (!isKept) this.#available = available
    return this.#available
  }
}

function areSame<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((each, index) => each === b[index])
}

/** For a strategy that manages its own weights. */
export function weightControl({ strategy }: Pick<ModelState, 'strategy'>): WeightControl | undefined {
  return 'pick' in strategy ? strategy.weights : undefined
}

/** Sets weights by target id. All other targets return to their configured weights. */
export function setWeights(state: ModelState, weights: ReadonlyMap<string, number>): void {
  const control = weightControl(state)
  let hasChanged = false
  for (const signals of state.live.values()) {
    const { id } = signals.target
    const weight = weights.get(id)
    if (weight === undefined) control?.reset(id)
    else control?.set(id, weight)
    hasChanged ||= signals.weight !== weight
    signals.weight = weight
  }
  if (!hasChanged) return
  // Strategies cache by list.
  state.active = [...state.active]
  state.standby = [...state.standby]
}
