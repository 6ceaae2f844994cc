import type { FastifyInstance } from 'fastify'
import fastifyMetrics from 'fastify-metrics'
import fp from 'fastify-plugin'
import { endpointPaths } from '../core/endpoint-paths.ts'
import type { ExchangeRecord } from '../relay/exchange.ts'

/** Model answers take minutes: the buckets reach ten, in seconds. */
const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]
const sizeBuckets = [100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000]

/**
 * `/metrics` in the Prometheus text format, when LLM_ROUTER_USE_PROMETHEUS says so. fastify-metrics brings the registry,
 * the process metrics and the endpoint; requests are counted at the end of their exchange, because its own counters
 * do not see a client that left.
 */
export default fp(
  async (app) => {
    if (!app.config.usePrometheus) return
    await app.register(fastifyMetrics.default, {
      endpoint: null,
      routeMetrics: { enabled: false },
      clearRegisterOnInit: true,
    })
    const record = createRecorder(app)
    app.exchanges.onEnd(record)
    const { register } = app.metrics.client
    for (const path of endpointPaths(app.config.endpointPrefix, {
      fixed: ['/metrics'],
      prefixed: ['/metrics'],
    })) {
      app.get(path, async (_request, reply) =>
        reply.type(register.contentType).send(await register.metrics()),
      )
    }
  },
  { name: 'metrics', dependencies: ['config', 'exchange', 'errors'] },
)

function createRecorder(app: FastifyInstance): (record: ExchangeRecord) => void {
  const { Counter, Gauge, Histogram } = app.metrics.client
  const requests = new Counter({
    name: 'http_requests_total',
    help: 'Requests that have ended, by the status their client got (499: it left first).',
    labelNames: ['method', 'endpoint', 'http_status'],
  })
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the arrival of a request to the last byte of its answer.',
    labelNames: ['method', 'endpoint'],
    buckets: durationBuckets,
  })
  const inProgress = new Gauge({ name: 'http_requests_in_progress', help: 'Requests that have not ended.' })
  const exceptions = new Counter({
    name: 'http_request_exceptions_total',
    help: 'Requests that ended with a status of 500 or more, or with a broken stream.',
    labelNames: ['method', 'endpoint'],
  })
  const requestSize = new Histogram({
    name: 'http_request_size_bytes',
    help: 'Size of request bodies.',
    labelNames: ['method', 'endpoint'],
    buckets: sizeBuckets,
  })
  const responseSize = new Histogram({
    name: 'http_response_size_bytes',
    help: 'Size of answers, of streams too.',
    labelNames: ['method', 'endpoint', 'http_status'],
    buckets: sizeBuckets,
  })
  const calls = new Counter({
    name: 'llm_router_provider_calls_total',
    help: 'Requests that reached a provider, by the type of the last one.',
    labelNames: ['provider_type', 'model_name'],
  })
  const firstToken = new Histogram({
    name: 'llm_router_time_to_first_token_seconds',
    help: 'Time from the arrival of a request to the first content of its answer.',
    labelNames: ['provider_type', 'model_name'],
    buckets: durationBuckets,
  })
  const tokens = new Counter({
    name: 'llm_router_tokens_total',
    help: 'Tokens as the upstreams counted them.',
    labelNames: ['model_name', 'direction', 'provider_type'],
  })
  app.addHook('onRequest', (_request, _reply, next) => {
    inProgress.inc()
    next()
  })
  return (record) => {
    const { method, endpoint } = record
    inProgress.dec()
    requests.inc({ method, endpoint, http_status: record.status })
    duration.observe({ method, endpoint }, record.durationMs / 1000)
    if (record.outcome === 'error' || record.outcome === 'truncated') exceptions.inc({ method, endpoint })
    requestSize.observe({ method, endpoint }, record.requestBytes)
    responseSize.observe({ method, endpoint, http_status: record.status }, record.responseBytes)
    if (record.model === undefined || record.providerType === undefined) return
    const labels = { provider_type: record.providerType, model_name: record.model }
    calls.inc(labels)
    if (record.firstContentMs !== undefined) firstToken.observe(labels, record.firstContentMs / 1000)
    if (!record.usage) return
    tokens.inc({ ...labels, direction: 'input' }, record.usage.promptTokens)
    tokens.inc({ ...labels, direction: 'output' }, record.usage.completionTokens)
  }
}
