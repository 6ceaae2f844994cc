import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { json } from '../../sdk/endpoint-docs.ts'
import { ListQuerySchema } from './records.ts'

const EntrySchema = Type.Object({
  id: Type.String(),
  at: Type.String(),
  actor: Type.String({ description: 'Id of the client whose key was used.' }),
  source: Type.String({ description: '`api`, `cli` or `console`.' }),
  address: Type.String({ description: 'Address that the change came from.' }),
  action: Type.String(),
  entity: Type.String(),
  entity_id: Type.String(),
  before: Type.String({ description: 'JSON without secrets; empty where there was nothing.' }),
  after: Type.String(),
})

/** Who has changed what: append-only, the latest first. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const { administration } = app
  app.get(
    `${app.config.endpointPrefix}/admin/audit`,
    {
      config: {
        surface: 'operator',
        role: 'admin',
        errors: 'problem',
        docs: {
          id: 'audit',
          tag: 'Administration',
          summary: 'Audit log, the latest change first',
          query: ListQuerySchema.properties,
          answers: [
            json(
              'A page.',
              Type.Object({ data: Type.Array(EntrySchema), next_cursor: Type.Optional(Type.String()) }),
            ),
          ],
        },
      },
      schema: { querystring: ListQuerySchema },
    },
    (request) => administration.run(request, 'audit', request.query),
  )
}

export default plugin
