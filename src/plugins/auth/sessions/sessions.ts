import { randomBytes } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ClientKey, type Role, roles } from '../../../sdk/client-key.ts'
import { RouterError } from '../../../sdk/errors.ts'
import type { Keys } from '../keys-file.ts'
import { cookie } from './cookies.ts'
import { isHttps } from './origin.ts'
import { createSeal } from './seal.ts'

/** Lifetime of a session, in milliseconds. */
const sessionMs = 8 * 3_600_000

const SessionSchema = Type.Object({
  id: Type.String(),
  /** Milliseconds since 1970. */
  endsAt: Type.Number(),
  /** SHA-256 of the key that was exchanged for it; absent: OpenID Connect. */
  sha256: Type.Optional(Type.String()),
  /** The person signed in with OpenID Connect. `client`: the session ends with this client. */
  user: Type.Optional(
    Type.Object({
      id: Type.String(),
      role: Type.Union(roles.map((role) => Type.Literal(role))),
      client: Type.Optional(Type.String()),
    }),
  ),
})
export type Session = Static<typeof SessionSchema>
export type SignedIn = NonNullable<Session['user']>

/** Sessions ended before their expiry. */
export interface EndedSessions {
  has(id: string): boolean
  /** Resolves when it is known to all processes of this host. */
  add(session: Pick<Session, 'id' | 'endsAt'>, request: FastifyRequest): Promise<void>
}

interface SessionsOptions {
  /** Empty: sign-in is disabled, because other hosts could not read the session. */
  secret: string
  publicUrl: string
  keys: Keys
  ended: EndedSessions
}

export interface Sessions {
  /** Empty: sign-in is disabled. */
  readonly secret: string
  /** Whether a request has a session cookie, valid or not. */
  isSent(request: FastifyRequest): boolean
  /** The session of a request and its client's current permissions; undefined if it has ended. */
  find(request: FastifyRequest): { session: Session; client: ClientKey } | undefined
  begin(request: FastifyRequest, reply: FastifyReply, who: { sha256: string } | { user: SignedIn }): Session
  end(request: FastifyRequest, reply: FastifyReply): Promise<void>
  forget(request: FastifyRequest, reply: FastifyReply): void
}

/**
 * Browser sessions. A session is an encrypted cookie with the digest of the key it was exchanged for, and each request is checked
 * as if it had sent that key: when the key or its client becomes invalid, so does the session.
 */
export function createSessions({ secret, publicUrl, keys, ended }: SessionsOptions): Sessions {
  const sealed = createSeal(secret === '' ? randomBytes(32).toString('hex') : secret, 'session')
  const jar = cookie('llm-router-session', 'Strict', (request) => isHttps(request, publicUrl))
  const read = (request: FastifyRequest): Session | undefined => {
    const text = jar.read(request)
    const session = text === undefined ? undefined : sealed.open(text)
    if (!Value.Check(SessionSchema, session)) return undefined
    return session.endsAt > Date.now() && !ended.has(session.id) ? session : undefined
  }
  return {
    secret,
    isSent: (request) => jar.read(request) !== undefined,
    find(request) {
      const session = read(request)
      const client = session && clientOf(session, keys)
      return client && { session, client }
    },
    begin(request, reply, who) {
      const client = clientOf({ id: '', endsAt: 0, ...who }, keys)
      if (!client) throw notValid()
      const endsAt = Math.min(Date.now() + sessionMs, client.expiresAt ?? Number.POSITIVE_INFINITY)
      // A new one each time, so it cannot be known in advance.
      const session = { id: randomBytes(16).toString('base64url'), endsAt, ...who }
      jar.write(request, reply, sealed.seal(session), Math.floor((endsAt - Date.now()) / 1000))
      return session
    },
    async end(request, reply) {
      const session = read(request)
      jar.remove(request, reply)
      if (session) await ended.add(session, request)
    },
    forget: (request, reply) => jar.remove(request, reply),
  }
}

function notValid(): RouterError {
  return new RouterError('forbidden', 'This account is disabled or has expired', { code: 'account_disabled' })
}

function clientOf({ sha256, user }: Session, keys: Keys): ClientKey | undefined {
  if (sha256 !== undefined) {
    const { client, error } = keys.findDigest(Buffer.from(sha256, 'hex'))
    return error === undefined ? client : undefined
  }
  if (!user) return undefined
  if (user.client !== undefined && !isValid(keys.clients().find(({ id }) => id === user.client)))
    return undefined
  return userClient(user.id, user.role)
}

function isValid(client: ClientKey | undefined): boolean {
  if (!client?.enabled) return false
  return client.expiresAt === undefined || client.expiresAt > Date.now()
}

/** A person signed in with OpenID Connect. */
function userClient(id: string, role: Role): ClientKey {
  return {
    id,
    role,
    enabled: true,
    expiresAt: undefined,
    surfaces: new Set(['operator'] as const),
    models: undefined,
    mayUse: () => true,
    limits: undefined,
    maxTokens: undefined,
  }
}
