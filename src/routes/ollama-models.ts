import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { endpointPaths } from '../core/endpoint-paths.ts'
import { badRequest, modelNotFound, RouterError } from '../core/errors.ts'
import { ollamaRunning, ollamaShow } from '../core/model-cards.ts'

const name = Type.Optional(Type.Union([Type.String(), Type.Null()]))
/** `name` is the older member. */
const ShowBody = Type.Object({ model: name, name })

/** What Ollama's clients ask about models, and what they would change in a server of its own. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const since = new Date()
  const config = { dialect: 'ollama' }
  const pathsOf = (path: string): string[] =>
    endpointPaths(app.config.endpointPrefix, { fixed: [`/api${path}`], prefixed: [path] })

  for (const path of pathsOf('/show')) {
    app.post(path, { schema: { body: ShowBody }, config }, ({ body }) => {
      const asked = body.model || body.name
      if (!asked) throw badRequest("'model' is required: the name of a model", 'model')
      const model = app.models.findLoosely(asked)
      if (!model) throw modelNotFound(asked.slice(0, 256))
      return ollamaShow(model, since)
    })
  }
  for (const path of pathsOf('/ps')) {
    app.get(path, { config }, () => ({
      models: app.models
        .all()
        .filter(({ targets }) => targets.length > 0)
        .map((model) => ollamaRunning(model, since)),
    }))
  }
  // Refused before a body is read: it may be a whole model.
  for (const { method, path } of changes) {
    for (const url of pathsOf(path)) {
      const onRequest = (): never => {
        throw refusal(path)
      }
      app.route({ method, url, config, onRequest, handler: onRequest })
    }
  }
}

export default plugin

/** HEAD has no body for an answer, so a client that looks for a blob only learns that it is not there. */
const changes = [
  { method: 'POST', path: '/pull' },
  { method: 'POST', path: '/push' },
  { method: 'POST', path: '/create' },
  { method: 'POST', path: '/copy' },
  { method: 'DELETE', path: '/delete' },
  { method: ['HEAD', 'POST'], path: '/blobs/:digest' },
]

function refusal(path: string): RouterError {
  const what = path.split('/')[1]
  return new RouterError(
    'forbidden',
    `This is a router in front of model servers: it has no models of its own, so '${what}' must go to the server itself`,
    { code: 'not_offered' },
  )
}
