import { type Static, Type } from '@sinclair/typebox'

/** Ranges of the history: length and number of the steps, and of the coarser steps (`spark`) of the series per target. */
export const ranges = {
  '15m': { stepMs: 10_000, steps: 90, sparkMs: 30_000, sparks: 30 },
  '1h': { stepMs: 30_000, steps: 120, sparkMs: 120_000, sparks: 30 },
  '6h': { stepMs: 180_000, steps: 120, sparkMs: 720_000, sparks: 30 },
} as const

export type Range = keyof typeof ranges
export const rangeNames = ['15m', '1h', '6h'] as const satisfies readonly Range[]

export const RangeSchema = Type.Unsafe<Range>({
  type: 'string',
  enum: rangeNames,
  default: '15m',
  description: 'How far the history goes back.',
})

const counts = (description: string) => Type.Array(Type.Integer({ minimum: 0 }), { description })
const times = (description: string) => Type.Array(Type.Union([Type.Number(), Type.Null()]), { description })
const count = (description: string) => Type.Integer({ minimum: 0, description })
const time = (description: string) => Type.Union([Type.Number(), Type.Null()], { description })

const stepSeries = {
  requests: counts('Requests for models that ended in the step.'),
  errors: counts('Of these, those that ended with a server error or a truncated response.'),
  client_errors: counts('Of these, those that ended with a client error.'),
  client_gone: counts('Of these, those that the client cancelled.'),
  prompt_tokens: counts('As reported by the servers.'),
  completion_tokens: counts('As reported by the servers.'),
  ttft_p50_ms: times('Median time to the first token of streams; null: there was no stream.'),
  ttft_p95_ms: times('95th percentile of the time to the first token of streams; null: there was no stream.'),
  queue: counts('Maximum number of requests that waited for a target at the same time.'),
  running: counts('Maximum number of requests that targets processed at the same time.'),
}

const totals = Type.Object({
  requests: count('Total over the range.'),
  errors: count('Total over the range.'),
  client_errors: count('Total over the range.'),
  client_gone: count('Total over the range.'),
  prompt_tokens: count('Total over the range.'),
  completion_tokens: count('Total over the range.'),
  ttft_p50_ms: time('Median over all streams in the range.'),
  ttft_p95_ms: time('95th percentile over all streams in the range.'),
  queue_max: count('Longest queue in the range.'),
})

const stepMembers = {
  range: Type.String(),
  step_seconds: count('Length of a step.'),
  from: Type.String({ format: 'date-time', description: 'Start of the first step.' }),
  as_of: Type.String({ format: 'date-time' }),
  ...stepSeries,
  totals,
}

const TargetHistorySchema = Type.Object({
  id: Type.String(),
  model: Type.String(),
  requests: counts('Attempts that ended.'),
  errors: counts('Of these, those that failed.'),
  tokens_per_second: Type.Array(Type.Number(), { description: 'Completion tokens per second of the step.' }),
  ttft_ms: times('Average time to the first token of streams.'),
})

/** The latest steps, without the series of targets. */
export const StepsSchema = Type.Object(stepMembers)

export const HistorySchema = Type.Object({
  ...stepMembers,
  started_at: Type.String({ format: 'date-time', description: 'When the router began to record.' }),
  spark: Type.Object(
    { step_seconds: count('Length of a step.'), steps: count('Number of steps.') },
    { description: 'Steps of the series in `targets`.' },
  ),
  targets: Type.Array(TargetHistorySchema, { description: 'Targets with an attempt in the range.' }),
})

export type Steps = Static<typeof StepsSchema>
export type History = Static<typeof HistorySchema>
export type TargetHistory = Static<typeof TargetHistorySchema>
