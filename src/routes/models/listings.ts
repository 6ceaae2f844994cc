import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { modelCard, modelList, rejectQueryKey } from '../../dialects/gemini/models.ts'
import { GeminiModelListSchema, GeminiModelSchema } from '../../dialects/gemini/response/schemas.ts'
import { OllamaTagsSchema } from '../../dialects/ollama/response/schemas.ts'
import {
  LmStudioModelListSchema,
  LmStudioModelSchema,
  OpenaiModelListSchema,
  OpenaiModelSchema,
} from '../../dialects/openai/response/schemas.ts'
import { anthropicModel, lmStudioModel, ollamaTag, openaiModel } from '../../fleet/model-cards.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { badRequest, modelNotFound } from '../../sdk/errors.ts'
import type { Model } from '../../sdk/target.ts'

/** Lists the models in the format of each dialect. Includes no addresses, paths or keys. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const prefix = app.config.endpointPrefix
  const since = new Date()
  const models = (request: FastifyRequest): Model[] =>
    app.rights
      .models(request)
      .listed()
      .filter(({ targets }) => targets.length > 0)
  const listedModels = async (request: FastifyRequest): Promise<Model[]> => {
    const listed = models(request)
    await app.engines.awaitContexts(listed)
    return listed
  }
  const namedModel = async (request: FastifyRequest): Promise<Model> => {
    const { '*': name } = request.params as { '*': string } // the route's pattern
    const model = models(request).find(({ alias }) => alias === name)
    if (!model) throw modelNotFound(name.slice(0, 256))
    await app.engines.awaitContexts([model])
    return model
  }
  const { contextOf } = app.engines
  const elapsed = (request: { exchange: { elapsedMs(): number } }): number =>
    request.exchange.elapsedMs() / 1000

  const geminiCard = (model: Model): Record<string, unknown> =>
    modelCard({ alias: model.alias, embedding: model.embedding, context: contextOf(model) })

  for (const path of endpointPaths(prefix, { fixed: ['/tags', '/api/tags'], prefixed: ['/tags'] })) {
    app.get(path, { config: { dialect: 'ollama', docs: tagsDocs } }, async (request) => ({
      models: (await listedModels(request)).map((model) => ollamaTag(model, since, contextOf(model))),
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
      { config: { dialect: 'openai', dialectOf, docs: listDocs }, onRequest },
      async (request) => {
        const listed = await listedModels(request)
        if (app.errorDialectOf(request) === 'gemini') return modelList(listed.map(geminiCard), request.query)
        return app.errorDialectOf(request) === 'anthropic'
          ? anthropicList(listed, request.query, (model) => anthropicModel(model, since, contextOf(model)))
          : {
              object: 'list',
              data: listed.map((model) => openaiModel(model, since, contextOf(model))),
              ...(path === '/v1/models' ? {} : { response_time: elapsed(request) }),
            }
      },
    )
    // Model names may contain slashes, which only some clients escape.
    const one = { config: { dialect: 'openai', dialectOf, docs: modelDocs }, onRequest }
    app.get(`${path}/*`, one, async (request) => {
      const model = await namedModel(request)
      if (app.errorDialectOf(request) === 'gemini') return geminiCard(model)
      const card = app.errorDialectOf(request) === 'anthropic' ? anthropicModel : openaiModel
      return card(model, since, contextOf(model))
    })
  }
  const geminiLists = ['/v1beta/models']
  for (const path of endpointPaths(prefix, { fixed: geminiLists, prefixed: geminiLists })) {
    app.get<{ Querystring: Record<string, unknown> }>(
      path,
      { config: { dialect: 'gemini', docs: geminiListDocs }, onRequest: rejectKeyInQuery },
      async (request) => modelList((await listedModels(request)).map(geminiCard), request.query),
    )
    const one = { config: { dialect: 'gemini', docs: geminiModelDocs }, onRequest: rejectKeyInQuery }
    app.get(`${path}/*`, one, async (request) => geminiCard(await namedModel(request)))
  }
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/v0/models'] })) {
    app.get(path, { config: { dialect: 'openai', docs: lmStudioListDocs } }, async (request) => ({
      object: 'list',
      data: (await listedModels(request)).map((model) => lmStudioModel(model, contextOf(model))),
      response_time: elapsed(request),
    }))
    const one = { config: { dialect: 'openai', docs: lmStudioModelDocs } }
    app.get(`${path}/*`, one, async (request) => {
      const model = await namedModel(request)
      return lmStudioModel(model, contextOf(model))
    })
  }
}

export default fp(plugin, { name: 'routes/models/listings', encapsulate: true })

const name = { '*': { name: 'model', description: 'Name of a model; it may contain slashes.' } }

/** The format depends on the client's dialect. */
const ModelSchema = Type.Union(
  [OpenaiModelSchema, Type.Object({ id: Type.String(), type: Type.Literal('model') }), GeminiModelSchema],
  { title: 'Model' },
)
const ModelListSchema = Type.Union(
  [
    OpenaiModelListSchema,
    Type.Object({ data: Type.Array(ModelSchema), has_more: Type.Boolean() }),
    GeminiModelListSchema,
  ],
  { title: 'ModelList' },
)

