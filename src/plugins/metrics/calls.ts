import type { FastifyInstance } from 'fastify'
import type { CallRecord } from '../../relay/call-log.ts'
import { Families, perKey, perProvider } from './families.ts'
import { durationBuckets, reasonOf } from './labels.ts'

const latencyBuckets = durationBuckets.filter((bound) => bound >= 0.01)
/** Like vLLM's, and further up, in seconds. */
const perTokenBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 10]

type RecordCall = (call: CallRecord, clientDialect: string | undefined) => void

/** The router's calls to providers, one by one. */
export function recordCalls(app: FastifyInstance): RecordCall {
  const families = new Families(app.metrics.client)
  const recorders = [
    recordProvider(families),
    recordTimes(families),
    recordChoice(families, (model) => app.models.find(model)?.strategy ?? app.config.balanceStrategy),
    recordSecondTry(families),
  ]
  return (call, clientDialect) => {
    for (const record of recorders) record(call, clientDialect)
  }
}

function recordProvider(families: Families): RecordCall {
  const calls = families.counter({
    name: 'llm_router_provider_calls_total',
    help: 'Calls to providers, each try counted.',
    labelNames: ['provider_type', 'model_name'],
  })
  const errors = families.counter({
    name: 'llm_router_provider_error_total',
    help: 'Calls that failed, by what went wrong.',
    labelNames: ['provider_type', 'model_name', 'error_code'],
  })
  const conversions = families.counter({
    name: 'llm_router_payload_conversion_total',
    help: "Calls whose request was translated from the client's dialect to the target's.",
    labelNames: ['from_type', 'to_type'],
  })
  const callsOf = perProvider((labels) => calls.series(labels))
  const conversionsOf = perKey((from_type: string) =>
    perKey((to_type: string) => conversions.series({ from_type, to_type })),
  )
  return ({ model, providerType, dialect: to, result, error }, from) => {
    callsOf(providerType)(model).value++
    if (from !== undefined && from !== to) conversionsOf(from)(to).value++
    if (result !== 'failure' || !error) return
    errors.series({ provider_type: providerType, model_name: model, error_code: reasonOf(error) }).value++
  }
}

function recordTimes(families: Families): RecordCall {
  const latency = families.histogram({
    name: 'llm_router_provider_latency_seconds',
    help: 'Time of the calls that succeeded, from the pick of the target to the last byte of its answer.',
    labelNames: ['provider_type', 'model_name'],
    buckets: latencyBuckets,
  })
  const perToken = families.histogram({
    name: 'llm_router_time_per_output_token_seconds',
    help: 'Of streams: time for each token after the first content, where the upstream counted them.',
    labelNames: ['provider_type', 'model_name'],
    buckets: perTokenBuckets,
  })
  const seriesOf = perProvider((labels) => {
    return { latency: latency.series(labels), perToken: perToken.series(labels) }
  })
  return (call) => {
    if (call.result !== 'success') return
    const series = seriesOf(call.providerType)(call.model)
    series.latency.observe(call.durationMs / 1000)
    const ms = msPerToken(call)
    if (ms !== undefined) series.perToken.observe(ms / 1000)
  }
}

/** Of an answer that came at once nothing can be said. */
function msPerToken({ streamed, durationMs, firstContentMs, tokens = 0 }: CallRecord): number | undefined {
  if (!streamed || firstContentMs === undefined || tokens < 2) return undefined
  return Math.max(0, durationMs - firstContentMs) / (tokens - 1)
}

function recordChoice(families: Families, strategyOf: (model: string) => string): RecordCall {
  const targets = families.counter({
    name: 'llm_router_target_calls_total',
    help: 'Calls to each target: success, failure, cancelled (it says nothing about the target).',
    labelNames: ['model_name', 'target', 'result'],
  })
  const picks = families.counter({
    name: 'llm_router_lb_strategy_selected_total',
    help: 'Targets that a strategy picked.',
    labelNames: ['strategy', 'model_name'],
  })
  const targetsOf = perKey((model_name: string) =>
    perKey((target: string) => perKey((result: string) => targets.series({ model_name, target, result }))),
  )
  const picksOf = perKey((strategy: string) =>
    perKey((model_name: string) => picks.series({ strategy, model_name })),
  )
  return ({ model, target, result }) => {
    targetsOf(model)(target)(result).value++
    picksOf(strategyOf(model))(model).value++
  }
}

function recordSecondTry(families: Families): RecordCall {
  const failovers = families.counter({
    name: 'llm_router_failovers_total',
    help: 'Tries at another target, by why the one before failed.',
    labelNames: ['model_name', 'error_code'],
  })
  return ({ model, after }) => {
    if (after) failovers.series({ model_name: model, error_code: reasonOf(after) }).value++
  }
}
