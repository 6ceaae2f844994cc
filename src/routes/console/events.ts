import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { consoleRole } from '../../config/settings/sign-in.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { RangeSchema } from '../../sdk/console/history.ts'
import { type EndpointDocs, events } from '../../sdk/endpoint-docs.ts'

const QuerySchema = Type.Object({ range: RangeSchema })

/** Streams changes of the router's state as server-sent events. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const config = { admin: true, live: true, errors: 'problem', docs, ...consoleRole(app.config) } as const
  // A HEAD request would stay open forever.
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/events'] }))
    app.get(
      path,
      { config, exposeHeadRoute: false, schema: { querystring: QuerySchema } },
      async (request, reply) => {
        await app.consoleEvents.serve(reply, request.query.range)
        return reply
      },
    )
}

export default fp(plugin, { name: 'routes/console/events', encapsulate: true })

const docs: EndpointDocs = {
  id: 'consoleEvents',
  tag: 'Operation',
  summary: 'Changes of the router state as a stream of events',
  description:
    'Named server-sent events: `status` (complete, sent first), `delta` (changed fields of models and targets, at most 64 targets per event), `problems`, `requests` (requests that have ended), `history` (all steps), `step` (the last two steps), `heartbeat` (every five seconds) and `end`. See docs/console-api.md.',
  answers: [events('About once a second, when something has changed.')],
  query: QuerySchema.properties,
}
