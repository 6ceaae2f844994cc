import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { RouterError } from '../../sdk/errors.ts'

const RemovedSchema = Type.Object({
  removed: Type.Integer({ minimum: 0, description: 'Number of removed responses.' }),
})

/** Removes responses from the response cache. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/cache'] }))
    app.delete<{ Querystring: Record<string, unknown> }>(
      path,
      { config: { admin: true, docs }, schema: { response: { 200: RemovedSchema } } },
      async (request) => {
        const unknown = Object.keys(request.query).find((name) => name !== 'model' && name !== 'client')
        // A mistyped parameter must not empty the whole cache.
        if (unknown !== undefined) throw unknownMember(unknown)
        const name = textIn(request.query, 'model')
        const client = textIn(request.query, 'client')
        const model = name === undefined ? undefined : (app.models.find(name)?.alias ?? name)
        const removed = await app.answerCache.remove({ model, client }).catch((cause: unknown) => {
          throw new RouterError('overloaded', 'The cache is temporarily unavailable', {
            retryAfterSeconds: 5,
            cause,
          })
        })
        const by = request.client?.id ?? ''
        request.log.info({ model, of_client: client, removed, client: by }, 'cache emptied')
        return { removed }
      },
    )
}

export default fp(plugin, { name: 'routes/operator/cache', encapsulate: true })

/** Returns undefined if the parameter is absent or empty. */
function textIn(query: Record<string, unknown>, name: string): string | undefined {
  const value = query[name]
  if (value === undefined || value === '') return undefined
  if (typeof value === 'string') return value
  throw new RouterError('bad_request', `'${name}' must not be repeated`, {
    param: name,
    code: 'invalid_value',
  })
}

function unknownMember(name: string): RouterError {
  const message = `Unknown parameter '${name.slice(0, 64)}'; supported are 'model' and 'client'`
  return new RouterError('bad_request', message, { code: 'unknown_parameter' })
}

const docs: EndpointDocs = {
  id: 'emptyCache',
  tag: 'Operation',
  summary: 'Remove responses from the cache',
  description:
    'Removes all responses, or those of a model, a client, or both. Responses shared by clients are removed with those of each client.',
  answers: [json('The number of removed responses.', RemovedSchema)],
  query: {
    model: Type.Optional(Type.String({ description: 'Name of a model; absent: all models.' })),
    client: Type.Optional(Type.String({ description: 'Id of a client; absent: all clients.' })),
  },
}
