import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { consoleRole } from '../../config/settings/sign-in.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { SettingsSchema } from '../../sdk/console/settings.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'

/** The effective configuration with its sources, without secrets. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const config = { admin: true, errors: 'problem', docs, ...consoleRole(app.config) } as const
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/settings'] }))
    app.get(path, { config, schema: { response: { 200: SettingsSchema } } }, async (request, reply) => {
      reply.header('cache-control', 'no-store')
      return app.settings.read(app.rights.isOperator(request, reply))
    })
}

export default fp(plugin, { name: 'routes/console/settings', encapsulate: true })

const docs: EndpointDocs = {
  id: 'settings',
  tag: 'Operation',
  summary: 'Effective configuration with its sources, without secrets',
  description:
    'Includes errors of the last change of each file, with line and column. Paths and addresses are for operators only.',
  answers: [json('The settings, files and versions.', SettingsSchema)],
}
