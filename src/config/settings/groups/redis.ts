import { Type } from '@sinclair/typebox'
import { choices, oneOf, seconds, text } from './setting-types.ts'

/** Redis, and the responses stored for `previous_response_id`. */
export const redisSettings = {
  redisHost: Type.String({
    default: '',
    // Several colons: an IPv6 address.
    pattern: '^(?!.*[/@])(?:[^:]*|.*:.*:.*)$',
    allowed:
      'a hostname or an address; LLM_ROUTER_REDIS_PORT sets the port, and LLM_ROUTER_REDIS_URL takes a URL',
    description:
      'Redis host, for sharing leases ([leases.md](leases.md)), limits of client keys and stored responses between hosts; empty disables it.',
  }),
  redisPort: Type.Integer({ default: 6379, minimum: 1, maximum: 65535, description: 'Redis port.' }),
  redisDb: Type.Integer({ default: 0, minimum: 0, maximum: 65535, description: 'Redis database.' }),
  redisPassword: text('', 'Redis password.'),
  redisUrl: Type.String({
    default: '',
    pattern: '^$|^rediss?(?:\\+cluster|\\+sentinel)?://',
    allowed:
      'an address like redis://:password@host:6379/0, redis://node1:6379,node2:6379 or redis+sentinel://host:26379/mymaster; rediss for TLS',
    description:
      'An address like `redis://:password@host:6379/0`, several nodes of a cluster, or Sentinels: see [leases.md](leases.md#redis-addresses). `rediss://` for TLS. Overrides host and port, and also database and password if it contains them.',
  }),
  redisSentinelPassword: text('', 'Password of the Redis Sentinels themselves.'),
  redisDown: oneOf(
    choices.redisDown,
    'local',
    'If Redis is unavailable for more than 5 s: `local` (limits apply within each process) or `reject` (503).',
  ),
  responsesTtlMs: seconds({
    default: 3_600_000,
    minimum: 1,
    description: 'How long responses are stored for `previous_response_id`.',
  }),
  responsesMax: Type.Integer({
    default: 1_000,
    minimum: 0,
    maximum: 1_000_000,
    description: 'Maximum number of stored responses; 0 disables storing.',
  }),
}
