import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { BudgetStatusSchema } from '../../sdk/teams/budget-status.ts'
import {
  type EntityName,
  entityNames,
  IdSchema,
  recordNouns,
  recordSchemas,
} from '../../sdk/teams/directory.ts'

export const ListQuerySchema = Type.Object({
  cursor: Type.Optional(Type.String({ maxLength: 200, description: '`next_cursor` of the previous page.' })),
  limit: Type.Integer({ minimum: 1, maximum: 1_000, default: 100, description: 'Maximum entries per page.' }),
})

const examples: Readonly<Record<EntityName, Record<string, unknown>>> = {
  clients: { id: 'alice', models: ['demo'], requests_per_minute: 60 },
  groups: { id: 'research', models: ['demo'], tokens_per_minute: 200_000 },
  prices: { id: 'demo', model: 'demo', prompt: 2.5, completion: 10, currency: 'EUR' },
  budgets: { id: 'alice-day', client: 'alice', unit: 'tokens', limit: 100_000, window: 'day' },
}

/** Lists, creates, reads, changes and removes clients, groups, prices and budgets. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  // Available on both ports: the console uses the admin port, if configured, and programs the main port.
  for (const admin of app.adminPort.both) register(app, admin)
}

export default fp(plugin, { name: 'routes/admin/records', encapsulate: true })

function register(app: Parameters<FastifyPluginAsyncTypebox>[0], admin: boolean): void {
  const { administration } = app
  const base = `${app.config.endpointPrefix}/admin`
  for (const entity of entityNames) {
    const noun = recordNouns[entity]
    const schema = recordSchemas[entity]
    const config = (docs: EndpointDocs) =>
      ({ admin, surface: 'operator', role: 'admin', errors: 'problem', docs }) as const
    const params = Type.Object({ id: Type.String() })
    const query = Type.Object({
      ...ListQuerySchema.properties,
      ...(entity === 'clients'
        ? { group: Type.Optional(Type.String({ description: 'Only clients of this group.' })) }
        : {}),
    })
    const record = Type.Object({
      id: IdSchema,
      ...schema.properties,
      created_at: Type.String(),
      updated_at: Type.String(),
    })
    // Reading a budget also returns its current usage.
    const shown =
      entity === 'budgets' ? Type.Object({ ...record.properties, ...BudgetStatusSchema.properties }) : record
    const budgetStatuses = async (
      request: FastifyRequest,
      ids: readonly string[],
    ): Promise<Record<string, object>> =>
      entity === 'budgets'
        ? await administration.run(request, 'budgetStatuses', { ids, zone: app.config.timeZone })
        : {}
    const path = { id: { name: 'id', description: `Id of the ${noun}.` } }
    const docs = (id: string, summary: string, more: Partial<EndpointDocs> = {}): EndpointDocs => ({
      id: `${id}${noun[0]?.toUpperCase()}${noun.slice(1)}`,
      tag: 'Administration',
      summary,
      answers: [json(`The ${noun}.`, record)],
      ...more,
    })
    app.get(
      `${base}/${entity}`,
      {
        config: config(
          docs('list', `List ${entity}`, {
            query: query.properties,
            answers: [
              json(
                'A page.',
                Type.Object({ data: Type.Array(shown), next_cursor: Type.Optional(Type.String()) }),
              ),
            ],
          }),
        ),
        schema: { querystring: query },
      },
      async (request) => {
        const { cursor, limit, ...more } = request.query
        const of = 'group' in more && typeof more.group === 'string' ? more.group : undefined
        const page = await administration.run(request, 'list', { entity, cursor, limit, of })
        const statusById = await budgetStatuses(
          request,
          page.data.map(({ id }) => id),
        )
        return {
          ...page,
          data: page.data.map((each) => ({ ...administration.shown(each), ...statusById[each.id] })),
        }
      },
    )
    app.post(
      `${base}/${entity}`,
      {
        config: config(docs('create', `Create a ${noun}`, { status: '201', example: examples[entity] })),
        schema: {
          body: Type.Object({ id: IdSchema, ...schema.properties }, { additionalProperties: false }),
        },
      },
      async (request, reply) => {
        const { id, ...rest } = request.body as { id: string } // as its schema says
        const input = { entity, id, record: rest, idempotencyKey: administration.idempotencyKey(request) }
        const { stored, isNew } = await administration.run(request, 'create', input)
        return reply.code(isNew ? 201 : 200).send(administration.shown(stored, reply))
      },
    )
    app.get(
      `${base}/${entity}/:id`,
      {
        config: config(docs('get', `Read a ${noun}`, { path, answers: [json(`The ${noun}.`, shown)] })),
        schema: { params },
      },
      async (request, reply) => {
        const { id } = request.params
        const stored = await administration.run(request, 'get', { entity, id })
        const statusById = await budgetStatuses(request, [id])
        return { ...administration.shown(stored, reply), ...statusById[id] }
      },
    )
    app.patch(
      `${base}/${entity}/:id`,
      {
        config: config(
          docs('change', `Change fields of a ${noun}`, {
            path,
            example: { description: 'Team of the night shift' },
            description:
              'Absent fields stay unchanged; null removes a field. With `If-Match`, the change is rejected (412) if the record has been changed in the meantime.',
          }),
        ),
        schema: { params, body: Type.Partial(schema, { additionalProperties: false }) },
      },
      async (request, reply) => {
        const input = {
          entity,
          id: request.params.id,
          changes: request.body,
          version: administration.expectedVersion(request),
        }
        return administration.shown(await administration.run(request, 'change', input), reply)
      },
    )
    app.delete(
      `${base}/${entity}/:id`,
      {
        config: config(docs('remove', `Remove a ${noun}`, { path, status: '204', answers: [] })),
        schema: { params },
      },
      async (request, reply) => {
        const input = { entity, id: request.params.id, version: administration.expectedVersion(request) }
        await administration.run(request, 'remove', input)
        return reply.code(204).send()
      },
    )
  }
}
