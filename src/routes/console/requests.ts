import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { consoleRole } from '../../config/settings/sign-in.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import {
  RecentQuerySchema,
  RecentRequestSchema,
  RecentRequestsSchema,
} from '../../sdk/console/recent-requests.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { RouterError } from '../../sdk/errors.ts'

const IdSchema = Type.Object({ id: Type.String() })

/** The latest requests of all processes, without prompts and responses. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const config = { admin: true, errors: 'problem', ...consoleRole(app.config) } as const
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/requests'] })) {
    app.get(
      path,
      {
        config: { ...config, docs: listDocs },
        schema: { querystring: RecentQuerySchema, response: { 200: RecentRequestsSchema } },
      },
      async (request, reply) => {
        reply.header('cache-control', 'no-store')
        return { as_of: new Date().toISOString(), ...(await app.activity.requests(request.query)) }
      },
    )
    app.get(
      `${path}/:id`,
      {
        config: { ...config, docs: oneDocs },
        schema: { params: IdSchema, response: { 200: RecentRequestSchema } },
      },
      async (request, reply) => {
        reply.header('cache-control', 'no-store')
        const found = await app.activity.request(request.params.id)
        if (!found)
          throw new RouterError('not_found', 'This request is not among the last 1,000', {
            code: 'request_not_found',
          })
        return found
      },
    )
  }
}

export default fp(plugin, { name: 'routes/console/requests', encapsulate: true })

const listDocs: EndpointDocs = {
  id: 'recentRequests',
  tag: 'Operation',
  summary: 'The last 1,000 requests, without prompts and responses',
  description:
    'Requests of all processes of this router, newest first. `since` with `newest` of the previous response returns new ones; `cursor` pages back. Of more than 100 requests per second and process with the same outcome, the others are not listed.',
  answers: [json('A page of requests, and the unknown models that were asked for.', RecentRequestsSchema)],
  query: RecentQuerySchema.properties,
}

const oneDocs: EndpointDocs = {
  id: 'recentRequest',
  tag: 'Operation',
  summary: 'One of the last 1,000 requests',
  answers: [json('The request with its attempts.', RecentRequestSchema)],
  path: { id: { name: 'id', description: 'The `x-request-id` of the request.' } },
}
