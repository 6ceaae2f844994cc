import { type Static, type TObject, type TSchema, Type } from '@sinclair/typebox'
import { roles, surfaces } from '../client-key.ts'
import { priorities } from '../strategy.ts'

/** Records of `P/admin`. A member that is absent or null does not restrict anything. */

const Count = (description: string) =>
  Type.Optional(
    Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000_000 }), Type.Null()], {
      description,
      allowed: 'a number from 1 to 1000000000, or null',
    }),
  )
export const IdSchema = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$',
  allowed: 'up to 64 letters, digits and . _ @ -, the first a letter or digit',
  description: 'Name in the log, in metrics and in usage.',
})
const Time = Type.String({
  // Date.parse accepts everything that matches.
  pattern:
    '^\\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])T(?:[01]\\d|2[0-3]):[0-5]\\d(?::[0-5]\\d(?:\\.\\d+)?)?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)$',
  allowed: 'a time like "2027-01-31T00:00:00Z"',
})
const orNull = <Item extends TSchema>(item: Item, description: string, allowed: string) =>
  Type.Optional(Type.Union([item, Type.Null()], { description, allowed }))
const oneOf = <Value extends string>(values: readonly Value[], description: string) =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    { description, allowed: `one of: ${values.join(', ')}` },
  )
const Flag = (description: string) =>
  Type.Optional(Type.Boolean({ description: `${description} Default false.`, allowed: 'true or false' }))
const text = Type.Optional(
  Type.String({ maxLength: 500, description: 'Free text.', allowed: 'a string of at most 500 characters' }),
)

/** Permissions and limits of both clients and groups. */
const bounds = {
  description: text,
  enabled: Type.Optional(
    Type.Boolean({ description: 'false: rejected. Default true.', allowed: 'true or false' }),
  ),
  models: orNull(
    Type.Array(Type.String({ minLength: 1, maxLength: 500 }), { maxItems: 1_000 }),
    'Models by name or pattern, such as `gpt-*`; absent: all.',
    'a list of names and patterns of models, or null',
  ),
  surfaces: orNull(
    Type.Array(Type.Union(surfaces.map((surface) => Type.Literal(surface)))),
    'APIs that may be used; absent: all but `operator`.',
    `a list of ${surfaces.join(', ')}, or null`,
  ),
  endpoints: orNull(
    Type.Array(Type.String({ pattern: '^/', maxLength: 500 }), { maxItems: 1_000 }),
    'Paths that may be used, such as `/v1/embeddings` or `/v1/*`; absent: all.',
    'a list of paths, or null',
  ),
  max_concurrent: Count('Maximum concurrent requests.'),
  requests_per_minute: Count('Maximum requests that begin within any 60 seconds.'),
  tokens_per_minute: Count('Maximum prompt and completion tokens per minute.'),
  max_tokens: Count('Maximum tokens that one request may ask for.'),
} as const

export const ClientRecordSchema = Type.Object(
  {
    group: orNull(
      IdSchema,
      'The group whose permissions and limits also apply.',
      'the id of a group, or null',
    ),
    ...bounds,
    role: orNull(
      Type.Union(roles.map((role) => Type.Literal(role))),
      'Role for managing the router: viewer reads, operator also changes the fleet, admin also changes clients; absent: none.',
      `one of: ${roles.join(', ')}, null`,
    ),
    expires_at: orNull(Time, 'When all its keys expire.', 'a time like "2027-01-31T00:00:00Z", or null'),
    priority: Type.Optional(oneOf(priorities, 'Multiplies its weight in the queue: high by 4, low by 1/4.')),
    weight: Type.Optional(
      Type.Number({
        minimum: 0.01,
        maximum: 100,
        description: 'Its share of the queue. Default 1.',
        allowed: 'a number from 0.01 to 100',
      }),
    ),
    priority_header: Flag('Whether a request may name its own priority, in `x-llm-router-priority`.'),
    canary_header: Flag('Whether a request may choose canaries or avoid them, in `x-llm-router-canary`.'),
  },
  { additionalProperties: false },
)
export type ClientRecord = Static<typeof ClientRecordSchema>

export const GroupRecordSchema = Type.Object(
  {
    parent: orNull(
      IdSchema,
      'Parent group, which must not have a parent itself.',
      'the id of a group, or null',
    ),
    ...bounds,
  },
  { additionalProperties: false },
)
export type GroupRecord = Static<typeof GroupRecordSchema>

export const NewKeySchema = Type.Object(
  {
    description: text,
    expires_at: orNull(Time, 'When the key expires.', 'a time like "2027-01-31T00:00:00Z", or null'),
  },
  { additionalProperties: false },
)
export type NewKey = Static<typeof NewKeySchema>

export const RotationSchema = Type.Object(
  {
    overlap_seconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 31_536_000,
        description: 'How long the previous key stays valid. Default 86400.',
        allowed: 'a number of seconds from 0 to 31536000',
      }),
    ),
  },
  { additionalProperties: false },
)
export type Rotation = Static<typeof RotationSchema>

/** The author of a change, for the audit log. */
export interface Actor {
  id: string
  source: 'api' | 'cli' | 'console' | 'reload'
  address: string
}

/** A stored record: its content and times. */
export interface Stored<Record> {
  id: string
  record: Record
  /** Incremented by each change. */
  version: number
  created_at: string
  updated_at: string
}

