import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { modelNotFound } from '../../sdk/errors.ts'

const count = (description: string) => Type.Integer({ minimum: 0, description })

const ScaleSchema = Type.Object({
  value: count(
    'Running and waiting requests, and requests rejected in the last minute because no server was available.',
  ),
  running: count('Requests that servers are processing.'),
  waiting: count('Requests that wait for a server.'),
  ready: count('Usable servers.'),
})

/** Demand for a model, for autoscalers. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  // Model names may contain slashes.
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/scaling/*'] })) {
    app.get<{ Params: { '*': string } }>(
      path,
      { config: { admin: true, docs }, schema: { response: { 200: ScaleSchema } } },
      async (request, reply) => {
        reply.header('cache-control', 'no-store')
        const name = request.params['*']
        const scale = await app.scaling.read(name)
        if (!scale) throw modelNotFound(name.slice(0, 256))
        return scale
      },
    )
  }
}

export default fp(plugin, { name: 'routes/operator/scaling', encapsulate: true })

const docs: EndpointDocs = {
  id: 'scaling',
  tag: 'Operation',
  summary: 'Demand for a model, for autoscalers',
  description: 'Summed over the processes of a router, and with Redis over all routers.',
  answers: [json('The demand for the model.', ScaleSchema)],
  path: { '*': { name: 'model', description: 'Name of the model.' } },
}
