import type { FastifyInstance } from 'fastify'
import { type AttemptSuccess, outcomeOf } from '../../relay/attempt/attempt-result.ts'
import type { Exchange } from '../../relay/exchange.ts'
import type { AttemptRecord, Step } from '../../relay/steps.ts'
import { Families, perKey, perProvider } from './families.ts'
import { durationBuckets, reasonOf, type TargetLabels } from './labels.ts'

/** Steps of requests as they happen: target selection, attempts, retries. */
export function recordSteps(
  app: FastifyInstance,
  targetLabels: TargetLabels,
): (step: Step, exchange: Exchange) => void {
  const recordAttempt = recordAttempts(app, targetLabels)
  const recordPick = recordPicks(app)
  const { retries, exhausted } = retryCounters(new Families(app.metrics.client))
  return (step, exchange) => {
    switch (step.type) {
      case 'attempt-began':
        return
      case 'attempt-ended': {
        const { target, after } = step.attempt
        recordAttempt(step.attempt, exchange.dialect)
        if (after) retries.series({ model_name: target.model, error_code: reasonOf(after) }).value++
        return
      }
      case 'pick':
        return recordPick(step)
      case 'resent':
        retries.series({ model_name: step.model, error_code: 'stale_socket' }).value++
        return
      case 'exhausted':
        exhausted.series({ model_name: step.model, last_error_code: reasonOf(step.error) }).value++
    }
  }
}

function retryCounters(families: Families) {
  return {
    retries: families.counter({
      name: 'llm_router_retry_total',
      help: 'Second and later attempts, by the reason the previous one failed; stale_socket is a retry at the same target.',
      labelNames: ['model_name', 'error_code'],
    }),
    exhausted: families.counter({
      name: 'llm_router_retry_exhausted_total',
      help: 'Requests for which all attempts at the targets of a model failed.',
      labelNames: ['model_name', 'last_error_code'],
    }),
  }
}

type PickStep = Extract<Step, { type: 'pick' }>

function recordPicks(app: FastifyInstance): (step: PickStep) => void {
  const families = new Families(app.metrics.client)
  const stages = families.counter({
    name: 'llm_router_pipeline_stage_total',
    help: 'Stages of requests; provider_resolved tells whether a target was available.',
    labelNames: ['stage', 'result'],
  })
  const waits = families.histogram({
    name: 'llm_router_queue_wait_seconds',
    help: 'Time that requests waited for a slot at a target, including those that got none.',
    labelNames: ['model_name'],
    buckets: [0.001, ...durationBuckets],
  })
  const refusals = families.counter({
    name: 'llm_router_queue_refusals_total',
    help: 'Requests that got no slot at a target: queue_full, queue_timeout.',
    labelNames: ['model_name', 'reason'],
  })
  const stageOf = perKey((result: string) => stages.series({ stage: 'provider_resolved', result }))
  const waitsOf = perKey((model_name: string) => waits.series({ model_name }))
  return ({ model, ms, found, error }) => {
    stageOf(found ? 'success' : 'failure').value++
    if (app.balancer.mayWait(model)) waitsOf(model).observe(ms / 1000)
    const reason = error && reasonOf(error)
    if (reason === 'queue_full' || reason === 'queue_timeout')
      refusals.series({ model_name: model, reason }).value++
  }
}

const latencyBuckets = durationBuckets.filter((bound) => bound >= 0.01)
/** In seconds; vLLM's buckets, extended upwards. */
const perTokenBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 10]

type RecordAttempt = (attempt: AttemptRecord, clientDialect: string | undefined) => void

/** Records each attempt at a target. */
export function recordAttempts(app: FastifyInstance, targetLabels: TargetLabels): RecordAttempt {
  const families = new Families(app.metrics.client)
  const recorders = [
    recordProvider(families),
    recordTimes(families, targetLabels),
    recordChoice(
      families,
      targetLabels,
      (model) => app.models.find(model)?.strategy ?? app.config.balanceStrategy,
    ),
    recordFailovers(families),
  ]
  return (attempt, clientDialect) => {
    for (const record of recorders) record(attempt, clientDialect)
  }
}

