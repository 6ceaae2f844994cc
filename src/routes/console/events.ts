import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { consoleRole } from '../../config/settings/sign-in.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { RangeSchema } from '../../sdk/console/history.ts'
import { type EndpointDocs, events } from '../../sdk/endpoint-docs.ts'

const QuerySchema = Type.Object({ range: RangeSchema })

/** Changes in the router, as a stream of events. */
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

export default plugin

const docs: EndpointDocs = {
  id: 'consoleEvents',
  tag: 'Operation',
  summary: 'What changes in the router, as a stream of events',
  description:
    'Server-sent events with names: `status` (all of it, at first), `delta` (changed members of models and targets, at most 64 targets at a time), `problems`, `requests` (those that have ended), `history` (all steps), `step` (the last two), `heartbeat` (every five seconds) and `end`. See docs/console-api.md.',
  answers: [events('About once a second, when something has changed.')],
  query: QuerySchema.properties,
}
