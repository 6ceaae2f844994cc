import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { presentedKey, sha256Of } from '../../config/client-keys/key-ring.ts'
import { roleOf } from '../../sdk/client-key.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { RouterError } from '../../sdk/errors.ts'

const SessionSchema = Type.Object({
  client: Type.String({ description: 'A client, or a user of OpenID Connect.' }),
  role: Type.String({ description: '`viewer`, `operator` or `admin`.' }),
  expires_at: Type.Union([Type.String(), Type.Null()], {
    description: 'When the session or key expires; null: never.',
  }),
})

/** Sign-in by exchanging a key for a session cookie, the current identity, and sign-out. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const { config, sessions } = app
  const path = `${config.endpointPrefix}/session`
  const shown = ({ client, session }: FastifyRequest, endsAt = session?.endsAt ?? client?.expiresAt) => ({
    client: client?.id ?? '',
    role: (client && roleOf(client)) ?? '',
    expires_at: endsAt === undefined ? null : new Date(endsAt).toISOString(),
  })
  // Operator pages may be on the admin port while the routes that they use are on the main port.
  for (const admin of app.adminPort.both) {
    const options = (docs: EndpointDocs) =>
      ({ config: { admin, surface: 'operator', role: 'viewer', errors: 'problem', docs } }) as const
    app.post(path, options(signInDocs), (request, reply) => {
      const key = presentedKey(request.headers)
      if (key === undefined || app.keys.find(key).error !== undefined) throw keyRequired()
      if (sessions.secret === '') throw noSecret()
      const session = sessions.begin(request, reply, { sha256: sha256Of(key).toString('hex') })
      return shown(request, session.endsAt)
    })
    app.get(path, options(readDocs), (request) => shown(request))
    app.delete(path, options(signOutDocs), async (request, reply) => {
      await sessions.end(request, reply)
      return reply.code(204).send()
    })
  }
}

export default fp(plugin, { name: 'routes/session/session', encapsulate: true })

const signInDocs: EndpointDocs = {
  id: 'signIn',
  tag: 'Operation',
  summary: 'Exchange a key for a session cookie',
  description:
    "The session lasts at most eight hours and ends with the key. Its cookie is valid only for operator endpoints and only from the router's own pages.",
  answers: [json('The identity that has signed in.', SessionSchema)],
}
const readDocs: EndpointDocs = {
  id: 'session',
  tag: 'Operation',
  summary: 'The identity behind the key or session of the request',
  answers: [json('The identity.', SessionSchema)],
}
const signOutDocs: EndpointDocs = {
  id: 'signOut',
  tag: 'Operation',
  summary: 'End the session',
  status: '204',
  answers: [],
}

function keyRequired(): RouterError {
  return new RouterError('forbidden', 'Signing in requires a key: send it as "Authorization: Bearer ..."', {
    code: 'key_needed',
  })
}

function noSecret(): RouterError {
  return new RouterError(
    'conflict',
    'Sign-in is not available: with Redis or PostgreSQL, LLM_ROUTER_SESSION_SECRET must be set to the same value on all hosts',
    { code: 'session_secret_not_set' },
  )
}
