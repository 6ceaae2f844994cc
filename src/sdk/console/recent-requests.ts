import { type Static, Type } from '@sinclair/typebox'

const text = (description?: string) => Type.String(description === undefined ? {} : { description })
const orNull = (description: string) => Type.Union([Type.String(), Type.Null()], { description })
const numberOrNull = (description: string) => Type.Union([Type.Number(), Type.Null()], { description })
const ms = (description: string) => Type.Number({ minimum: 0, description })

const ErrorSchema = Type.Object({
  code: text('A code of the router or of Node, such as `queue_timeout` or `ECONNREFUSED`.'),
  text: text('Description of the code.'),
})

const AttemptSchema = Type.Object({
  target: text(),
  model: text('Model of the target; differs from the requested one for a fallback.'),
  type: text('Kind of server, its api_type.'),
  reason: orNull('Why the target was picked.'),
  start_ms: ms('Milliseconds from the arrival of the request to the start of the attempt.'),
  queue_ms: ms('Milliseconds that the request waited for the target.'),
  ttft_ms: numberOrNull('Milliseconds from the start of the attempt to the first token of a stream.'),
  end_ms: numberOrNull(
    'Milliseconds from the arrival of the request to the end of the attempt; null: it had not ended when the request did.',
  ),
  outcome: Type.Union([Type.Literal('success'), Type.Literal('failure'), Type.Literal('cancelled')], {
    description: 'cancelled: does not count for or against the target.',
  }),
  error: Type.Optional(ErrorSchema),
})

export const RecentRequestSchema = Type.Object({
  seq: Type.Integer({ description: 'Increases with each request that ends.' }),
  id: text('Its x-request-id.'),
  at: Type.String({ format: 'date-time', description: 'When it arrived.' }),
  duration_ms: ms('Milliseconds from arrival to the last byte of the response.'),
  client: orNull('Id of the client; null: no key was required, or the key was invalid.'),
  model: orNull('The requested model; null: unknown, see `asked`.'),
  asked: Type.Optional(text('The requested name, if the client has no model of that name.')),
  answered_by: Type.Optional(text('The fallback model that was tried last.')),
  dialect: orNull('The dialect of the client.'),
  operation: orNull('The requested operation: chat, embedding ...'),
  method: text(),
  endpoint: text('Pattern of the route.'),
  stream: Type.Boolean(),
  target: orNull('The last target that was tried.'),
  reason: orNull('Why each target was picked.'),
  queue_ms: ms('Milliseconds that it waited for targets.'),
  ttft_ms: numberOrNull('Milliseconds from arrival to the first token of a stream.'),
  prompt_tokens: numberOrNull('As reported by the server.'),
  completion_tokens: numberOrNull('As reported by the server.'),
  cached_tokens: numberOrNull('Prompt tokens served from the cache of the server.'),
  tokens_per_second: numberOrNull('After the first token of a stream.'),
  status: Type.Integer({ description: 'HTTP status; 499: the client disconnected.' }),
  outcome: text('success, client_error, error, truncated or client_gone.'),
  error: Type.Optional(ErrorSchema),
  dropped: Type.Optional(
    Type.Array(Type.String(), { description: 'Fields that the target could not carry.' }),
  ),
  attempts: Type.Array(AttemptSchema),
  worker: Type.Integer({ description: 'Number of the process that answered it; 0: single process.' }),
})

const UnknownModelSchema = Type.Object({
  name: text(),
  count: Type.Integer({ minimum: 1 }),
  first: Type.String({ format: 'date-time' }),
  last: Type.String({ format: 'date-time' }),
  clients: Type.Array(Type.String(), { description: 'Ids of clients that asked for it; at most 5.' }),
  exists: Type.Boolean({ description: 'Whether there is such a model, but the client may not use it.' }),
  did_you_mean: Type.Optional(text('The model with the nearest name.')),
})

export const RecentRequestsSchema = Type.Object({
  as_of: Type.String({ format: 'date-time' }),
  newest: Type.Integer({
    description: '`seq` of the newest request, whether or not it matches the filter; 0: none yet.',
  }),
  data: Type.Array(RecentRequestSchema, { description: 'Newest first.' }),
  next_cursor: Type.Optional(text('`cursor` of the next page; absent: there are no older requests.')),
  unknown_models: Type.Array(UnknownModelSchema, {
    description: 'Requested names for which the client has no model; at most 100, latest first.',
  }),
})

const outcomes = ['success', 'client_error', 'error', 'truncated', 'client_gone'] as const

export const RecentQuerySchema = Type.Object({
  client: Type.Optional(text('Id of a client.')),
  model: Type.Optional(text('Requested model, or model that answered.')),
  target: Type.Optional(text('Id of a target that was tried.')),
  status: Type.Optional(
    Type.String({
      pattern: '^[1-5](?:xx|\\d\\d)$',
      description: 'Such as `5xx` or `429`.',
    }),
  ),
  outcome: Type.Optional(
    Type.Unsafe<(typeof outcomes)[number]>({
      type: 'string',
      enum: outcomes,
      description: 'How the request ended.',
    }),
  ),
  unknown_model: Type.Optional(Type.Boolean({ description: 'Only requests for unknown models.' })),
  since: Type.Optional(Type.Integer({ minimum: 0, description: 'Only requests with a higher `seq`.' })),
  cursor: Type.Optional(Type.Integer({ minimum: 1, description: '`next_cursor` of the previous page.' })),
  limit: Type.Integer({
    minimum: 1,
    maximum: 1_000,
    default: 100,
    description: 'Maximum requests per page.',
  }),
})

export type RecentRequest = Static<typeof RecentRequestSchema>
export type RecentRequests = Static<typeof RecentRequestsSchema>
export type RecentQuery = Static<typeof RecentQuerySchema>
export type UnknownModel = Static<typeof UnknownModelSchema>
export type RequestAttempt = Static<typeof AttemptSchema>