const listDocs: EndpointDocs = {
  id: 'listModels',
  tag: 'Models',
  summary: 'List models (OpenAI)',
  description:
    "In Anthropic's or Gemini's format for requests with one of its headers, such as `anthropic-version` or `x-goog-api-key`.",
  answers: [json('The list.', ModelListSchema)],
  query: {
    limit: Type.Integer({ description: 'Anthropic format: models per page.' }),
    after_id: Type.String({ description: 'Anthropic format: the page after this model.' }),
    before_id: Type.String({ description: 'Anthropic format: the page before this model.' }),
  },
}

const modelDocs: EndpointDocs = {
  id: 'retrieveModel',
  tag: 'Models',
  summary: 'Get a model (OpenAI, Anthropic or Gemini)',
  answers: [json('The model.', ModelSchema)],
  path: name,
}

const tagsDocs: EndpointDocs = {
  id: 'ollamaListModels',
  tag: 'Models',
  summary: 'List models (Ollama)',
  answers: [json('The list.', OllamaTagsSchema)],
}

const lmStudioListDocs: EndpointDocs = {
  id: 'listLmStudioModels',
  tag: 'Models',
  summary: 'List models (LM Studio)',
  answers: [json('The list.', LmStudioModelListSchema)],
}

const lmStudioModelDocs: EndpointDocs = {
  id: 'retrieveLmStudioModel',
  tag: 'Models',
  summary: 'Get a model (LM Studio)',
  answers: [json('The model.', LmStudioModelSchema)],
  path: name,
}

const geminiListDocs: EndpointDocs = {
  id: 'geminiListModels',
  tag: 'Gemini',
  summary: 'List models (Gemini)',
  answers: [json('The list.', GeminiModelListSchema)],
  query: {
    pageSize: Type.Integer({ description: 'Maximum models per page; absent: all.' }),
    pageToken: Type.String({ description: 'The `nextPageToken` of the previous page.' }),
  },
}

const geminiModelDocs: EndpointDocs = {
  id: 'geminiGetModel',
  tag: 'Gemini',
  summary: 'Get a model (Gemini)',
  answers: [json('The model.', GeminiModelSchema)],
  path: name,
}

const anthropicHeaders = ['anthropic-version', 'anthropic-beta', 'x-api-key']

/**
 * Sets `Vary`, so that caches do not serve one client the format or the models of another one (RFC 9110, section 12.5.5), and
 * rejects keys in the query, where some Gemini clients send them.
 */
async function onRequest(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.header('vary', ['authorization', ...anthropicHeaders, ...geminiHeaders].join(', '))
  try {
    rejectQueryKey(request.query)
  } catch (refused) {
    request.errorDialect = 'gemini'
    throw refused
  }
}

async function rejectKeyInQuery({ query }: FastifyRequest): Promise<void> {
  rejectQueryKey(query)
}

const geminiHeaders = ['x-goog-api-key', 'x-goog-api-client']

/** Several dialects list their models at the same path; the client's headers tell which one it uses. */
function dialectOf(headers: IncomingHttpHeaders): string | undefined {
  if (geminiHeaders.some((name) => headers[name] !== undefined)) return 'gemini'
  return anthropicHeaders.some((name) => headers[name] !== undefined) ? 'anthropic' : undefined
}

function anthropicList(
  models: readonly Model[],
  query: Record<string, unknown>,
  cardOf: (model: Model) => Record<string, unknown>,
): Record<string, unknown> {
  const { items, hasMore } = modelPage(models, query)
  return {
    data: items.map(cardOf),
    has_more: hasMore,
    first_id: items.at(0)?.alias ?? null,
    last_id: items.at(-1)?.alias ?? null,
  }
}

/** A page of a list, as in Anthropic's API: https://docs.anthropic.com/en/api/models-list. */
export interface ModelPage<T> {
  items: readonly T[]
  /** Whether there are more items in the direction of the request. */
  hasMore: boolean
}

/**
 * Returns at most `limit` items after or before the named one; all without a limit, because the list is short. Throws
 * `bad_request` for an unknown item: starting over would make a client loop forever.
 */
export function modelPage<T extends { readonly alias: string }>(
  all: readonly T[],
  query: Readonly<Record<string, unknown>>,
): ModelPage<T> {
  const { after_id: after, before_id: before } = query
  const limit = limitOf(query.limit) ?? all.length
  if (after !== undefined) {
    const rest = all.slice(indexOfId(all, after, 'after_id') + 1)
    return { items: rest.slice(0, limit), hasMore: rest.length > limit }
  }
  if (before !== undefined) {
    const rest = all.slice(0, indexOfId(all, before, 'before_id'))
    return { items: rest.slice(Math.max(0, rest.length - limit)), hasMore: rest.length > limit }
  }
  return { items: all.slice(0, limit), hasMore: all.length > limit }
}

function limitOf(value: unknown): number | undefined {
  if (value === undefined) return undefined
  const limit = typeof value === 'string' && /^\d{1,4}$/.test(value) ? Number(value) : 0
  if (limit < 1 || limit > 1_000) throw badRequest("'limit' must be an integer from 1 to 1000", 'limit')
  return limit
}

function indexOfId(all: readonly { readonly alias: string }[], id: unknown, param: string): number {
  const index = all.findIndex(({ alias }) => alias === id)
  if (index === -1) throw badRequest(`'${param}' must be the id of a model in the list`, param)
  return index
}
