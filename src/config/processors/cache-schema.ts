import { type Static, Type } from '@sinclair/typebox'
import { scope, strings, yesNo } from './schema-parts.ts'

const { failure: _failure, models: _models, timeout: _timeout, ...common } = scope

/** Upper bound of `max_entry_bytes`. */
const maxEntryBytes = 16 * 1024 * 1024

/** The response cache. */
export const CacheSchema = Type.Object(
  {
    type: Type.Literal('cache', {
      description: 'Response cache: answers repeated requests with stored responses.',
    }),
    ...common,
    models: strings('Models whose responses are cached. Default: all.'),
    failure: Type.Optional(
      Type.Literal('open', {
        description: 'The only possible value: if the cache fails, the request is a miss.',
        allowed: '"open"',
      }),
    ),
    timeout: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 60,
        description:
          'Maximum wait for Redis or the primary process, in seconds; then the request is a miss. Default: 0.5.',
        allowed: 'a number of seconds over 0, up to 60',
      }),
    ),
    ttl: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 30 * 24 * 3600,
        description: 'Lifetime of a stored response, in seconds. Default: LLM_ROUTER_CACHE_TTL.',
        allowed: 'a number of seconds over 0, up to 2592000 (30 days)',
      }),
    ),
    max_entry_bytes: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: maxEntryBytes,
        description:
          'Maximum size of a stored response, in bytes; larger ones are not stored. Default: 262144.',
        allowed: `a number of bytes from 1 to ${maxEntryBytes}`,
      }),
    ),
    scope: Type.Optional(
      Type.Union([Type.Literal('client'), Type.Literal('group'), Type.Literal('all')], {
        description:
          'Who can get a stored response: "client" (default), the client that requested it; "group", the clients of its group; "all", every client that the cache applies to. The response time of a shared cache reveals whether somebody has sent the same request.',
        allowed: '"client", "group" or "all"',
      }),
    ),
    tools: yesNo('true: also stores responses to requests with tools, including responses that call tools.'),
    counts: Type.Optional(
      Type.Union([Type.Literal('requests'), Type.Literal('tokens'), Type.Literal('nothing')], {
        description:
          'What a hit counts as in limits and usage: "requests" (default), one request; "tokens", one request and its tokens; "nothing".',
        allowed: '"requests", "tokens" or "nothing"',
      }),
    ),
  },
  { description: 'Answers repeated requests with stored responses, without asking a model.' },
)

export type CacheEntry = Static<typeof CacheSchema>
