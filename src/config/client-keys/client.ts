import type { JsonPath } from '../../lib/json/jsonc.ts'
import { type ClientKey, type KeyLimits, nameMatcher, surfacesOf } from '../../sdk/client-key.ts'
import { expandVariables } from '../secrets.ts'
import { looksUnexpanded, unexpandedHint } from '../settings/text.ts'
import { type RingEntry, sha256Of } from './key-ring.ts'
import type { FileKey, KeyRecord } from './schema.ts'

/** Reports an error at its path in the file. */
export type ReportError = (path: JsonPath, message: string) => void

export interface RecordContext {
  path: JsonPath
  /** Position from 1, used as the id of a record without one. */
  number: number
  env: Readonly<Record<string, string | undefined>>
  error: ReportError
  warn: ReportError
}

/** Shorter keys can be found by brute force from their digests in the file. */
const recommendedLength = 20

/** A client in the file and its keys. With several keys, each may have its own expiry. */
export interface FileClient {
  client: ClientKey
  entries: RingEntry[]
}

/** Converts a validated record to a client and the digests of its keys; undefined if the record is inconsistent. */
export function clientOf(record: KeyRecord, context: RecordContext): FileClient | undefined {
  const sha256 = record.keys && !hasDirectKey(record) ? undefined : digestOf(record, context)
  const expiry = expiryOf(record, context)
  const more = record.keys?.map((key, index) =>
    keyOf(key, { ...context, path: [...context.path, 'keys', index] }),
  )
  const policy = record.policy_override
  if (record.policy_name !== undefined && policy === undefined)
    context.warn(
      [...context.path, 'policy_name'],
      'has no effect; the record itself says what the key may do',
    )
  if ((!sha256 && !more?.length) || expiry === 'invalid') return undefined
  const models = record.models ?? policy?.model_whitelist
  const client: ClientKey = {
    id: record.id ?? record.key_id ?? `key-${context.number}`,
    enabled: [record.enabled, record.is_active, policy?.is_active, policy?.can_access].every(
      (on) => on !== false,
    ),
    expiresAt: expiry,
    role: record.role,
    surfaces: surfacesOf(record.surfaces, record.role),
    models,
    mayUse: models ? nameMatcher(models) : () => true,
    limits: limitsOf(record),
    maxTokens: record.max_tokens,
    priority: record.priority,
    weight: record.weight,
    choosesPriority: record.priority_header === true,
    choosesCanary: record.canary_header === true,
  }
  const entries = (more ?? []).flatMap((key): RingEntry[] => {
    if (!key) return []
    const { digest, id, enabled, endsAt } = key
    const ends = [client.expiresAt, endsAt].filter((each) => each !== undefined)
    const expiresAt = ends.length > 0 ? Math.min(...ends) : undefined
    const keyClient = {
      ...client,
      expiresAt,
      enabled: client.enabled && enabled,
      ...(id === undefined ? {} : { keyId: id }),
    }
    return [{ client: keyClient, sha256: digest }]
  })
  return { client, entries: [...(sha256 ? [{ client, sha256 }] : []), ...entries] }
}

function hasDirectKey({ key, key_plain: keyPlain, sha256, keys }: KeyRecord): boolean {
  return [key, keyPlain, sha256].some((one) => one !== undefined) || keys?.length === 0
}

function keyOf(key: FileKey, context: RecordContext) {
  const digest = digestOf(key, context)
  const endsAt = expiryOf(key, context)
  if (!digest || endsAt === 'invalid') return undefined
  return { digest, endsAt, id: key.id, enabled: key.enabled !== false }
}

function limitsOf(record: KeyRecord): KeyLimits | undefined {
  const { max_concurrent: concurrent, tokens_per_minute: tokens } = record
  // In files of the Python llm-router, 0 means no limit.
  const requests = record.requests_per_minute ?? (record.policy_override?.rate_limit || undefined)
  if (concurrent === undefined && requests === undefined && tokens === undefined) return undefined
  return {
    ...(concurrent === undefined ? {} : { concurrent }),
    ...(requests === undefined ? {} : { requests }),
    ...(tokens === undefined ? {} : { tokens }),
  }
}

function digestOf(record: Partial<KeyRecord>, context: RecordContext): Buffer | undefined {
  const { key, key_plain: keyPlain, sha256 } = record
  const present = [key, keyPlain, sha256].filter((one) => one !== undefined)
  if (present.length === 0) {
    const hint = record.key_hash === undefined ? '' : '; a bcrypt digest (key_hash) cannot be looked up'
    context.error(context.path, `needs a "key", or the "sha256" of one${hint}`)
    return undefined
  }
  if (present.length > 1) {
    context.error(context.path, 'has more than one of key, key_plain and sha256')
    return undefined
  }
  if (sha256 !== undefined) return Buffer.from(sha256, 'hex')
  return digestOfText(key === undefined ? 'key_plain' : 'key', key ?? keyPlain ?? '', context)
}

function digestOfText(
  member: string,
  written: string,
  { path, env, error, warn }: RecordContext,
): Buffer | undefined {
  const at = [...path, member]
  const errors: string[] = []
  const key = expandVariables(written, '', env, errors).trim()
  for (const each of errors) error(at, each.replace(/^: /, ''))
  if (errors.length > 0) return undefined
  // Only characters that a header field can contain (RFC 9110, section 5.5), without white space.
  if (!/^[\x21-\x7e]+$/.test(key)) {
    error(at, key === '' ? 'is empty' : 'contains a space or another character that is not allowed in a key')
    return undefined
  }
  if (looksUnexpanded(written)) warn(at, unexpandedHint)
  else if (key.length < recommendedLength)
    warn(at, `is shorter than ${recommendedLength} characters, so it can be guessed`)
  return sha256Of(key)
}

const time = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/

/** Parses RFC 3339, a date (its start in UTC), or seconds since 1970 as written by the Python llm-router. */
function expiryOf(
  { expires_at: given }: Pick<KeyRecord, 'expires_at'>,
  { path, error }: RecordContext,
): number | undefined | 'invalid' {
  if (given === undefined) return undefined
  const at = typeof given === 'number' ? given * 1000 : time.test(given) ? Date.parse(given) : Number.NaN
  if (Number.isFinite(at)) return at
  error([...path, 'expires_at'], `${JSON.stringify(given)} is not a time like "2027-01-31T00:00:00Z"`)
  return 'invalid'
}
