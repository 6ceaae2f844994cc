import type { JsonPath } from '../../lib/json/jsonc.ts'
import { type ClientKey, type KeyLimits, nameMatcher, surfacesOf } from '../../sdk/client-key.ts'
import { expanded } from '../secrets.ts'
import { looksUnexpanded, unexpandedHint } from '../settings/text.ts'
import { type RingEntry, sha256Of } from './key-ring.ts'
import type { FileKey, KeyRecord } from './schema.ts'

/** Reports an error at its path in the file. */
export type TellError = (path: JsonPath, message: string) => void

export interface RecordContext {
  path: JsonPath
  /** Position from 1, used as the id of a record without one. */
  number: number
  env: Readonly<Record<string, string | undefined>>
  error: TellError
  warn: TellError
}

/** Shorter keys can be found by brute force from their digests in the file. */
const wantedLength = 20

/** A client of the file and its keys. With several keys, each has its own expiry. */
export interface FileClient {
  client: ClientKey
  entries: RingEntry[]
}

/** The client of a validated record, and the digests of its keys; undefined if the record is inconsistent. */
export function clientOf(record: KeyRecord, context: RecordContext): FileClient | undefined {
  const sha256 = record.keys && !hasOwnKey(record) ? undefined : digestOf(record, context)
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
  if ((!sha256 && !more?.length) || expiry === 'wrong') return undefined
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
    const own = {
      ...client,
      expiresAt,
      enabled: client.enabled && enabled,
      ...(id === undefined ? {} : { keyId: id }),
    }
    return [{ client: own, sha256: digest }]
  })
  return { client, entries: [...(sha256 ? [{ client, sha256 }] : []), ...entries] }
}

function hasOwnKey({ key, key_plain: keyPlain, sha256, keys }: KeyRecord): boolean {
  return [key, keyPlain, sha256].some((one) => one !== undefined) || keys?.length === 0
}

function keyOf(key: FileKey, context: RecordContext) {
  const digest = digestOf(key, context)
  const endsAt = expiryOf(key, context)
  if (!digest || endsAt === 'wrong') return undefined
  return { digest, endsAt, id: key.id, enabled: key.enabled !== false }
}

function limitsOf(record: KeyRecord): KeyLimits | undefined {
  const { max_concurrent: concurrent, tokens_per_minute: tokens } = record
  // There, 0 means no limit.
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
  const given = [key, keyPlain, sha256].filter((one) => one !== undefined)
  if (given.length === 0) {
    const hint = record.key_hash === undefined ? '' : '; a bcrypt digest (key_hash) cannot be looked up'
    context.error(context.path, `needs a "key", or the "sha256" of one${hint}`)
    return undefined
  }
  if (given.length > 1) {
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
  const key = expanded(written, '', env, errors).trim()
  for (const each of errors) error(at, each.replace(/^: /, ''))
  if (errors.length > 0) return undefined
  // RFC 9110, section 5.5: characters that a header can contain; surrounding whitespace would be lost.
  if (!/^[\x21-\x7e]+$/.test(key)) {
    error(at, key === '' ? 'is empty' : 'contains a blank or another character that is not allowed in a key')
    return undefined
  }
  if (looksUnexpanded(written)) warn(at, unexpandedHint)
  else if (key.length < wantedLength)
    warn(at, `is shorter than ${wantedLength} characters, so it can be guessed`)
  return sha256Of(key)
}

const time = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/

/** RFC 3339, or a date, which means its start in UTC; the Python version wrote seconds. */
function expiryOf(
  { expires_at: given }: Pick<KeyRecord, 'expires_at'>,
  { path, error }: RecordContext,
): number | undefined | 'wrong' {
  if (given === undefined) return undefined
  const at = typeof given === 'number' ? given * 1000 : time.test(given) ? Date.parse(given) : Number.NaN
  if (Number.isFinite(at)) return at
  error([...path, 'expires_at'], `${JSON.stringify(given)} is not a time like "2027-01-31T00:00:00Z"`)
  return 'wrong'
}
