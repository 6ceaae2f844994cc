import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import { Families, perKey } from './families.ts'
import { durationBuckets } from './labels.ts'

/** Results and durations of processors. */
export function recordProcessors(app: FastifyInstance): (record: ExchangeRecord) => void {
  const families = new Families(app.metrics.client)
  const runs = families.counter({
    name: 'llm_router_processor_runs_total',
    help: 'Processor runs by outcome: unchanged, changed, flagged, refused, failed_open, failed_closed.',
    labelNames: ['processor', 'outcome'],
  })
  const seconds = families.histogram({
    name: 'llm_router_processor_duration_seconds',
    help: 'Duration of processor runs.',
    labelNames: ['processor'],
    buckets: [0.001, ...durationBuckets],
  })
  const values = families.counter({
    name: 'llm_router_processor_values_total',
    help: 'Values that a processor replaced in requests.',
    labelNames: ['processor'],
  })
  const restored = families.counter({
    name: 'llm_router_processor_restored_total',
    help: 'Values restored in responses.',
    labelNames: [],
  })
  const unknown = families.counter({
    name: 'llm_router_processor_unknown_pseudonyms_total',
    help: 'Words in responses that look like pseudonyms but match no masked value; they are left unchanged.',
    labelNames: [],
  })
  const removedOffsets = families.counter({
    name: 'llm_router_processor_citations_without_offsets_total',
    help: 'Citations in responses whose offsets were removed because processors changed the cited text.',
    labelNames: [],
  })
  const secondsOf = perKey((processor: string) => seconds.series({ processor }))
  return ({ processed }) => {
    if (!processed) return
    for (const { processor, outcome, durationMs, values: count } of processed.steps) {
      runs.series({ processor, outcome }).value++
      secondsOf(processor).observe(durationMs / 1000)
      if (count > 0) values.series({ processor }).value += count
    }
    if (processed.restored > 0) restored.series({}).value += processed.restored
    if (processed.unknown > 0) unknown.series({}).value += processed.unknown
    if (processed.removedOffsets) removedOffsets.series({}).value += processed.removedOffsets
  }
}
