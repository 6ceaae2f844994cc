import { createHash, randomBytes } from 'node:crypto'
import { RouterError } from '../../sdk/errors.ts'
import { NewKeySchema, RotationSchema } from '../../sdk/teams/directory.ts'
import {
  type CommandHandlers,
  type Context,
  findCreated,
  idempotencyKeyReused,
  type Rows,
  recordChange,
  rememberCreated,
} from './changes.ts'
import { storedKey } from './commands.ts'
import { checkFields, conflict, findRow, pageOf } from './records.ts'

const defaultOverlapSeconds = 86_400

type KeyCommand = 'keys' | 'createKey' | 'importKey' | 'rotateKey' | 'revokeKey'

/** Commands for keys of clients. */
export const keyCommands: Pick<CommandHandlers, KeyCommand> = {
  async keys(rows, { client, ...page }) {
    let query = rows.selectFrom('client_keys').selectAll()
    if (client !== undefined) query = query.where('client_id', '=', client)
    return pageOf(query.orderBy('id'), page, storedKey)
  },

  async createKey(rows, { client, key, idempotencyKey }, context) {
    checkFields(NewKeySchema, key, 'key')
    const before = await findCreated(rows, 'keys', idempotencyKey, context)
    if (before !== undefined) {
      const row = await findKey(rows, before)
      if (row.client_id !== client) throw idempotencyKeyReused()
      return { stored: storedKey(row), isNew: false }
    }
    await findRow(rows, 'clients', client)
    const created = await addKey(rows, client, key, context)
    await rememberCreated(rows, 'keys', created.id, idempotencyKey, context)
    return { stored: created, isNew: true }
  },

  async importKey(rows, { client, sha256, description = 'imported', endsAt }, context) {
    const existing = await rows
      .selectFrom('client_keys')
      .selectAll()
      .where('sha256', '=', sha256)
      .executeTakeFirst()
    if (existing) return { stored: storedKey(existing), isNew: false }
    await findRow(rows, 'clients', client)
    const row = {
      ...newKeyRow(client, sha256, context),
      description,
      expires_at: endsAt ?? null,
    }
    await rows.insertInto('client_keys').values(row).execute()
    await recordChange(rows, context, { action: 'import', entity: 'key', id: row.id, after: { client } })
    return { stored: storedKey(row), isNew: true }
  },

  async rotateKey(rows, { id, rotation }, context) {
    checkFields(RotationSchema, rotation, 'rotation')
    const old = await findKey(rows, id)
    const endsAt = context.now + (rotation.overlap_seconds ?? defaultOverlapSeconds) * 1000
    if (hasEnded(old, context.now))
      throw conflict(`The key '${id}' has already expired or been revoked`, 'key_ended')
    const created = await addKey(
      rows,
      old.client_id,
      { description: old.description, expires_at: null },
      context,
    )
    const until = old.expires_at === null ? endsAt : Math.min(endsAt, old.expires_at)
    await rows.updateTable('client_keys').set({ expires_at: until }).where('id', '=', id).execute()
    await recordChange(rows, context, { action: 'rotate', entity: 'key', id, after: { new_key: created.id } })
    return created
  },

  async revokeKey(rows, { id }, context) {
    const row = await findKey(rows, id)
    if (row.revoked_at !== null) return storedKey(row)
    await rows.updateTable('client_keys').set({ revoked_at: context.now }).where('id', '=', id).execute()
    await recordChange(rows, context, {
      action: 'revoke',
      entity: 'key',
      id,
      before: { client: row.client_id },
    })
    return storedKey({ ...row, revoked_at: context.now })
  },
}

async function findKey(rows: Rows, id: string) {
  const row = await rows.selectFrom('client_keys').selectAll().where('id', '=', id).executeTakeFirst()
  if (!row) throw new RouterError('not_found', `Unknown key '${id}'`, { code: 'not_found' })
  return row
}

function hasEnded(
  { expires_at, revoked_at }: { expires_at: number | null; revoked_at: number | null },
  now: number,
) {
  return revoked_at !== null || (expires_at !== null && expires_at <= now)
}

function newKeyRow(client: string, sha256: string, { now }: Context) {
  return {
    id: `key_${randomBytes(9).toString('hex')}`,
    client_id: client,
    sha256,
    prefix: '',
    description: '',
    created_at: now,
    expires_at: null,
    revoked_at: null,
    last_used_at: null,
  }
}

async function addKey(
  rows: Rows,
  client: string,
  {
    description = '',
    expires_at: expiry,
  }: { description?: string | undefined; expires_at?: string | null | undefined },
  context: Context,
) {
  const key = `sk-llmr-${randomBytes(30).toString('base64url')}`
  const row = {
    ...newKeyRow(client, createHash('sha256').update(key).digest('hex'), context),
    prefix: key.slice(0, 14),
    description,
    expires_at: expiry ? Date.parse(expiry) : null,
  }
  await rows.insertInto('client_keys').values(row).execute()
  await recordChange(rows, context, {
    action: 'create',
    entity: 'key',
    id: row.id,
    after: { client, prefix: row.prefix },
  })
  return { ...storedKey(row), key }
}
