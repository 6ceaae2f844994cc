import type { FastifyReply, FastifyRequest } from 'fastify'
import { badRequest, RouterError } from '../../sdk/errors.ts'
import type { Actor, Stored } from '../../sdk/teams/directory.ts'
import type { CommandName, Commands } from '../../stores/directory/commands.ts'
import type { Directory } from '../../stores/directory/directory.ts'
import { clientAddress } from '../auth/client-address.ts'

/** Access of `P/admin` routes to the database and the request. */
export interface Administration {
  /** Runs a command for the request's client. Throws RouterError, also without a database. */
  run<Name extends CommandName>(
    request: FastifyRequest,
    name: Name,
    input: Commands[Name]['in'],
  ): Promise<Commands[Name]['out']>
  /** The expected version of a change, from `If-Match` (RFC 9110, section 13.1.1); undefined: any. */
  expectedVersion(request: FastifyRequest): number | undefined
  /** The idempotency key of a create request; undefined if absent. */
  idempotencyKey(request: FastifyRequest): string | undefined
  /** A record as clients of the API see it, with its ETag in the header of the reply. */
  shown<Item extends Stored<object>>(stored: Item, reply?: FastifyReply): ShownRecord & Item['record']
}

export function administration(directory: Directory | undefined): Administration {
  return {
    run: async (request, name, input) => existing(directory).run(name, input, actorOf(request)),
    expectedVersion,
    idempotencyKey,
    shown,
  }
}

function existing(directory: Directory | undefined): Directory {
  if (directory) return directory
  throw new RouterError(
    'not_found',
    'This router has no database: set LLM_ROUTER_DATABASE_URL, such as sqlite:/var/lib/llm-router/router.db',
    { code: 'no_database' },
  )
}

function actorOf(request: FastifyRequest): Actor {
  const source = request.session ? 'console' : 'api'
  return { id: request.client?.id ?? '', source, address: clientAddress(request) }
}

function expectedVersion({ headers }: FastifyRequest): number | undefined {
  const etag = headers['if-match']?.trim()
  if (etag === undefined || etag === '*') return undefined
  const version = /^(?:W\/)?"(\d{1,15})"$/.exec(etag)?.[1]
  if (version === undefined)
    throw badRequest('If-Match must be an ETag of this API', 'if-match', 'invalid_value')
  return Number(version)
}

function idempotencyKey({ headers, client }: FastifyRequest): string | undefined {
  const key = headers['idempotency-key']
  if (key === undefined) return undefined
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,200}$/.test(key))
    throw badRequest(
      'Idempotency-Key must be 1 to 200 visible ASCII characters',
      'idempotency-key',
      'invalid_value',
    )
  return `${client?.id ?? ''}/${key}`
}

/** A record as clients of the API see it. */
interface ShownRecord {
  id: string
  created_at: string
  updated_at: string
}

function shown<Item extends Stored<object>>(
  stored: Item,
  reply?: FastifyReply,
): ShownRecord & Item['record'] {
  const { id, record, version, created_at, updated_at } = stored
  reply?.header('etag', `"${version}"`)
  return { id, ...record, created_at, updated_at }
}
