import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { StatusSchema, withoutAddresses } from '../../sdk/console/status.ts'
import { type EndpointDocs, events, json } from '../../sdk/endpoint-docs.ts'

/** Status of the router and its targets, once or live as server-sent events. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const prefix = app.config.endpointPrefix
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/status'] })) {
    app.get(
      path,
      { config: { admin: true, docs }, schema: { response: { 200: StatusSchema } } },
      async (request, reply) => {
        reply.header('cache-control', 'no-store')
        const status = await app.status.readAll()
        return app.rights.isOperator(request, reply) ? status : withoutAddresses(status)
      },
    )
  }
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/status/events'] })) {
    // A HEAD request would stay open forever.
    const config = { admin: true, live: true, docs: eventsDocs } as const
    app.get(path, { config, exposeHeadRoute: false }, (_request, reply) => app.statusEvents.serve(reply))
  }
}

export default fp(plugin, { name: 'routes/operator/status', encapsulate: true })

const docs: EndpointDocs = {
  id: 'status',
  tag: 'Operation',
  summary: 'Status of models and servers, and recent errors',
  answers: [json('The state of all processes.', StatusSchema)],
}

const eventsDocs: EndpointDocs = {
  id: 'statusEvents',
  tag: 'Operation',
  summary: 'Status as a stream of events',
  answers: [events('The state of all processes, about once a second.')],
}
