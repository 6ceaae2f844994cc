import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { NewKeySchema, RotationSchema } from '../../sdk/teams/directory.ts'
import { ListQuerySchema } from './records.ts'

const time = Type.Union([Type.String(), Type.Null()])
const KeySchema = Type.Object({
  id: Type.String(),
  client: Type.String(),
  prefix: Type.String({ description: 'The first characters of the key.' }),
  description: Type.String(),
  created_at: Type.String(),
  expires_at: time,
  revoked_at: time,
  last_used_at: time,
  key: Type.Optional(Type.String({ description: 'The key itself; only in the response that creates it.' })),
})
const ListSchema = Type.Object({ data: Type.Array(KeySchema), next_cursor: Type.Optional(Type.String()) })

/** Keys of clients. A client may have several; a key is only shown when it is created. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  // Available on both ports: the console uses the admin port, if configured, and programs the main port.
  for (const admin of app.adminPort.both) register(app, admin)
}

export default fp(plugin, { name: 'routes/admin/keys', encapsulate: true })

function register(app: Parameters<FastifyPluginAsyncTypebox>[0], admin: boolean): void {
  const { administration } = app
  const base = `${app.config.endpointPrefix}/admin`
  const config = (docs: EndpointDocs) =>
    ({ admin, surface: 'operator', role: 'admin', errors: 'problem', docs }) as const
  const params = Type.Object({ id: Type.String() })
  const ofClient = { id: { name: 'id', description: 'Id of the client.' } }
  const ofKey = { id: { name: 'id', description: 'Id of the key.' } }

  app.get(
    `${base}/keys`,
    {
      config: config({
        id: 'listKeys',
        tag: 'Administration',
        summary: 'List keys',
        query: {
          ...ListQuerySchema.properties,
          client: Type.Optional(Type.String({ description: 'Only keys of this client.' })),
        },
        answers: [json('A page.', ListSchema)],
      }),
      schema: {
        querystring: Type.Object({ ...ListQuerySchema.properties, client: Type.Optional(Type.String()) }),
      },
    },
    (request) => administration.run(request, 'keys', request.query),
  )
  app.post(
    `${base}/clients/:id/keys`,
    {
      config: config({
        id: 'createKey',
        tag: 'Administration',
        summary: 'Create a key of a client',
        description:
          'The key is shown only in this response. A repeated request with the same `Idempotency-Key` gets the same id without the key.',
        path: ofClient,
        status: '201',
        example: { description: 'laptop' },
        answers: [json('The key.', KeySchema)],
      }),
      schema: { params, body: NewKeySchema },
    },
    async (request, reply) => {
      const input = {
        client: request.params.id,
        key: request.body,
        idempotencyKey: administration.idempotencyKey(request),
      }
      const { stored, isNew } = await administration.run(request, 'createKey', input)
      return reply.code(isNew ? 201 : 200).send(stored)
    },
  )
  app.post(
    `${base}/keys/:id/rotate`,
    {
      config: config({
        id: 'rotateKey',
        tag: 'Administration',
        summary: 'Replace a key with a new one',
        description: 'The old key stays valid for `overlap_seconds`.',
        path: ofKey,
        status: '201',
        example: { overlap_seconds: 3_600 },
        answers: [json('The new key.', KeySchema)],
      }),
      schema: { params, body: RotationSchema },
    },
    async (request, reply) => {
      const input = { id: request.params.id, rotation: request.body }
      return reply.code(201).send(await administration.run(request, 'rotateKey', input))
    },
  )
  app.post(
    `${base}/keys/:id/revoke`,
    {
      config: config({
        id: 'revokeKey',
        tag: 'Administration',
        summary: 'Revoke a key immediately',
        path: ofKey,
        answers: [json('The key.', KeySchema)],
      }),
      schema: { params },
    },
    (request) => administration.run(request, 'revokeKey', { id: request.params.id }),
  )
}
