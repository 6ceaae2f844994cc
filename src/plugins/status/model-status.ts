import type { FastifyInstance } from 'fastify'
import { cacheHitRatio } from '../../fleet/signals/engine-facts.ts'
import { present } from '../../lib/json/read.ts'
import { featureNames } from '../../relay/request/request-traits.ts'
import type { EngineStatus, ModelStatus, TargetStatus } from '../../sdk/console/status.ts'
import type { EngineSignals } from '../../sdk/engine-signals.ts'
import type { TargetSignals } from '../../sdk/strategy.ts'
import type { Model, Target } from '../../sdk/target.ts'
import { misconfigurationText } from '../health/log-change.ts'
import type { TargetHealth } from '../health/target-health.ts'
import { type RequestCounts, rounded, type TargetHistory } from './history.ts'
import { isDown, type StatesSince } from './target-states.ts'

export interface StatusSources {
  requests: RequestCounts
  historyOf(target: Target): TargetHistory
  states: StatesSince
}

export function modelStatus(
  app: FastifyInstance,
  model: Model,
  { historyOf, requests, states, serverOf }: StatusSources & { serverOf(target: Target): string },
): ModelStatus {
  const strategy = app.balancer.strategy(model)
  const weights = strategy && 'pick' in strategy ? strategy.weights : undefined
  const signals = new Map(app.balancer.signals(model).map((each) => [each.target, each]))
  const statusOf = (target: Target, isStandby: boolean): TargetStatus => {
    const health = app.health.of(target)
    const checked = app.health.stateOf(target)
    const { state, since } = states.of(target, isStandby)
    const { ended, failed, errors } = historyOf(target)
    return {
      id: target.id,
      type: target.type.name,
      server: serverOf(target),
      ...hostOf(target),
      ...addressOf(target),
      state,
      since,
      ...reasons(health),
      breaker: health.breaker.state,
      ...(isDown(checked) ? { down: checked } : {}),
      retry_in_seconds: rounded(health.waitMs / 1000),
      ...slotLimitOf(app, target),
      ...measured(signals.get(target)),
      requests_per_minute: ended.total,
      failed_per_minute: failed.total,
      ...weightsOf(target, weights?.get(target.id) ?? signals.get(target)?.weight),
      context: target.inputSize,
      last_errors: [...errors],
      ...engineOf(app.engines.signalsOf(target)),
    }
  }
  // Standby targets in use are among the signals.
  const isUsed = (target: Target): boolean => signals.has(target)
  return {
    name: model.alias,
    strategy: model.strategy ?? app.config.balanceStrategy,
    waiting: app.balancer.waiting(model) + app.holding.held(model),
    refused_per_minute: requests.refusedOf(model.alias),
    panic: app.health.isPanicking(model),
    targets: [
      ...model.targets.map((target) => statusOf(target, false)),
      ...model.standby.map((target) => statusOf(target, !isUsed(target))),
    ],
  }
}

function weightsOf(
  { weight }: Target,
  set: number | undefined,
): Pick<TargetStatus, 'weight' | 'configured_weight'> {
  return set === undefined ? { weight } : { weight: set, configured_weight: weight }
}

function slotLimitOf(app: FastifyInstance, target: Target): Pick<TargetStatus, 'places'> {
  const places = app.balancer.slotLimit(target)
  return places === undefined ? {} : { places }
}

function engineOf(signals: EngineSignals | undefined): Pick<TargetStatus, 'engine'> {
  return signals ? { engine: engineStatus(signals) } : {}
}

function hostOf({ origin }: Target): Pick<TargetStatus, 'host'> {
  return origin === '' ? {} : { host: origin.slice(origin.indexOf('//') + 2) }
}

function addressOf({ connection }: Target): Pick<TargetStatus, 'address'> {
  const { address, port } = connection ?? {}
  if (address === undefined) return {}
  if (port === undefined) return { address }
  return { address: `${address.includes(':') ? `[${address}]` : address}:${port}` }
}

function measured(
  signals: TargetSignals | undefined,
): Pick<TargetStatus, 'in_flight' | 'uses' | 'failure_rate' | 'first_content_ms' | 'tokens_per_second'> {
  const { inFlight = 0, uses = 0, failureRate = 0, firstContentMs, perTokenMs } = signals ?? {}
  return {
    in_flight: inFlight,
    uses,
    failure_rate: Math.round(failureRate * 1000) / 1000,
    ...(firstContentMs === undefined ? {} : { first_content_ms: rounded(firstContentMs) }),
    // Undefined for responses that arrived as a whole or whose tokens all came at once.
    ...(perTokenMs === undefined || perTokenMs === 0
      ? {}
      : { tokens_per_second: rounded(1000 / perTokenMs) }),
  }
}

function reasons({
  misconfigured,
  ejectedFeatures,
}: TargetHealth): Pick<TargetStatus, 'reason' | 'ejected_for'> {
  const features = [...new Set(ejectedFeatures.map((each) => featureNames(each).join('+')))]
  return {
    ...(misconfigured && {
      reason: `HTTP ${misconfigured.status}: ${misconfigurationText(misconfigured.status)}`,
    }),
    ...(features.length > 0 && { ejected_for: features }),
  }
}

/** Maximum number of listed models per server: some have hundreds. */
const maxLoaded = 100

/** A server's signals in the form of the status. */
function engineStatus(signals: EngineSignals): EngineStatus {
  const { state, sleep, running, waiting, kvUse, slots, maxRunning, loaded } = signals
  const ratio = cacheHitRatio(signals)
  return present({
    state,
    sleep,
    running: whole(running),
    waiting: whole(waiting),
    kv_use: kvUse,
    cache_hit_ratio: ratio === undefined ? undefined : Math.round(ratio * 1000) / 1000,
    slots: whole(slots ?? maxRunning),
    loaded: loaded
      ?.slice(0, maxLoaded)
      .map(({ name, context, expiresAt }) => ({ name, ...present({ context, expires_at: expiresAt }) })),
  })
}

/** Prometheus samples are floating point. */
function whole(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value)
}
