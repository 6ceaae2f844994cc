import { type Static, Type } from '@sinclair/typebox'

const text = (description?: string) => Type.String(description === undefined ? {} : { description })
const orNull = (description: string) => Type.Union([Type.String(), Type.Null()], { description })
const numberOrNull = (description: string) => Type.Union([Type.Number(), Type.Null()], { description })
const ms = (description: string) => Type.Number({ minimum: 0, description })

const ErrorSchema = Type.Object({
  code: text('A code of the router or of Node, such as `queue_timeout` or `ECONNREFUSED`.'),
  text: text('What it says, in words.'),
})

const AttemptSchema = Type.Object({
  target: text(),
  model: text('The model that it serves; a fallback model, where one was tried.'),
  type: text('Kind of server, its api_type.'),
  reason: orNull('Why the target was picked.'),
  start_ms: ms('Since the arrival of the request.'),
  queue_ms: ms('How long the request waited for the target.'),
  ttft_ms: numberOrNull('From its start to the first token of a stream.'),
  end_ms: numberOrNull('Since the arrival of the request; null: it had not ended when the request did.'),
  outcome: Type.Union([Type.Literal('success'), Type.Literal('failure'), Type.Literal('cancelled')], {
    description: 'cancelled: it says nothing about the target.',
  }),
  error: Type.Optional(ErrorSchema),
})

export const RecentRequestSchema = Type.Object({
  seq: Type.Integer({ description: 'Increases with each request that ends.' }),
  id: text('Its x-request-id.'),
  at: Type.String({ format: 'date-time', description: 'When it arrived.' }),
  duration_ms: ms('Until the last byte of its answer.'),
  client: orNull('Id of the client; null: no key was asked for, or none was valid.'),
  model: orNull('The model that it asked for, where there is one of that name.'),
  asked: Type.Optional(text('The name that it asked for, where there is no such model for the client.')),
  answered_by: Type.Optional(text('The fallback model that was tried last.')),
  dialect: orNull('The dialect of the client.'),
  operation: orNull('What it asked for: chat, embedding ...'),
  method: text(),
  endpoint: text('Pattern of the route.'),
  stream: Type.Boolean(),
  target: orNull('The target that was tried last.'),
  reason: orNull('Why each target was picked.'),
  queue_ms: ms('How long it waited for targets.'),
  ttft_ms: numberOrNull('From its arrival to the first token of a stream.'),
  prompt_tokens: numberOrNull('As the server counts them.'),
  completion_tokens: numberOrNull('As the server counts them.'),
  cached_tokens: numberOrNull('Of the prompt, from the cache of the server.'),
  tokens_per_second: numberOrNull('After the first token of a stream.'),
  status: Type.Integer({ description: 'HTTP status; 499: the client had left.' }),
  outcome: text('success, client_error, error, truncated or client_gone.'),
  error: Type.Optional(ErrorSchema),
  dropped: Type.Optional(
    Type.Array(Type.String(), { description: 'Fields that the target could not carry.' }),
  ),
  attempts: Type.Array(AttemptSchema),
  worker: Type.Integer({ description: 'Process that answered it; 0: a single one.' }),
})

const UnknownModelSchema = Type.Object({
  name: text(),
  count: Type.Integer({ minimum: 1 }),
  first: Type.String({ format: 'date-time' }),
  last: Type.String({ format: 'date-time' }),
  clients: Type.Array(Type.String(), { description: 'Who asked; at most 5.' }),
  exists: Type.Boolean({ description: 'There is a model of this name, which the client may not use.' }),
  did_you_mean: Type.Optional(text('The model with the nearest name.')),
})

export const RecentRequestsSchema = Type.Object({
  as_of: Type.String({ format: 'date-time' }),
  newest: Type.Integer({ description: '`seq` of the newest request of all; 0: there was none.' }),
  data: Type.Array(RecentRequestSchema, { description: 'Newest first.' }),
  next_cursor: Type.Optional(text('There are older ones.')),
  unknown_models: Type.Array(UnknownModelSchema, {
    description: 'Names that clients asked for and that no model has for them; at most 100, latest first.',
  }),
})

const outcomes = ['success', 'client_error', 'error', 'truncated', 'client_gone'] as const

export const RecentQuerySchema = Type.Object({
  client: Type.Optional(text('Id of a client.')),
  model: Type.Optional(text('Asked for, or answering.')),
  target: Type.Optional(text('Any of those that were tried.')),
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
      description: 'How it ended.',
    }),
  ),
  unknown_model: Type.Optional(Type.Boolean({ description: 'Only those for unknown models.' })),
  since: Type.Optional(Type.Integer({ minimum: 0, description: 'Only those with a higher `seq`.' })),
  cursor: Type.Optional(Type.Integer({ minimum: 1, description: '`next_cursor` of the previous page.' })),
  limit: Type.Integer({ minimum: 1, maximum: 1_000, default: 100, description: 'Length of a page.' }),
})

export type RecentRequest = Static<typeof RecentRequestSchema>
export type RecentRequests = Static<typeof RecentRequestsSchema>
export type RecentQuery = Static<typeof RecentQuerySchema>
export type UnknownModel = Static<typeof UnknownModelSchema>
export type RequestAttempt = Static<typeof AttemptSchema>
