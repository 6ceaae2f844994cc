import cluster from 'node:cluster'
import { memoryUsage, pid, versions } from 'node:process'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { clusterStatus } from '../../cluster/status.ts'
import { version } from '../../lib/version.ts'
import { outcomeOf } from '../../relay/attempt/attempt-result.ts'
import type { ExchangeRecord } from '../../relay/exchange.ts'
import { featureNames } from '../../relay/request/request-traits.ts'
import { errorWords } from '../../sdk/console/error-words.ts'
import type { EngineSignals } from '../../sdk/engine-signals.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type {
  Failure,
  ModelStatus,
  Status,
  TargetError,
  TargetStatus,
  WorkerStatus,
} from '../../sdk/status.ts'
import type { TargetSignals } from '../../sdk/strategy.ts'
import type { Model, Target } from '../../sdk/target.ts'
import { misconfigurationText } from '../health/log-change.ts'
import type { TargetHealth } from '../health/target-health.ts'
import { engineStatus } from './engine-status.ts'
import { RecentCount } from './recent-count.ts'
import { sumOfStatuses } from './status-sum.ts'
import { isDown, type StatesSince, targetStatesSince } from './target-states.ts'

declare module 'fastify' {
  interface FastifyInstance {
    status: {
      /** Current status of this process and its targets. */
      read(): Status
      /** Combined status of all processes in the cluster; in a single process the same as `read`. Never rejects. */
      readAll(): Promise<Status>
    }
  }
}

const keptErrors = 5
const keptFailures = 20

interface TargetHistory {
  ended: RecentCount
  failed: RecentCount
  errors: TargetError[]
}

/** Collects what operators need first during an incident: the state of each target, its load, and the latest errors. */
export default fp(
  (app, _options, done) => {
    const startedAt = new Date(Date.now() - performance.now()).toISOString()
    const requests = countRequests(app)
    const histories = new WeakMap<Target, TargetHistory>()
    const historyOf = (target: Target): TargetHistory => {
      const history = histories.get(target) ?? {
        ended: new RecentCount(now),
        failed: new RecentCount(now),
        errors: [],
      }
      histories.set(target, history)
      return history
    }
    app.balancer.onSettled((target, result) => {
      if (outcomeOf(result) === 'cancelled') return
      const history = historyOf(target)
      history.ended.add()
      if (result?.type !== 'failure') return
      history.failed.add()
      keep(history.errors, { at: timestamp(), ...saidOf(result.error) }, keptErrors)
    })
    const states = targetStatesSince(app)
    const read = (): Status => ownStatus(app, { startedAt, requests, historyOf, states })
    app.decorate('status', { read, readAll: readerOfAll(app, read) })
    done()
  },
  {
    name: 'status',
    dependencies: [
      'config',
      'reload',
      'models',
      'engines',
      'health',
      'balancer',
      'holding',
      'exchange',
      'drain',
    ],
  },
)

/** Falls back to the status of this process if the primary does not respond. */
function readerOfAll({ primary, log }: FastifyInstance, read: () => Status): () => Promise<Status> {
  if (!primary) return async () => read()
  const collect = clusterStatus(primary, read)
  const limits = { errors: keptErrors, failures: keptFailures }
  return async () => {
    try {
      const parts = await collect()
      return sumOfStatuses(read(), parts, limits)
    } catch (error) {
      log.warn({ error: String(error) }, 'the status of the other processes is unknown')
      return read()
    }
  }
}

interface Kept {
  startedAt: string
  requests: ReturnType<typeof countRequests>
  historyOf(target: Target): TargetHistory
  states: StatesSince
}

function ownStatus(app: FastifyInstance, { startedAt, requests, historyOf, states }: Kept): Status {
  const { version: configVersion, at } = app.models.loading()
  const models = app.models.all().map((model) => modelStatus(app, model, { historyOf, requests, states }))
  const own: Omit<Status, 'workers'> = {
    version,
    node: versions.node,
    config: { version: configVersion, loaded_at: at.toISOString(), failed: failedReloads(app) },
    started_at: startedAt,
    uptime_seconds: rounded(performance.now() / 1000),
    worker: cluster.worker?.id ?? 0,
    state: stateOf(app, models),
    strategy: app.config.balanceStrategy,
    requests: requests.read(),
    models,
    failures: [...requests.failures],
  }
  return { ...own, workers: [workerStatus(own)] }
}

/** This process as one row of the worker list. */
function workerStatus(status: Omit<Status, 'workers'>): WorkerStatus {
  const { worker, state, uptime_seconds, models, requests, config } = status
  const targets = models.flatMap((model) => model.targets)
  return {
    worker,
    pid,
    state,
    uptime_seconds,
    in_flight: targets.reduce((sum, { in_flight }) => sum + in_flight, 0),
    waiting: models.reduce((sum, { waiting }) => sum + waiting, 0),
    finished: requests.finished,
    failed: requests.failed,
    memory_bytes: memoryUsage.rss(),
    config: config.version,
  }
}

