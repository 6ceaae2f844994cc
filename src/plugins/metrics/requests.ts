import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../relay/exchange.ts'
import { Families, perKey } from './families.ts'
import { durationBuckets, methodLabel } from './labels.ts'

const sizeBuckets = [100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000]
const overheadBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

/** What clients see: their requests at this door, each counted once, at its end. */
export function recordRequests(app: FastifyInstance): (record: ExchangeRecord) => void {
  new app.metrics.client.Gauge({
    name: 'http_requests_in_progress',
    help: 'Requests that have not ended.',
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
    help: 'Requests that have ended, by the status their client got (499: it left first).',
    labelNames: ['method', 'endpoint', 'http_status'],
  })
  const duration = families.histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the arrival of a request to the last byte of its answer.',
    labelNames: ['method', 'endpoint'],
    buckets: durationBuckets,
  })
  const exceptions = families.counter({
    name: 'http_request_exceptions_total',
    help: 'Requests that ended with a status of 500 or more, or with a broken stream.',
    labelNames: ['method', 'endpoint'],
  })
  const requestSize = families.histogram({
    name: 'http_request_size_bytes',
    help: 'Size of request bodies.',
    labelNames: ['method', 'endpoint'],
    buckets: sizeBuckets,
  })
  const responseSize = families.histogram({
    name: 'http_response_size_bytes',
    help: 'Size of answers, of streams too.',
    labelNames: ['method', 'endpoint', 'http_status'],
    buckets: sizeBuckets,
  })
  const overhead = families.histogram({
    name: 'llm_router_overhead_seconds',
    help: "The router's own time for a request that succeeded: without upstreams, queues and the transfer of the request.",
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
