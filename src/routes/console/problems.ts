import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { consoleRole } from '../../config/settings/sign-in.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { ProblemsSchema } from '../../sdk/console/problems.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'

/** Current problems with descriptions, worst first. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const config = { admin: true, errors: 'problem', docs, ...consoleRole(app.config) } as const
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/problems'] }))
    app.get(path, { config, schema: { response: { 200: ProblemsSchema } } }, async (_request, reply) => {
      reply.header('cache-control', 'no-store')
      const [status, { unknown_models: unknown }] = await Promise.all([
        app.status.readAll(),
        app.activity.requests({ limit: 1 }),
      ])
      return { as_of: new Date().toISOString(), problems: app.problems.of(status, unknown) }
    })
}

export default fp(plugin, { name: 'routes/console/problems', encapsulate: true })

const docs: EndpointDocs = {
  id: 'problems',
  tag: 'Operation',
  summary: 'Current problems, worst first, and what to do',
  answers: [json('The problems of servers, models and the router itself.', ProblemsSchema)],
}
