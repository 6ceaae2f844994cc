import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { endpointPaths } from '../core/endpoint-paths.ts'
import { modelNotFound } from '../core/errors.ts'
import { anthropicModel, lmStudioModel, ollamaTag, openaiModel } from '../core/model-cards.ts'
import { modelPage } from '../core/model-page.ts'
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
    app.get<{ Querystring: Record<string, unknown> }>(
      path,
      { config: { dialect: 'openai' }, onRequest: answerAsAsked },
      (request) =>
        request.errorDialect === 'anthropic'
          ? anthropicList(models(), request.query, since)
          : {
              object: 'list',
              data: models().map((model) => openaiModel(model, since)),
              ...(path === '/v1/models' ? {} : { response_time: elapsed(request) }),
            },
    )
    // Names may hold slashes; the official client sends them escaped, others do not.
    app.get<{ Params: { '*': string } }>(
      `${path}/*`,
      { config: { dialect: 'openai' }, onRequest: answerAsAsked },
      (request) => {
        const model = find(request.params['*'])
        return request.errorDialect === 'anthropic' ? anthropicModel(model, since) : openaiModel(model, since)
      },
    )
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

const anthropicHeaders = ['anthropic-version', 'anthropic-beta', 'x-api-key']

/** Two dialects list their models at one path: the headers that Anthropic's clients send tell which one is meant. */
function answerAsAsked(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  if (anthropicHeaders.some((name) => request.headers[name] !== undefined)) request.errorDialect = 'anthropic'
  done()
}

function anthropicList(
  models: readonly Model[],
  query: Record<string, unknown>,
  since: Date,
): Record<string, unknown> {
  const { items, hasMore } = modelPage(models, query)
  return {
    data: items.map((model) => anthropicModel(model, since)),
    has_more: hasMore,
    first_id: items.at(0)?.alias ?? null,
    last_id: items.at(-1)?.alias ?? null,
  }
}
