import type { FastifyInstance } from 'fastify'
import type { Step } from '../../relay/call-log.ts'
import type { Exchange } from '../../relay/exchange.ts'
import { recordCalls } from './calls.ts'
import { Families, perKey } from './families.ts'
import { durationBuckets, reasonOf } from './labels.ts'

/** What the router does for the requests, as it is done: the searches for targets, the calls, the tries again. */
export function recordSteps(app: FastifyInstance): (step: Step, exchange: Exchange) => void {
  const recordCall = recordCalls(app)
  const recordSearch = recordSearches(app)
  const { retries, exhausted } = retryCounters(new Families(app.metrics.client))
  return (step, exchange) => {
    switch (step.type) {
      case 'call': {
        const { model, after } = step.call
        recordCall(step.call, exchange.dialect)
        if (after) retries.series({ model_name: model, error_code: reasonOf(after) }).value++
        return
      }
      case 'search':
        return recordSearch(step)
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
      help: 'Second and later tries, by why the one before failed; stale_socket is a try at the same target.',
      labelNames: ['model_name', 'error_code'],
    }),
    exhausted: families.counter({
      name: 'llm_router_retry_exhausted_total',
      help: 'Times that a model was given up, after its targets had failed.',
      labelNames: ['model_name', 'last_error_code'],
    }),
  }
}

type Search = Extract<Step, { type: 'search' }>

function recordSearches(app: FastifyInstance): (step: Search) => void {
  const families = new Families(app.metrics.client)
  const stages = families.counter({
    name: 'llm_router_pipeline_stage_total',
    help: 'Stages of requests; provider_resolved: a target was asked for, and was there or not.',
    labelNames: ['stage', 'result'],
  })
  const waits = families.histogram({
    name: 'llm_router_queue_wait_seconds',
    help: 'How long requests waited for a target of their own, also those that got none.',
    labelNames: ['model_name'],
    buckets: [0.001, ...durationBuckets],
  })
  const refusals = families.counter({
    name: 'llm_router_queue_refusals_total',
    help: 'Requests that got no target of their own: queue_full, queue_timeout.',
    labelNames: ['model_name', 'reason'],
  })
  const stageOf = perKey((result: string) => stages.series({ stage: 'provider_resolved', result }))
  const waitsOf = perKey((model_name: string) => waits.series({ model_name }))
  return ({ model, ms, found, error }) => {
    stageOf(found ? 'success' : 'failure').value++
    if (isExclusive(app, model)) waitsOf(model).observe(ms / 1000)
    const reason = error && reasonOf(error)
    if (reason === 'queue_full' || reason === 'queue_timeout')
      refusals.series({ model_name: model, reason }).value++
  }
}

/** Only such a strategy makes requests wait for their turn. */
function isExclusive(app: FastifyInstance, alias: string): boolean {
  const model = app.models.find(alias)
  const strategy = model && app.balancer.strategy(model)
  return strategy !== undefined && 'order' in strategy
}
