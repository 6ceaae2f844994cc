import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { endpointPaths } from '../core/endpoint-paths.ts'
import { modelNotFound } from '../core/errors.ts'
import { lmStudioModel, ollamaTag, openaiModel } from '../core/model-cards.ts'
import type { Model } from '../core/target.ts'

/** The models, in the form of each dialect that lists them. No address, path or key is among the fields. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const prefix = app.config.endpointPrefix
  const since = new Date()
  const models = (): Model[] => app.models.all().filter(({ targets }) => targets.length > 0)
  const find = (name: string): Model => {
    const model = models().find(({ alias }) => alias === name)
    if (!model) throw modelNotFound(name.slice(0, 256))
    return model
  }
  const elapsed = (request: { exchange: { elapsedMs(): number } }): number =>
    request.exchange.elapsedMs() / 1000

  for (const path of endpointPaths(prefix, { fixed: ['/tags', '/api/tags'], prefixed: ['/tags'] })) {
    app.get(path, { config: { dialect: 'ollama' } }, (request) => ({
      models: models().map((model) => ollamaTag(model, since)),
      response_time: elapsed(request),
    }))
  }
  const lists = endpointPaths(prefix, {
    fixed: ['/models', '/v1/models'],
    prefixed: ['/models', '/v1/models'],
  })
  for (const path of lists) {
    app.get(path, { config: { dialect: 'openai' } }, (request) => ({
      object: 'list',
      data: models().map((model) => openaiModel(model, since)),
      ...(path === '/v1/models' ? {} : { response_time: elapsed(request) }),
    }))
    // Names may hold slashes; the official client sends them escaped, others do not.
    app.get<{ Params: { '*': string } }>(`${path}/*`, { config: { dialect: 'openai' } }, (request) => {
      return openaiModel(find(request.params['*']), since)
    })
  }
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/v0/models'] })) {
    app.get(path, { config: { dialect: 'openai' } }, (request) => ({
      object: 'list',
      data: models().map(lmStudioModel),
      response_time: elapsed(request),
    }))
    app.get<{ Params: { '*': string } }>(`${path}/*`, { config: { dialect: 'openai' } }, (request) =>
      lmStudioModel(find(request.params['*'])),
    )
  }
}

export default plugin
