import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import { Families, perKey, perProvider } from './families.ts'
import { durationBuckets, methodLabel, type TargetLabels } from './labels.ts'
import { boundedNames } from './teams.ts'

const sizeBuckets = [100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000]
const overheadBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

/** Requests as clients see them, each counted once, at its end. */
export function recordRequests(app: FastifyInstance): (record: ExchangeRecord) => void {
  new app.metrics.client.Gauge({
    name: 'http_requests_in_progress',
    help: 'Requests in progress.',
    collect() {
      this.set(app.exchanges.running)
    },
  })
  const seriesOf = requestSeries(new Families(app.metrics.client))
  return (record) => {
    const { outcome, ownMs } = record
    const series = seriesOf(methodLabel(record.method))(record.endpoint)
    const { requests, responseSize } = series.ofStatus(record.status)
    requests.value++
    series.duration.observe(record.durationMs / 1000)
    if (outcome === 'error' || outcome === 'truncated') series.exceptions.value++
    series.requestSize.observe(record.requestBytes)
    responseSize.observe(record.responseBytes)
    if (outcome === 'success' && ownMs !== undefined) series.overhead.observe(ownMs / 1000)
  }
}

function requestSeries(families: Families) {
  const requests = families.counter({
    name: 'http_requests_total',
    help: 'Completed requests by the status sent to the client (499: the client closed the connection first).',
    labelNames: ['method', 'endpoint', 'http_status'],
  })
  const duration = families.histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the arrival of a request to the last byte of its response.',
    labelNames: ['method', 'endpoint'],
    buckets: durationBuckets,
  })
  const exceptions = families.counter({
    name: 'http_request_exceptions_total',
    help: 'Requests that ended with a status of 500 or above, or with a truncated stream.',
    labelNames: ['method', 'endpoint'],
  })
  const requestSize = families.histogram({
    name: 'http_request_size_bytes',
    help: 'Size of request bodies in bytes.',
    labelNames: ['method', 'endpoint'],
    buckets: sizeBuckets,
  })
  const responseSize = families.histogram({
    name: 'http_response_size_bytes',
    help: 'Size of response bodies in bytes, streams included.',
    labelNames: ['method', 'endpoint', 'http_status'],
    buckets: sizeBuckets,
  })
  const overhead = families.histogram({
    name: 'llm_router_overhead_seconds',
    help: "The router's own time for a successful request, excluding upstreams, queues and the transfer of the request.",
    labelNames: ['endpoint'],
    buckets: overheadBuckets,
  })
  return perKey((method: string) =>
    perKey((endpoint: string) => {
      const labels = { method, endpoint }
      return {
        duration: duration.series(labels),
        exceptions: exceptions.series(labels),
        requestSize: requestSize.series(labels),
        overhead: overhead.series({ endpoint }),
        ofStatus: perKey((status: number) => {
          const withStatus = { ...labels, http_status: status }
          return { requests: requests.series(withStatus), responseSize: responseSize.series(withStatus) }
        }),
      }
    }),
  )
}

/** Requests per model as clients see them. Model names are those of the configuration. */
export function recordModels(app: FastifyInstance, names: TargetLabels): (record: ExchangeRecord) => void {
  const families = new Families(app.metrics.client)
  const requests = families.counter({
    name: 'llm_router_requests_total',
    help: 'Completed requests by model and outcome: success, client_error, error, truncated, client_gone.',
    labelNames: ['model_name', 'outcome'],
  })
  const fallbacks = families.counter({
    name: 'llm_router_fallbacks_total',
    help: 'Requests that moved to a fallback model, by the requested model and the last one tried.',
    labelNames: ['model_name', 'fallback'],
  })
  const choices = families.counter({
    name: 'llm_router_auto_choices_total',
    help: 'Requests for the model auto, by the model that was chosen and what decided: conversation, rule, example, size, order.',
    labelNames: ['model_name', 'by'],
  })
  const requestsOf = perKey((model: string) =>
    perKey((outcome: string) => requests.series({ model_name: model, outcome })),
  )
  const answersOf = answerSeries(families)
  return (record) => {
    const { model, usage, providerType, answeringModel } = record
    if (model === undefined) return
    if (record.auto) choices.series({ model_name: record.auto.model, by: record.auto.by }).value++
    if (answeringModel !== undefined)
      fallbacks.series({ model_name: model, fallback: answeringModel }).value++
    requestsOf(model)(record.outcome).value++
    if (providerType === undefined) return
    const series = answersOf(providerType)(answeringModel ?? model)
    if (record.firstContentMs !== undefined) {
      const format = record.stream ? series.streamed : series.whole
      format.value++
      if (record.stream) series.firstTokenOf(names.ofId(record.target)).observe(record.firstContentMs / 1000)
    }
    series.dropped.value += record.dropped.length
    if (!usage) return
    series.input.value += usage.promptTokens
    series.output.value += usage.completionTokens
  }
}