function recordProvider(families: Families): RecordAttempt {
  const calls = families.counter({
    name: 'llm_router_provider_calls_total',
    help: 'Attempts at upstream servers.',
    labelNames: ['provider_type', 'model_name'],
  })
  const errors = families.counter({
    name: 'llm_router_provider_error_total',
    help: 'Failed attempts by error.',
    labelNames: ['provider_type', 'model_name', 'error_code'],
  })
  const conversions = families.counter({
    name: 'llm_router_payload_conversion_total',
    help: "Attempts whose request was translated from the client's dialect to the target's.",
    labelNames: ['from_type', 'to_type'],
  })
  const callsOf = perProvider((labels) => calls.series(labels))
  const conversionsOf = perKey((from_type: string) =>
    perKey((to_type: string) => conversions.series({ from_type, to_type })),
  )
  return ({ target: { model, type }, result }, from) => {
    const { name: provider_type, dialect: to } = type
    callsOf(provider_type)(model).value++
    if (from !== undefined && from !== to) conversionsOf(from)(to).value++
    if (result?.type !== 'failure' || outcomeOf(result) !== 'failure') return
    errors.series({ provider_type, model_name: model, error_code: reasonOf(result.error) }).value++
  }
}

function recordTimes(families: Families, targetLabels: TargetLabels): RecordAttempt {
  const latency = families.histogram({
    name: 'llm_router_provider_latency_seconds',
    help: 'Duration of successful attempts, from the selection of the target to the last byte of its response.',
    labelNames: ['provider_type', 'model_name', 'target'],
    buckets: latencyBuckets,
  })
  const perToken = families.histogram({
    name: 'llm_router_time_per_output_token_seconds',
    help: 'Time per output token after the first content of a stream, where the upstream reports token counts.',
    labelNames: ['provider_type', 'model_name', 'target'],
    buckets: perTokenBuckets,
  })
  const seriesOf = perProvider((labels) =>
    perKey((target: string) => ({
      latency: latency.series({ ...labels, target }),
      perToken: perToken.series({ ...labels, target }),
    })),
  )
  return ({ target, result, durationMs }) => {
    if (result?.type !== 'success') return
    const series = seriesOf(target.type.name)(target.model)(targetLabels.of(target))
    series.latency.observe(durationMs / 1000)
    const ms = msPerToken(result, durationMs)
    if (ms !== undefined) series.perToken.observe(ms / 1000)
  }
}

/** Undefined for a response that arrived as a whole. */
function msPerToken(
  { streamed, firstContentMs, usage }: AttemptSuccess,
  durationMs: number,
): number | undefined {
  const tokens = usage?.completionTokens ?? 0
  if (!streamed || firstContentMs === undefined || tokens < 2) return undefined
  return Math.max(0, durationMs - firstContentMs) / (tokens - 1)
}

function recordChoice(
  families: Families,
  targetLabels: TargetLabels,
  strategyOf: (model: string) => string,
): RecordAttempt {
  const targets = families.counter({
    name: 'llm_router_target_calls_total',
    help: 'Attempts by target and result: success, failure, cancelled (says nothing about the target).',
    labelNames: ['model_name', 'target', 'result'],
  })
  const picks = families.counter({
    name: 'llm_router_lb_strategy_selected_total',
    help: 'Targets picked by the strategy.',
    labelNames: ['strategy', 'model_name'],
  })
  const targetsOf = perKey((model_name: string) =>
    perKey((target: string) => perKey((result: string) => targets.series({ model_name, target, result }))),
  )
  const picksOf = perKey((strategy: string) =>
    perKey((model_name: string) => picks.series({ strategy, model_name })),
  )
  return ({ target, result }) => {
    const { model } = target
    targetsOf(model)(targetLabels.of(target))(outcomeOf(result)).value++
    picksOf(strategyOf(model))(model).value++
  }
}

function recordFailovers(families: Families): RecordAttempt {
  const failovers = families.counter({
    name: 'llm_router_failovers_total',
    help: 'Second and later attempts at another target, by the reason the previous one failed.',
    labelNames: ['model_name', 'error_code'],
  })
  return ({ target, after }) => {
    if (after) failovers.series({ model_name: target.model, error_code: reasonOf(after) }).value++
  }
}
