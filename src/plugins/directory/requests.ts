import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { badRequest, RouterError } from '../../sdk/errors.ts'
import type { Directory } from '../../stores/directory/directory.ts'
import type { Actor, Stored } from '../../stores/directory/records.ts'
import { clientAddress } from '../auth/client-address.ts'

/** The database, or the error for the operator of a router without one. */
export function directoryOf({ directory }: FastifyInstance): Directory {
  if (directory) return directory
  throw new RouterError(
    'not_found',
    'This router has no database: set LLM_ROUTER_DATABASE_URL, such as sqlite:/var/lib/llm-router/router.db',
    { code: 'no_database' },
  )
}

export function actorOf(request: FastifyRequest): Actor {
  return { id: request.client?.id ?? '', source: 'api', address: clientAddress(request) }
}

/** The version that a change is for, from `If-Match` (RFC 9110, section 13.1.1); undefined: any. */
export function wantedVersion({ headers }: FastifyRequest): number | undefined {
  const given = headers['if-match']?.trim()
  if (given === undefined || given === '*') return undefined
  const version = /^(?:W\/)?"(\d{1,15})"$/.exec(given)?.[1]
  if (version === undefined)
    throw badRequest('If-Match is not an ETag of this API', 'if-match', 'invalid_value')
  return Number(version)
}

/** The key under which a repeated create finds what the first one made; undefined: none. */
export function idempotencyKey({ headers, client }: FastifyRequest): string | undefined {
  const given = headers['idempotency-key']
  if (given === undefined) return undefined
  if (typeof given !== 'string' || !/^[\x21-\x7e]{1,200}$/.test(given))
    throw badRequest(
      'Idempotency-Key is not 1 to 200 visible ASCII characters',
      'idempotency-key',
      'invalid_value',
    )
  return `${client?.id ?? ''}/${given}`
}

/** A record as clients of the API see it. */
export interface ShownRecord {
  id: string
  created_at: string
  updated_at: string
}

export function shown<Item extends Stored<object>>(
  stored: Item,
  reply?: FastifyReply,
): ShownRecord & Item['record'] {
  const { id, record, version, created_at, updated_at } = stored
  reply?.header('etag', `"${version}"`)
  return { id, ...record, created_at, updated_at }
}
