import { type Static, Type } from '@sinclair/typebox'
import { scope, strings, yesNo } from './schema.ts'

const { failure: _failure, models: _models, timeout: _timeout, ...common } = scope

/** The largest answer that may be kept, in bytes. */
const mostEntryBytes = 16 * 1024 * 1024

/** Answers that are given again. */
export const CacheSchema = Type.Object(
  {
    type: Type.Literal('cache', { description: 'Answers that are given again to the same request.' }),
    ...common,
    models: strings('Models whose answers are kept; absent: all.'),
    failure: Type.Optional(
      Type.Literal('open', {
        description: 'A cache that fails is a miss, so there is nothing else.',
        allowed: '"open"',
      }),
    ),
    timeout: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 60,
        description:
          'Longest wait for Redis or the primary in seconds, after which it is a miss; 0.5 unless given.',
        allowed: 'a number of seconds over 0, up to 60',
      }),
    ),
    ttl: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 30 * 24 * 3600,
        description: 'How long an answer is kept, in seconds; as LLM_ROUTER_CACHE_TTL says unless given.',
        allowed: 'a number of seconds over 0, up to 2592000 (30 days)',
      }),
    ),
    max_entry_bytes: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: mostEntryBytes,
        description: 'Longer answers are not kept, in bytes; 262144 unless given.',
        allowed: `a number of bytes from 1 to ${mostEntryBytes}`,
      }),
    ),
    scope: Type.Optional(
      Type.Union([Type.Literal('client'), Type.Literal('group'), Type.Literal('all')], {
        description:
          'Who gets an answer again: "client" (the default), the client that it was made for; "group", the clients of its group; "all", every client that the cache is for. Shared answers show by their speed that somebody has asked the same.',
        allowed: '"client", "group" or "all"',
      }),
    ),
    tools: yesNo('true: answers to requests with tools are kept too, also where they call some.'),
    counts: Type.Optional(
      Type.Union([Type.Literal('requests'), Type.Literal('tokens'), Type.Literal('nothing')], {
        description:
          'What an answer of the cache counts towards limits and usage: "requests" (the default), the request alone; "tokens", its tokens too; "nothing".',
        allowed: '"requests", "tokens" or "nothing"',
      }),
    ),
  },
  { description: 'Gives a complete answer again to the same request, without asking a model.' },
)

export type CacheEntry = Static<typeof CacheSchema>