function answerSeries(families: Families) {
  const firstToken = families.histogram({
    name: 'llm_router_time_to_first_token_seconds',
    help: 'Time to first token: from the arrival of a streaming request to the first content of its response.',
    labelNames: ['provider_type', 'model_name', 'target'],
    buckets: durationBuckets,
  })
  const tokens = families.counter({
    name: 'llm_router_tokens_total',
    help: 'Tokens as reported by the upstreams.',
    labelNames: ['model_name', 'direction', 'provider_type'],
  })
  const formats = families.counter({
    name: 'llm_router_response_format_total',
    help: 'Responses by kind: streamed, non_streamed.',
    labelNames: ['format', 'model_name', 'provider_type'],
  })
  const dropped = families.counter({
    name: 'llm_router_lost_fields_total',
    help: 'Request fields dropped because the upstream does not support them; the log names them.',
    labelNames: ['model_name', 'provider_type'],
  })
  return perProvider((labels) => ({
    firstTokenOf: perKey((target: string) => firstToken.series({ ...labels, target })),
    input: tokens.series({ ...labels, direction: 'input' }),
    output: tokens.series({ ...labels, direction: 'output' }),
    streamed: formats.series({ ...labels, format: 'streamed' }),
    whole: formats.series({ ...labels, format: 'non_streamed' }),
    dropped: dropped.series(labels),
  }))
}

const reasonOfCause: Readonly<Record<string, string>> = {
  KEY_CONCURRENT: 'concurrent',
  KEY_REQUESTS: 'requests',
  KEY_TOKENS: 'tokens',
  BUDGET: 'budget',
}
const reasonOfCode: Readonly<Record<string, string>> = {
  endpoint_not_allowed: 'endpoint',
  max_tokens_exceeded: 'max_tokens',
}
const loginReasons: Readonly<Record<string, string>> = {
  missing_api_key: 'missing',
  invalid_api_key: 'invalid',
  too_many_failed_logins: 'blocked',
}

/** Use per client. Its cardinality is bounded: clients of a database come and go. */
export function recordClients(app: FastifyInstance): (record: ExchangeRecord) => void {
  const families = new Families(app.metrics.client)
  const requests = families.counter({
    name: 'llm_router_client_requests_total',
    help: 'Completed requests by client key.',
    labelNames: ['client', 'outcome'],
  })
  const tokens = families.counter({
    name: 'llm_router_client_tokens_total',
    help: 'Tokens as reported by the upstreams, by client key.',
    labelNames: ['client', 'direction'],
  })
  const refusals = families.counter({
    name: 'llm_router_client_refusals_total',
    help: 'Requests rejected because the client key lacks the permission or has reached a limit.',
    labelNames: ['client', 'reason'],
  })
  const logins = families.counter({
    name: 'llm_router_login_failures_total',
    help: 'Requests without a valid key: missing, invalid, blocked (too many invalid keys from that address).',
    labelNames: ['reason'],
  })
  const requestsOf = perKey((client: string) =>
    perKey((result: string) => requests.series({ client, outcome: result })),
  )
  const tokensOf = perKey((client: string) => {
    return {
      input: tokens.series({ client, direction: 'input' }),
      output: tokens.series({ client, direction: 'output' }),
    }
  })
  const nameOf = boundedNames()
  return ({ client: id, outcome, usage, error }) => {
    const code = error?.code ?? ''
    if (id === undefined) {
      const reason = loginReasons[code]
      if (reason !== undefined) logins.series({ reason }).value++
      return
    }
    const client = nameOf(id)
    requestsOf(client)(outcome).value++
    const reason = reasonOfCause[error?.causeCode ?? ''] ?? reasonOfCode[code]
    if (reason !== undefined) refusals.series({ client, reason }).value++
    if (!usage) return
    const series = tokensOf(client)
    series.input.value += usage.promptTokens
    series.output.value += usage.completionTokens
  }
}