function failedReloads(app: FastifyInstance): Status['config']['failed'] {
  return Array.from(app.reload.failures(), ([setting, { at, errors }]) => {
    return { setting, at: at.toISOString(), faults: errors.length }
  })
}

/** Codes of requests that were refused because no target could take them. */
const refusals = new Set([
  'no_healthy_provider',
  'model_loading',
  'queue_full',
  'queue_timeout',
  'upstream_unreachable',
])

function countRequests(app: FastifyInstance): {
  read(): Status['requests']
  /** Requests of the last minute for a model that were refused for want of a target. */
  refusedOf(model: string): number
  failures: readonly Failure[]
} {
  const refused = new Map<string, RecentCount>()
  const failures: Failure[] = []
  const [ended, failedRecently] = [new RecentCount(now), new RecentCount(now)]
  let [finished, failed, gone] = [0, 0, 0]
  app.exchanges.onEnd((record) => {
    if (record.model === undefined) return
    finished++
    ended.add()
    if (record.outcome === 'client_gone') gone++
    if (record.error && refusals.has(record.error.code ?? '')) {
      const count = refused.get(record.model) ?? new RecentCount(now)
      refused.set(record.model, count)
      count.add()
    }
    if (record.outcome !== 'error' && record.outcome !== 'truncated') return
    failed++
    failedRecently.add()
    keep(failures, failureOf(record, record.model), keptFailures)
  })
  return {
    failures,
    refusedOf: (model) => refused.get(model)?.total ?? 0,
    read: () => ({
      finished,
      failed,
      client_gone: gone,
      per_minute: ended.total,
      failed_per_minute: failedRecently.total,
    }),
  }
}

function failureOf({ target, status, outcome, error }: ExchangeRecord, model: string): Failure {
  return {
    at: timestamp(),
    model,
    ...(target === undefined ? {} : { target }),
    status,
    outcome,
    ...(error ? saidOf(error) : { code: 'unknown', text: 'unknown' }),
  }
}

function saidOf(error: RouterError): { code: string; text: string } {
  const code = codeOf(error)
  return { code, text: errorWords(code) }
}

/** Only codes of the router and of Node: an upstream's own code could contain anything. */
function codeOf({ causeCode, code, kind }: RouterError): string {
  return [causeCode, code].find((word) => word !== undefined && /^[\w.-]{1,64}$/.test(word)) ?? kind
}

function modelStatus(
  app: FastifyInstance,
  model: Model,
  { historyOf, requests, states }: Pick<Kept, 'historyOf' | 'requests' | 'states'>,
): ModelStatus {
  const strategy = app.balancer.strategy(model)
  const weights = strategy && 'pick' in strategy ? strategy.weights : undefined
  const signals = new Map(app.balancer.signals(model).map((each) => [each.target, each]))
  const statusOf = (target: Target, parked: boolean): TargetStatus => {
    const health = app.health.of(target)
    const checked = app.health.stateOf(target)
    const { state, since } = states.of(target, parked)
    const { ended, failed, errors } = historyOf(target)
    return {
      id: target.id,
      type: target.type.name,
      ...addressOf(target),
      ...{ state, since },
      ...reasons(health),
      breaker: health.breaker.state,
      ...(isDown(checked) ? { down: checked } : {}),
      retry_in_seconds: rounded(health.waitMs / 1000),
      ...placesOf(app, target),
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
      ...model.sleeping.map((target) => statusOf(target, !isUsed(target))),
    ],
  }
}

function weightsOf(
  { weight }: Target,
  set: number | undefined,
): Pick<TargetStatus, 'weight' | 'configured_weight'> {
  return set === undefined ? { weight } : { weight: set, configured_weight: weight }
}

function placesOf(app: FastifyInstance, target: Target): Pick<TargetStatus, 'places'> {
  const places = app.balancer.places(target)
  return places === undefined ? {} : { places }
}

function engineOf(signals: EngineSignals | undefined): Pick<TargetStatus, 'engine'> {
  return signals ? { engine: engineStatus(signals) } : {}
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

function stateOf(app: FastifyInstance, models: readonly ModelStatus[]): Status['state'] {
  if (app.drain.active) return 'draining'
  const states = models
    .flatMap(({ targets }) => targets.map(({ state }) => state))
    .filter((state) => state !== 'parked' && state !== 'drained')
  const isUsed = states.some((state) => state === 'up' || state === 'trial' || state === 'misconfigured')
  if (!isUsed && !models.some(({ panic }) => panic)) return 'unusable'
  return states.every((state) => state === 'up') ? 'ready' : 'degraded'
}

function keep<Item>(list: Item[], item: Item, most: number): void {
  list.unshift(item)
  list.length = Math.min(list.length, most)
}

function timestamp(): string {
  return new Date().toISOString()
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}

function now(): number {
  return performance.now()
}
