import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import type { Failure } from '../../sdk/console/status.ts'
import {
  errorSummary,
  maxEntries,
  newCount,
  prependBounded,
  type RequestCounts,
  timestamp,
} from './history.ts'
import type { RecentCount } from './recent-count.ts'

/** Codes of requests rejected because no target could accept them. */
const refusals = new Set([
  'no_healthy_provider',
  'model_loading',
  'queue_full',
  'queue_timeout',
  'upstream_unreachable',
])

export function countRequests(app: FastifyInstance): RequestCounts {
  const refused = new Map<string, RecentCount>()
  const failures: Failure[] = []
  const [ended, failedRecently] = [newCount(), newCount()]
  let [finished, failed, gone] = [0, 0, 0]
  app.exchanges.onEnd((record) => {
    if (record.model === undefined) return
    finished++
    ended.add()
    if (record.outcome === 'client_gone') gone++
    if (record.error && refusals.has(record.error.code ?? '')) {
      const count = refused.get(record.model) ?? newCount()
      refused.set(record.model, count)
      count.add()
    }
    if (record.outcome !== 'error' && record.outcome !== 'truncated') return
    failed++
    failedRecently.add()
    prependBounded(failures, failureOf(record, record.model), maxEntries.failures)
  })
  return {
    failures,
    refusedOf: (model) => refused.get(model)?.total ?? 0,
    read: () => ({
      finished,
      failed,
      client_gone: gone,
      per_minute: ended.total,
      failed_per_minute: failedRecently.total,
    }),
  }
}

function failureOf({ target, status, outcome, error }: ExchangeRecord, model: string): Failure {
  return {
    at: timestamp(),
    model,
    ...(target === undefined ? {} : { target }),
    status,
    outcome,
    ...(error ? errorSummary(error) : { code: 'unknown', text: 'unknown' }),
  }
}
