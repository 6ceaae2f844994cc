import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { OllamaRunningSchema, OllamaShowSchema } from '../../dialects/ollama/response/schemas.ts'
import { ollamaRunning, ollamaShow } from '../../fleet/model-cards.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { badRequest, modelNotFound, RouterError } from '../../sdk/errors.ts'

const name = Type.Optional(Type.Union([Type.String(), Type.Null()]))
/** `name` is the legacy field. */
const ShowBody = Type.Object({ model: name, name })

/** Ollama's model endpoints. Changes are rejected, because the router has no models of its own. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const since = new Date()
  const pathsOf = (path: string): string[] =>
    endpointPaths(app.config.endpointPrefix, { fixed: [`/api${path}`], prefixed: [path] })

  for (const path of pathsOf('/show')) {
    app.post(path, { schema: { body: ShowBody }, config: { dialect, docs: showDocs } }, async (request) => {
      const { body } = request
      const requested = body.model || body.name
      if (!requested) throw badRequest("'model' is required: the name of a model", 'model')
      const models = app.rights.models(request)
      const model = models.findLoosely(requested)
      if (!model) throw modelNotFound(requested.slice(0, 256))
      await app.engines.awaitContexts([model])
      const shown = models.listed().find(({ alias }) => alias === requested) ?? model
      return ollamaShow(shown, since, app.engines.contextOf(model))
    })
  }
  for (const path of pathsOf('/ps')) {
    app.get(path, { config: { dialect, docs: runningDocs } }, async (request) => {
      const loaded = await app.engines.loaded(app.rights.models(request).listed())
      return {
        models: [...loaded].flatMap(([model, targets]) =>
          targets.length === 0 ? [] : [ollamaRunning(model, targets, since)],
        ),
      }
    })
  }
  // Rejected before the body is read, which may be an entire model.
  for (const { method, path, id } of changes) {
    const config = { dialect, docs: refusalDocs(id, path) }
    for (const url of pathsOf(path)) {
      const onRequest = (): never => {
        throw refusal(path)
      }
      app.route({ method, url, config, onRequest, handler: onRequest })
    }
  }
}

export default fp(plugin, { name: 'routes/ollama/ollama-models', encapsulate: true })

const dialect = 'ollama'

const showDocs: EndpointDocs = {
  id: 'ollamaShowModel',
  tag: 'Models',
  summary: 'Show a model (Ollama)',
  answers: [json('Its details and capabilities.', OllamaShowSchema)],
  example: { model: 'demo' },
}

const runningDocs: EndpointDocs = {
  id: 'ollamaListRunning',
  tag: 'Models',
  summary: 'List loaded models (Ollama)',
  description:
    'Models that a server has in memory, as reported by Ollama, LM Studio, llama.cpp and vLLM; models of other providers are always listed.',
  answers: [json('The list.', OllamaRunningSchema)],
}

function refusalDocs(id: string, path: string): EndpointDocs {
  return {
    id: `ollama${id.charAt(0).toUpperCase()}${id.slice(1)}`,
    tag: 'Ollama',
    summary: `Rejected: \`${path.split('/')[1]}\` changes a server`,
    description: 'The router has no models of its own, so send this to the server itself.',
    answers: [],
    path: { digest: { name: 'digest', description: 'Digest of a blob.' } },
  }
}

/** A HEAD response has no body, so a client that checks for a blob only learns that it does not exist. */
const changes = [
  { method: 'POST', path: '/pull', id: 'pullModel' },
  { method: 'POST', path: '/push', id: 'pushModel' },
  { method: 'POST', path: '/create', id: 'createModel' },
  { method: 'POST', path: '/copy', id: 'copyModel' },
  { method: 'DELETE', path: '/delete', id: 'deleteModel' },
  { method: ['POST', 'HEAD'], path: '/blobs/:digest', id: 'createBlob' },
]

function refusal(path: string): RouterError {
  const what = path.split('/')[1]
  return new RouterError(
    'forbidden',
    `This is a router without models of its own: send '${what}' to the model server itself`,
    { code: 'not_offered' },
  )
}
