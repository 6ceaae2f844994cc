import { type Static, Type } from '@sinclair/typebox'

/** Ranges of the history with the length of their steps, and of the steps of the series of each target. */
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
  description: 'How far back.',
})

const counts = (description: string) => Type.Array(Type.Integer({ minimum: 0 }), { description })
const times = (description: string) => Type.Array(Type.Union([Type.Number(), Type.Null()]), { description })
const count = (description: string) => Type.Integer({ minimum: 0, description })
const time = (description: string) => Type.Union([Type.Number(), Type.Null()], { description })

const stepSeries = {
  requests: counts('Requests for models that ended in the step.'),
  errors: counts('Of these, ended with a server error or a truncated response.'),
  client_errors: counts('Of these, ended with a client error.'),
  client_gone: counts('Of these, cancelled by the client.'),
  prompt_tokens: counts('As the servers count them.'),
  completion_tokens: counts('As the servers count them.'),
  ttft_p50_ms: times('Median of the time to the first token of streams; null: there was no stream.'),
  ttft_p95_ms: times('The time that 95 % of the streams did not exceed.'),
  queue: counts('Most requests that waited for a target at a time.'),
  running: counts('Most requests that targets worked on at a time.'),
}

const totals = Type.Object({
  requests: count('Sum of the range.'),
  errors: count('Sum of the range.'),
  client_errors: count('Sum of the range.'),
  client_gone: count('Sum of the range.'),
  prompt_tokens: count('Sum of the range.'),
  completion_tokens: count('Sum of the range.'),
  ttft_p50_ms: time('Of all streams of the range.'),
  ttft_p95_ms: time('Of all streams of the range.'),
  queue_max: count('Longest queue of the range.'),
})

const stepMembers = {
  range: Type.String(),
  step_seconds: count('Length of a step.'),
  from: Type.String({ format: 'date-time', description: 'Begin of the first step.' }),
  as_of: Type.String({ format: 'date-time' }),
  ...stepSeries,
  totals,
}

const TargetHistorySchema = Type.Object({
  id: Type.String(),
  model: Type.String(),
  requests: counts('Attempts that ended.'),
  errors: counts('Of these, failed ones.'),
  tokens_per_second: Type.Array(Type.Number(), { description: 'Tokens of its answers, over the step.' }),
  ttft_ms: times('Average time to the first token of streams.'),
})

/** The latest steps, without the series of targets. */
export const StepsSchema = Type.Object(stepMembers)

export const HistorySchema = Type.Object({
  ...stepMembers,
  started_at: Type.String({ format: 'date-time', description: 'Since when the router has counted.' }),
  spark: Type.Object(
    { step_seconds: count('Length of a step.'), steps: count('Number of steps.') },
    { description: 'The steps of the series of each target.' },
  ),
  targets: Type.Array(TargetHistorySchema, { description: 'Those with an attempt in the range.' }),
})

export type Steps = Static<typeof StepsSchema>
export type History = Static<typeof HistorySchema>
export type TargetHistory = Static<typeof TargetHistorySchema>
