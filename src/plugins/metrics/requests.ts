import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../relay/exchange.ts'
import { durationBuckets, methodLabel } from './labels.ts'

const sizeBuckets = [100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000]
const overheadBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

/** What clients see: their requests at this door, each counted once, at its end. */
export function recordRequests(app: FastifyInstance): (record: ExchangeRecord) => void {
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
  new Gauge({
    name: 'http_requests_in_progress',
    help: 'Requests that have not ended.',
    collect() {
      this.set(app.exchanges.running)
    },
  })
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
  const overhead = new Histogram({
    name: 'llm_router_overhead_seconds',
    help: "The router's own time for a request that succeeded: without upstreams, queues and the transfer of the request.",
    labelNames: ['endpoint'],
    buckets: overheadBuckets,
  })
  return (record) => {
    const { endpoint, outcome, ownMs } = record
    const labels = { method: methodLabel(record.method), endpoint }
    const withStatus = { ...labels, http_status: record.status }
    requests.inc(withStatus)
    duration.observe(labels, record.durationMs / 1000)
    if (outcome === 'error' || outcome === 'truncated') exceptions.inc(labels)
    requestSize.observe(labels, record.requestBytes)
    responseSize.observe(withStatus, record.responseBytes)
    if (outcome === 'success' && ownMs !== undefined) overhead.observe({ endpoint }, ownMs / 1000)
  }
}