/** A stored key. `key`, the secret itself, is only in the response that creates it. */
export interface StoredKey {
  id: string
  client: string
  prefix: string
  description: string
  created_at: string
  expires_at: string | null
  revoked_at: string | null
  last_used_at: string | null
  key?: string
}

/** Everything needed to authenticate clients, as plain JSON that the primary sends to workers of a cluster. */
export interface Snapshot {
  revision: number
  clients: readonly { id: string; record: ClientRecord }[]
  groups: readonly { id: string; record: GroupRecord }[]
  /** Valid and expired keys. Times in milliseconds since 1970. */
  keys: readonly { id: string; client: string; sha256: string; endsAt: number | null }[]
  /** Ids of sessions that were ended before they expired. */
  endedSessions: readonly string[]
  prices: readonly { id: string; record: PriceRecord }[]
  budgets: readonly { id: string; record: BudgetRecord }[]
}

const Amount = (description: string) =>
  orNull(Type.Number({ minimum: 0, maximum: 1e12 }), description, 'a number from 0 to 1000000000000, or null')
const name = Type.String({ minLength: 1, maxLength: 500 })

export const PriceRecordSchema = Type.Object(
  {
    description: text,
    model: orNull(name, 'A model or a pattern such as `gpt-*`; absent: any.', 'a name or pattern, or null'),
    target: orNull(
      name,
      'Id of a target; takes precedence over a price of the model alone.',
      'the id of a target, or null',
    ),
    currency: Type.Optional(
      Type.String({
        maxLength: 20,
        description: 'For information; use one currency for all prices.',
        allowed: 'a string of at most 20 characters',
      }),
    ),
    prompt: Amount('Per million prompt tokens.'),
    cached_prompt: Amount('Per million prompt tokens that were in the cache; absent: as `prompt`.'),
    completion: Amount('Per million completion tokens.'),
    gpu_second: Amount('Per busy second.'),
    request: Amount('Per request.'),
  },
  { additionalProperties: false },
)
export type PriceRecord = Static<typeof PriceRecordSchema>

export const budgetUnits = ['tokens', 'cost', 'gpu_seconds', 'requests'] as const
export type BudgetUnit = (typeof budgetUnits)[number]
const budgetWindows = ['day', 'week', 'month', 'rolling'] as const

export const BudgetRecordSchema = Type.Object(
  {
    description: text,
    enabled: Type.Optional(
      Type.Boolean({ description: 'false: it has no effect. Default true.', allowed: 'true or false' }),
    ),
    client: orNull(
      IdSchema,
      'The client that the budget applies to; or `group`.',
      'the id of a client, or null',
    ),
    group: orNull(
      IdSchema,
      'The group whose clients share the budget; or `client`.',
      'the id of a group, or null',
    ),
    model: orNull(name, 'Only for this model; absent: all.', 'the name of a model, or null'),
    unit: oneOf(budgetUnits, 'What is limited.'),
    limit: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1e15,
      description: 'Maximum amount per window.',
      allowed: 'a number above 0',
    }),
    window: oneOf(
      budgetWindows,
      'A day, a week from Monday or a month in LLM_ROUTER_TIME_ZONE, or the last `hours`.',
    ),
    hours: orNull(
      Type.Integer({ minimum: 1, maximum: 744 }),
      'Length of a `rolling` window, which moves in steps of 15 minutes.',
      'a number from 1 to 744, or null',
    ),
    hard: Type.Optional(
      Type.Boolean({
        description: 'Whether requests are rejected when it is used up. Default true; false: only a warning.',
        allowed: 'true or false',
      }),
    ),
  },
  { additionalProperties: false },
)
export type BudgetRecord = Static<typeof BudgetRecordSchema>

/** The records that clients of `P/admin` create, read, change and remove by their id. */
export interface Entities {
  clients: ClientRecord
  groups: GroupRecord
  prices: PriceRecord
  budgets: BudgetRecord
}
export type EntityName = keyof Entities
export const entityNames = ['clients', 'groups', 'prices', 'budgets'] as const satisfies readonly EntityName[]

export const recordSchemas: Readonly<Record<EntityName, TObject>> = {
  clients: ClientRecordSchema,
  groups: GroupRecordSchema,
  prices: PriceRecordSchema,
  budgets: BudgetRecordSchema,
}

/** Singular nouns for messages. */
export const recordNouns: Readonly<Record<EntityName, string>> = {
  clients: 'client',
  groups: 'group',
  prices: 'price',
  budgets: 'budget',
}

/** Checks of a record beyond its schema; undefined: valid. */
export function recordError(
  entity: EntityName,
  record: object,
): { message: string; param: string } | undefined {
  if (entity === 'prices') {
    const { model, target } = record as PriceRecord // its schema has checked it
    if (!model && !target) return { message: "A price needs a 'model' or a 'target'", param: 'model' }
  }
  if (entity !== 'budgets') return undefined
  const { client, group, window, hours } = record as BudgetRecord
  if (!client === !group) return { message: "A budget has a 'client' or a 'group'", param: 'client' }
  if (window === 'rolling')
    return hours ? undefined : { message: "A rolling budget needs 'hours'", param: 'hours' }
  return hours ? { message: "'hours' is only allowed for the window 'rolling'", param: 'hours' } : undefined
}
