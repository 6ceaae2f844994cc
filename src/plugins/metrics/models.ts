import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../relay/exchange.ts'
import { Families, perKey, perProvider } from './families.ts'
import { durationBuckets } from './labels.ts'

/** What was asked of each model, as its clients saw it. Names of models are those of the configuration. */
export function recordModels(app: FastifyInstance): (record: ExchangeRecord) => void {
  const families = new Families(app.metrics.client)
  const requests = families.counter({
    name: 'llm_router_requests_total',
    help: 'Requests to a model that have ended: success, client_error, error, truncated, client_gone.',
    labelNames: ['model_name', 'outcome'],
  })
  const fallbacks = families.counter({
    name: 'llm_router_fallbacks_total',
    help: 'Requests that went on to a fallback model, by the model that was asked for and the last that was tried.',
    labelNames: ['model_name', 'fallback'],
  })
  const requestsOf = perKey((model: string) =>
    perKey((outcome: string) => requests.series({ model_name: model, outcome })),
  )
  const answersOf = answerSeries(families)
  return (record) => {
    const { model, usage, providerType, answeringModel } = record
    if (model === undefined) return
    if (answeringModel !== undefined)
      fallbacks.series({ model_name: model, fallback: answeringModel }).value++
    requestsOf(model)(record.outcome).value++
    if (providerType === undefined) return
    const series = answersOf(providerType)(answeringModel ?? model)
    if (record.firstContentMs !== undefined) {
      const format = record.stream ? series.streamed : series.whole
      format.value++
      if (record.stream) series.firstToken.observe(record.firstContentMs / 1000)
    }
    series.lost.value += record.lost.length
    if (!usage) return
    series.input.value += usage.promptTokens
    series.output.value += usage.completionTokens
  }
}

function answerSeries(families: Families) {
  const firstToken = families.histogram({
    name: 'llm_router_time_to_first_token_seconds',
    help: 'Of streams: time from the arrival of a request to the first content of its answer.',
    labelNames: ['provider_type', 'model_name'],
    buckets: durationBuckets,
  })
  const tokens = families.counter({
    name: 'llm_router_tokens_total',
    help: 'Tokens as the upstreams counted them.',
    labelNames: ['model_name', 'direction', 'provider_type'],
  })
  const formats = families.counter({
    name: 'llm_router_response_format_total',
    help: 'Answers that were begun or given: streamed, non_streamed.',
    labelNames: ['format', 'model_name', 'provider_type'],
  })
  const lost = families.counter({
    name: 'llm_router_lost_fields_total',
    help: 'Fields of requests that the upstream could not be told; the log names them.',
    labelNames: ['model_name', 'provider_type'],
  })
  return perProvider((labels) => ({
    firstToken: firstToken.series(labels),
    input: tokens.series({ ...labels, direction: 'input' }),
    output: tokens.series({ ...labels, direction: 'output' }),
    streamed: formats.series({ ...labels, format: 'streamed' }),
    whole: formats.series({ ...labels, format: 'non_streamed' }),
    lost: lost.series(labels),
  }))
}
