import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { HistorySchema, RangeSchema } from '../../sdk/console/history.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'

const QuerySchema = Type.Object({ range: RangeSchema })

/** Requests, tokens, times and queues over the last minutes and hours. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/history'] }))
    app.get(
      path,
      {
        config: { admin: true, errors: 'problem', docs },
        schema: { querystring: QuerySchema, response: { 200: HistorySchema } },
      },
      async (request, reply) => {
        reply.header('cache-control', 'no-store')
        return app.activity.history(request.query.range)
      },
    )
}

export default fp(plugin, { name: 'routes/console/history', encapsulate: true })

const docs: EndpointDocs = {
  id: 'history',
  tag: 'Operation',
  summary: 'Requests, tokens, times to first token and queue over time',
  description:
    'Totals over the processes of this router, kept in memory. The oldest step comes first; the last one is still running. `targets` has a series for each target of each model.',
  answers: [json('The steps of the range.', HistorySchema)],
  query: QuerySchema.properties,
}
