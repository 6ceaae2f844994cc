import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../relay/exchange.ts'
import { durationBuckets } from './labels.ts'

/** What was asked of each model, as its clients saw it. Names of models are those of the configuration. */
export function recordModels(app: FastifyInstance): (record: ExchangeRecord) => void {
  const { Counter, Histogram } = app.metrics.client
  const byProvider = ['provider_type', 'model_name'] as const
  const requests = new Counter({
    name: 'llm_router_requests_total',
    help: 'Requests to a model that have ended: success, client_error, error, truncated, client_gone.',
    labelNames: ['model_name', 'outcome'],
  })
  const firstToken = new Histogram({
    name: 'llm_router_time_to_first_token_seconds',
    help: 'Of streams: time from the arrival of a request to the first content of its answer.',
    labelNames: byProvider,
    buckets: durationBuckets,
  })
  const tokens = new Counter({
    name: 'llm_router_tokens_total',
    help: 'Tokens as the upstreams counted them.',
    labelNames: ['model_name', 'direction', 'provider_type'],
  })
  const formats = new Counter({
    name: 'llm_router_response_format_total',
    help: 'Answers that were begun or given: streamed, non_streamed.',
    labelNames: ['format', 'model_name', 'provider_type'],
  })
  const lost = new Counter({
    name: 'llm_router_lost_fields_total',
    help: 'Fields of requests that the upstream could not be told; the log names them.',
    labelNames: ['model_name', 'provider_type'],
  })
  const fallbacks = new Counter({
    name: 'llm_router_fallbacks_total',
    help: 'Requests that went on to a fallback model, by the model that was asked for and the last that was tried.',
    labelNames: ['model_name', 'fallback'],
  })
  return (record) => {
    const { usage, providerType, answeringModel } = record
    if (record.model === undefined) return
    if (answeringModel !== undefined) fallbacks.inc({ model_name: record.model, fallback: answeringModel })
    requests.inc({ model_name: record.model, outcome: record.outcome })
    const model = answeringModel ?? record.model
    if (providerType === undefined) return
    const labels = { provider_type: providerType, model_name: model }
    if (record.firstContentMs !== undefined) {
      formats.inc({ ...labels, format: record.stream ? 'streamed' : 'non_streamed' })
      if (record.stream) firstToken.observe(labels, record.firstContentMs / 1000)
    }
    if (record.lost.length > 0) lost.inc(labels, record.lost.length)
    if (!usage) return
    tokens.inc({ ...labels, direction: 'input' }, usage.promptTokens)
    tokens.inc({ ...labels, direction: 'output' }, usage.completionTokens)
  }
}
