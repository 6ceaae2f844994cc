import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { consoleRole } from '../../config/settings/sign-in.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { RoutersSchema } from '../../sdk/console/routers.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'

/** This router and the others that share its Redis. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const config = { admin: true, errors: 'problem', docs, ...consoleRole(app.config) } as const
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/routers'] }))
    app.get(path, { config, schema: { response: { 200: RoutersSchema } } }, async (_request, reply) => {
      reply.header('cache-control', 'no-store')
      return app.routers.read()
    })
}

export default fp(plugin, { name: 'routes/console/routers', encapsulate: true })

const docs: EndpointDocs = {
  id: 'routers',
  tag: 'Operation',
  summary: 'This router and the others that share its Redis',
  answers: [json('The routers.', RoutersSchema)],
}
