import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import { Families } from './families.ts'

/** Results and size of the response cache. */
export function recordCache(app: FastifyInstance): (record: ExchangeRecord) => void {
  const families = new Families(app.metrics.client)
  const requests = families.counter({
    name: 'llm_router_cache_requests_total',
    help: 'Requests to which a cache applies by outcome: hit, miss, bypass.',
    labelNames: ['model', 'outcome'],
  })
  exposeSizes(app)
  return ({ cache, model }) => {
    if (cache !== undefined && model !== undefined) requests.series({ model, outcome: cache }).value++
  }
}

/** Size in memory. In a cluster, each worker has the size last reported by the primary. */
function exposeSizes({ answerCache, metrics }: FastifyInstance): void {
  const { Counter, Gauge } = metrics.client
  new Gauge({
    name: 'llm_router_cache_answers',
    help: 'Responses in the memory cache.',
    aggregator: 'max',
    collect() {
      this.set(answerCache.sizes()?.answers ?? 0)
    },
  })
  new Gauge({
    name: 'llm_router_cache_bytes',
    help: 'Bytes of the responses in the memory cache.',
    aggregator: 'max',
    collect() {
      this.set(answerCache.sizes()?.bytes ?? 0)
    },
  })
  new Gauge({
    name: 'llm_router_cache_evicted',
    help: 'Responses evicted from the memory cache since the start.',
    aggregator: 'max',
    collect() {
      this.set(answerCache.sizes()?.evicted ?? 0)
    },
  })
  new Counter({
    name: 'llm_router_cache_failures_total',
    help: 'Failed cache lookups and writes, because Redis or the primary did not answer in time.',
    collect() {
      this.reset()
      this.inc(answerCache.failures)
    },
  })
}
