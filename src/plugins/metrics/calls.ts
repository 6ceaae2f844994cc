import type { FastifyInstance } from 'fastify'
import type { CallRecord } from '../../relay/call-log.ts'
import { durationBuckets, reasonOf } from './labels.ts'

const latencyBuckets = durationBuckets.filter((bound) => bound >= 0.01)
/** Like vLLM's, and further up, in seconds. */
const perTokenBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 10]

type RecordCall = (call: CallRecord, clientDialect: string | undefined) => void

/** The router's calls to providers, one by one. */
export function recordCalls(app: FastifyInstance): RecordCall {
  const recorders = [recordProvider(app), recordTimes(app), recordChoice(app), recordSecondTry(app)]
  return (call, clientDialect) => {
    for (const record of recorders) record(call, clientDialect)
  }
}

function recordProvider(app: FastifyInstance): RecordCall {
  const { Counter } = app.metrics.client
  const calls = new Counter({
    name: 'llm_router_provider_calls_total',
    help: 'Calls to providers, each try counted.',
    labelNames: ['provider_type', 'model_name'],
  })
  const errors = new Counter({
    name: 'llm_router_provider_error_total',
    help: 'Calls that failed, by what went wrong.',
    labelNames: ['provider_type', 'model_name', 'error_code'],
  })
  const conversions = new Counter({
    name: 'llm_router_payload_conversion_total',
    help: "Calls whose request was translated from the client's dialect to the target's.",
    labelNames: ['from_type', 'to_type'],
  })
  return ({ model, providerType, dialect: to, result, error }, from) => {
    const labels = { provider_type: providerType, model_name: model }
    calls.inc(labels)
    if (result === 'failure' && error) errors.inc({ ...labels, error_code: reasonOf(error) })
    if (from !== undefined && from !== to) conversions.inc({ from_type: from, to_type: to })
  }
}

function recordTimes(app: FastifyInstance): RecordCall {
  const { Histogram } = app.metrics.client
  const labelNames = ['provider_type', 'model_name'] as const
  const latency = new Histogram({
    name: 'llm_router_provider_latency_seconds',
    help: 'Time of the calls that succeeded, from the pick of the target to the last byte of its answer.',
    labelNames,
    buckets: latencyBuckets,
  })
  const perToken = new Histogram({
    name: 'llm_router_time_per_output_token_seconds',
    help: 'Of streams: time for each token after the first content, where the upstream counted them.',
    labelNames,
    buckets: perTokenBuckets,
  })
  return (call) => {
    if (call.result !== 'success') return
    const labels = { provider_type: call.providerType, model_name: call.model }
    latency.observe(labels, call.durationMs / 1000)
    const ms = msPerToken(call)
    if (ms !== undefined) perToken.observe(labels, ms / 1000)
  }
}

/** Of an answer that came at once nothing can be said. */
function msPerToken({ streamed, durationMs, firstContentMs, tokens = 0 }: CallRecord): number | undefined {
  if (!streamed || firstContentMs === undefined || tokens < 2) return undefined
  return Math.max(0, durationMs - firstContentMs) / (tokens - 1)
}

function recordChoice(app: FastifyInstance): RecordCall {
  const { Counter } = app.metrics.client
  const targets = new Counter({
    name: 'llm_router_target_calls_total',
    help: 'Calls to each target: success, failure, cancelled (it says nothing about the target).',
    labelNames: ['model_name', 'target', 'result'],
  })
  const picks = new Counter({
    name: 'llm_router_lb_strategy_selected_total',
    help: 'Targets that a strategy picked.',
    labelNames: ['strategy', 'model_name'],
  })
  return ({ model, target, result }) => {
    targets.inc({ model_name: model, target, result })
    const strategy = app.models.find(model)?.strategy ?? app.config.balanceStrategy
    picks.inc({ strategy, model_name: model })
  }
}

function recordSecondTry(app: FastifyInstance): RecordCall {
  const { Counter } = app.metrics.client
  const failovers = new Counter({
    name: 'llm_router_failovers_total',
    help: 'Tries at another target, by why the one before failed.',
    labelNames: ['model_name', 'error_code'],
  })
  return ({ model, after }) => {
    if (after) failovers.inc({ model_name: model, error_code: reasonOf(after) })
  }
}
