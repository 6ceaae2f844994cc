import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { json, lines } from '../../sdk/endpoint-docs.ts'
import { ListQuerySchema } from './records.ts'

const EntrySchema = Type.Object({
  id: Type.String(),
  at: Type.String(),
  actor: Type.String({ description: 'Id of the client whose key was used.' }),
  source: Type.String({ description: '`api`, `cli`, `console` (a session) or `reload` (changed files).' }),
  address: Type.String({ description: 'IP address from which the change was made.' }),
  action: Type.String(),
  entity: Type.String(),
  entity_id: Type.String(),
  before: Type.String({ description: 'JSON without secrets; empty if there was no record.' }),
  after: Type.String(),
})

/** Entries read from the database at a time for an export. */
const exportPage = 500

/** The audit log: append-only, latest first. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  // Available on both ports: the console uses the admin port, if configured, and programs the main port.
  for (const admin of app.adminPort.both) register(app, admin)
}

export default fp(plugin, { name: 'routes/admin/audit', encapsulate: true })

function register(app: Parameters<FastifyPluginAsyncTypebox>[0], admin: boolean): void {
  const { administration } = app
  type Page = Awaited<ReturnType<typeof administration.run<'audit'>>>
  async function* entriesFrom(request: FastifyRequest, first: Page): AsyncGenerator<string> {
    let page = first
    for (;;) {
      yield page.data.map((entry) => `${JSON.stringify(entry)}\n`).join('')
      if (page.next_cursor === undefined) return
      page = await administration.run(request, 'audit', { cursor: page.next_cursor, limit: exportPage })
    }
  }
  app.get(
    `${app.config.endpointPrefix}/admin/audit`,
    {
      config: {
        admin,
        surface: 'operator',
        role: 'admin',
        errors: 'problem',
        docs: {
          id: 'audit',
          tag: 'Administration',
          summary: 'Audit log, newest first',
          query: ListQuerySchema.properties,
          answers: [
            json(
              'A page.',
              Type.Object({ data: Type.Array(EntrySchema), next_cursor: Type.Optional(Type.String()) }),
            ),
            lines('With `accept: application/x-ndjson`: all entries from the cursor on.'),
          ],
        },
      },
      schema: { querystring: ListQuerySchema },
    },
    async (request, reply) => {
      reply.header('vary', 'accept')
      if (!/\bapplication\/x-ndjson\b/.test(request.headers.accept ?? ''))
        return administration.run(request, 'audit', request.query)
      const first = await administration.run(request, 'audit', { ...request.query, limit: exportPage })
      return reply.type('application/x-ndjson').send(Readable.from(entriesFrom(request, first)))
    },
  )
}
