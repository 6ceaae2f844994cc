import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { priorities, roles, surfaces } from './client-key.ts'

/** What `P/admin` reads and writes. Members that are absent or null bound nothing. */

const Count = (description: string) =>
  Type.Optional(
    Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000_000 }), Type.Null()], {
      description,
      allowed: 'a number from 1 to 1000000000, or null',
    }),
  )
const idPattern = '^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$'
export const IdSchema = Type.String({
  pattern: idPattern,
  allowed: 'up to 64 letters, digits and . _ @ -, the first a letter or digit',
  description: 'Name in the log, in metrics and in usage.',
})
const Time = Type.String({
  pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d(?::\\d\\d(?:\\.\\d+)?)?(?:Z|[+-]\\d\\d:\\d\\d)$',
  allowed: 'a time like "2027-01-31T00:00:00Z"',
})
const orNull = <Item extends TSchema>(item: Item, description: string, allowed: string) =>
  Type.Optional(Type.Union([item, Type.Null()], { description, allowed }))
const text = Type.Optional(
  Type.String({ maxLength: 500, description: 'For people.', allowed: 'a text of at most 500 characters' }),
)

/** Permissions and limits, which clients and groups have alike. */
const bounds = {
  description: text,
  enabled: Type.Optional(
    Type.Boolean({ description: 'false: refused. Default true.', allowed: 'true or false' }),
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
  max_concurrent: Count('Requests that have not ended.'),
  requests_per_minute: Count('Requests that begin within any 60 seconds.'),
  tokens_per_minute: Count('Tokens of prompts and answers.'),
  max_tokens: Count('Tokens that one request may ask for.'),
} as const

export const ClientRecordSchema = Type.Object(
  {
    group: orNull(IdSchema, 'The group that bounds it.', 'the id of a group, or null'),
    ...bounds,
    role: orNull(
      Type.Union(roles.map((role) => Type.Literal(role))),
      'What it may do to the router itself: look, change the fleet, or change clients; absent: nothing.',
      `${roles.join(', ')} or null`,
    ),
    expires_at: orNull(Time, 'When all its keys end.', 'a time like "2027-01-31T00:00:00Z", or null'),
    priority: Type.Optional(
      Type.Union(
        priorities.map((priority) => Type.Literal(priority)),
        {
          description: 'Multiplies its weight in the queue: high by 4, low by 1/4.',
          allowed: priorities.join(', '),
        },
      ),
    ),
    weight: Type.Optional(
      Type.Number({
        minimum: 0.01,
        maximum: 100,
        description: 'Its share of the queue. Default 1.',
        allowed: 'a number from 0.01 to 100',
      }),
    ),
  },
  { additionalProperties: false },
)
export type ClientRecord = Static<typeof ClientRecordSchema>

export const GroupRecordSchema = Type.Object(
  {
    parent: orNull(IdSchema, 'A group without a parent of its own.', 'the id of a group, or null'),
    ...bounds,
  },
  { additionalProperties: false },
)
export type GroupRecord = Static<typeof GroupRecordSchema>

export const NewKeySchema = Type.Object(
  {
    description: text,
    expires_at: orNull(Time, 'When it ends.', 'a time like "2027-01-31T00:00:00Z", or null'),
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
        description: 'How long the former key stays valid. Default 86400.',
        allowed: 'a number of seconds from 0 to 31536000',
      }),
    ),
  },
  { additionalProperties: false },
)
export type Rotation = Static<typeof RotationSchema>

/** Who has changed something, for the audit log. */
export interface Actor {
  id: string
  source: 'api' | 'cli' | 'console' | 'reload'
  address: string
}

/** A record as it is read: what was written, and when. */
export interface Stored<Record> {
  id: string
  record: Record
  /** Grows with each change. */
  version: number
  created_at: string
  updated_at: string
}

/** A key as it is read; `key` only in the answer that creates it. */
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

/** What a process needs to let clients in. Plain JSON, which workers of a cluster get from their primary. */
export interface Snapshot {
  revision: number
  clients: readonly { id: string; record: ClientRecord }[]
  groups: readonly { id: string; record: GroupRecord }[]
  /** Valid ones and those that ended. Times in milliseconds since 1970. */
  keys: readonly { id: string; client: string; sha256: string; endsAt: number | null }[]
  /** Ids of sessions that were ended before their time. */
  endedSessions: readonly string[]
}

/** The records that clients of `P/admin` create, read, change and remove by their id. */
export interface Entities {
  clients: ClientRecord
  groups: GroupRecord
}
export type EntityName = keyof Entities
export const entityNames = ['clients', 'groups'] as const satisfies readonly EntityName[]
