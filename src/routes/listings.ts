import { createHash } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { endpointPaths } from '../core/endpoint-paths.ts'
import { modelNotFound } from '../core/errors.ts'
import type { Model } from '../core/target.ts'

/** The models, in the form of each dialect that lists them. No address, path or key is among the fields. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const prefix = app.config.endpointPrefix
  const since = new Date()
  const models = (): Model[] => app.models.all().filter(({ targets }) => targets.length > 0)
  const elapsed = (request: { exchange: { elapsedMs(): number } }): number =>
    request.exchange.elapsedMs() / 1000

  for (const path of endpointPaths(prefix, { fixed: ['/tags'], prefixed: ['/tags'] })) {
    app.get(path, { config: { dialect: 'ollama' } }, (request) => ({
      models: models().map((model) => tagOf(model, since)),
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
      const name = request.params['*']
      const model = models().find(({ alias }) => alias === name)
      if (!model) throw modelNotFound(name.slice(0, 256))
      return openaiModel(model, since)
    })
  }
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/v0/models'] })) {
    app.get(path, { config: { dialect: 'openai' } }, (request) => ({
      object: 'list',
      data: models().map(lmStudioModel),
      response_time: elapsed(request),
    }))
  }
}

export default plugin

/** What a model's first target says about it. */
function facts(model: Model): { type: string; context: number } {
  const [first] = model.targets
  return {
    type: first?.type.name ?? '',
    context: Math.max(0, ...model.targets.map(({ inputSize }) => inputSize)),
  }
}

/** Ollama's entry, https://docs.ollama.com/api/tags, with the members that the older router's clients read. */
function tagOf(model: Model, since: Date): Record<string, unknown> {
  const { type, context } = facts(model)
  return {
    ...lmStudioModel(model),
    name: model.alias,
    model: model.alias,
    root: model.alias,
    owned_by: type,
    path: '',
    input_size: context,
    is_embedding: model.embedding,
    modified_at: since.toISOString(),
    size: 0,
    // Clients tell models apart by it.
    digest: createHash('sha256').update(model.alias).digest('hex'),
    details: {
      parent_model: '',
      format: '',
      family: '',
      families: [],
      parameter_size: '',
      quantization_level: '',
      ...(context > 0 ? { context_length: context } : {}),
    },
  }
}

/** OpenAI's model object; `max_model_len` is vLLM's name for the context length. */
function openaiModel(model: Model, since: Date): Record<string, unknown> {
  const { type, context } = facts(model)
  return {
    id: model.alias,
    object: 'model',
    created: Math.floor(since.getTime() / 1000),
    owned_by: type,
    name: model.alias,
    ...(context > 0 ? { max_model_len: context, input_size: context } : {}),
  }
}

/** LM Studio's entry, https://lmstudio.ai/docs/developer/rest; what the router cannot know is left out. */
function lmStudioModel(model: Model): Record<string, unknown> {
  const { type, context } = facts(model)
  return {
    id: model.alias,
    object: 'model',
    type: model.embedding ? 'embeddings' : 'llm',
    publisher: type,
    arch: model.alias,
    state: 'loaded',
    max_context_length: context,
  }
}
