import { type Static, Type } from '@sinclair/typebox'
import { roles, surfaces } from '../../sdk/client-key.ts'
import { priorities } from '../../sdk/strategy.ts'

const Count = Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 }))
const Id = Type.Optional(
  Type.String({
    pattern: '^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$',
    allowed: 'up to 64 letters, digits and . _ @ -, the first a letter or digit',
  }),
)
/** `writeOnly`: error messages do not contain the value. */
const Secret = Type.Optional(Type.String({ writeOnly: true, allowed: 'a string' }))
const Digest = Type.Optional(
  Type.String({
    pattern: '^[0-9a-fA-F]{64}$',
    writeOnly: true,
    allowed: 'a SHA-256 in hexadecimal: 64 digits',
  }),
)
const Expiry = Type.Optional(
  Type.Union([Type.String(), Type.Number()], {
    allowed: 'a time like "2027-01-31T00:00:00Z", or the seconds since 1970',
  }),
)
const Names = Type.Optional(
  Type.Array(Type.String({ minLength: 1, allowed: 'the name of a model, or a pattern such as "gpt-*"' })),
)
const Flag = Type.Optional(Type.Boolean())
const Ignored = Type.Optional(Type.Unknown())
/** A member of the Python llm-router that is not supported: only null is accepted. */
const Unsupported = (why: string) => Type.Optional(Type.Null({ allowed: `supported: ${why}` }))

/** One of several keys of a client. */
export const FileKeySchema = Type.Object({
  /** Name in usage reports. */
  id: Id,
  key: Secret,
  sha256: Digest,
  enabled: Flag,
  expires_at: Expiry,
})
export type FileKey = Static<typeof FileKeySchema>

/** One entry of the keys file. */
export const KeyRecordSchema = Type.Object({
  id: Id,
  key: Secret,
  sha256: Digest,
  /** Further keys of the same client. */
  keys: Type.Optional(Type.Array(FileKeySchema, { allowed: 'a list of keys' })),
  enabled: Flag,
  expires_at: Expiry,
  models: Names,
  surfaces: Type.Optional(Type.Array(Type.Union(surfaces.map((surface) => Type.Literal(surface))))),
  role: Type.Optional(Type.Union(roles.map((role) => Type.Literal(role)))),
  max_concurrent: Count,
  requests_per_minute: Count,
  tokens_per_minute: Count,
  max_tokens: Count,
  priority: Type.Optional(Type.Union(priorities.map((priority) => Type.Literal(priority)))),
  weight: Type.Optional(Type.Number({ minimum: 0.01, maximum: 100 })),
  priority_header: Flag,
  /** Whether its requests may select or avoid canaries with the header `x-llm-router-canary`. */
  canary_header: Flag,
  // Members of files of the Python llm-router.
  key_id: Id,
  key_plain: Secret,
  is_active: Flag,
  policy_name: Type.Optional(Type.String()),
  policy_override: Type.Optional(
    Type.Object({
      can_access: Flag,
      is_active: Flag,
      rate_limit: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000_000 })),
      model_whitelist: Names,
      permissions: Unsupported('use surfaces'),
      ip_whitelist: Unsupported('restrict addresses in the network'),
      budget_monthly_tokens: Unsupported('use tokens_per_minute'),
      budget_tokens_used: Ignored,
      metadata: Ignored,
    }),
  ),
  key_hash: Ignored,
  key_prefix: Ignored,
  created_at: Ignored,
  last_used_at: Ignored,
  rotate_at: Ignored,
  grace_until: Ignored,
  metadata: Ignored,
})

export type KeyRecord = Static<typeof KeyRecordSchema>

/** Members of this router's files, for suggestions in errors. */
export const routerMembers: readonly string[] = [
  'id',
  'key',
  'sha256',
  'keys',
  'enabled',
  'expires_at',
  'models',
  'surfaces',
  'role',
  'max_concurrent',
  'requests_per_minute',
  'tokens_per_minute',
  'max_tokens',
  'priority',
  'weight',
  'priority_header',
  'canary_header',
]
