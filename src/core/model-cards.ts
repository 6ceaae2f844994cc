import { createHash } from 'node:crypto'
import { isObject } from './json-read.ts'
import type { Model } from './target.ts'

/**
 * What each dialect tells of a model. No address, path or key is among the fields, and what the router cannot know is
 * left out, or empty where clients need the member.
 */

/** Ollama's entry, https://docs.ollama.com/api/tags, with the members that the older router's clients read. */
export function ollamaTag(model: Model, since: Date): Record<string, unknown> {
  const { type, context } = factsOf(model)
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
    digest: digestOf(model),
    details: detailsOf(model),
    capabilities: capabilitiesOf(model),
  }
}

/** Ollama's running model, https://docs.ollama.com/api/ps; which server has which one loaded the router does not tell. */
export function ollamaRunning(model: Model, since: Date): Record<string, unknown> {
  const expires = new Date(since)
  // Clients show a far time as "for ever".
  expires.setUTCFullYear(expires.getUTCFullYear() + 100)
  return {
    name: model.alias,
    model: model.alias,
    size: 0,
    digest: digestOf(model),
    details: detailsOf(model),
    expires_at: expires.toISOString(),
    size_vram: 0,
    context_length: factsOf(model).context,
  }
}

/** Ollama's description, https://docs.ollama.com/api/show. Clients look for the context length under its architecture. */
export function ollamaShow(model: Model, since: Date): Record<string, unknown> {
  const { context } = factsOf(model)
  const architecture = (model.details?.family ?? '').toLowerCase().replaceAll(/[^a-z0-9_]/g, '') || 'model'
  const options = model.targets[0]?.defaults.options
  const numCtx = isObject(options) ? options.num_ctx : undefined
  return {
    license: '',
    modelfile: '',
    parameters: typeof numCtx === 'number' ? `num_ctx ${numCtx}` : '',
    template: '',
    details: detailsOf(model),
    model_info: {
      'general.architecture': architecture,
      'general.name': model.alias,
      ...(context > 0 ? { [`${architecture}.context_length`]: context } : {}),
    },
    capabilities: capabilitiesOf(model),
    modified_at: since.toISOString(),
  }
}

/** OpenAI's model object; `max_model_len` is vLLM's name for the context length. */
export function openaiModel(model: Model, since: Date): Record<string, unknown> {
  const { type, context } = factsOf(model)
  return {
    id: model.alias,
    object: 'model',
    created: Math.floor(since.getTime() / 1000),
    owned_by: type,
    name: model.alias,
    ...(context > 0 ? { max_model_len: context, input_size: context } : {}),
  }
}

/** Anthropic's model object, https://docs.anthropic.com/en/api/models; what the router cannot know is null there. */
export function anthropicModel(model: Model, since: Date): Record<string, unknown> {
  const { context } = factsOf(model)
  return {
    type: 'model',
    id: model.alias,
    display_name: model.alias,
    created_at: since.toISOString(),
    lifecycle: 'active',
    line: null,
    deprecated_at: null,
    retires_at: null,
    max_input_tokens: context > 0 ? context : null,
    max_tokens: null,
    capabilities: null,
  }
}

/** LM Studio's entry, https://lmstudio.ai/docs/developer/rest. */
export function lmStudioModel(model: Model): Record<string, unknown> {
  const { type, context } = factsOf(model)
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

/** What LM Studio's answers tell of the model that gave them. */
export function lmStudioInfo(model: Model): {
  arch?: string
  quant?: string
  format?: string
  contextLength: number
} {
  const { family, quantization_level: quant, format } = model.details ?? {}
  return {
    contextLength: factsOf(model).context,
    ...(family ? { arch: family } : {}),
    ...(quant ? { quant } : {}),
    ...(format ? { format } : {}),
  }
}

/** What a model's first target says about it. */
function factsOf(model: Model): { type: string; context: number } {
  const [first] = model.targets
  return {
    type: first?.type.name ?? '',
    context: Math.max(0, ...model.targets.map(({ inputSize }) => inputSize)),
  }
}

/** Clients tell models apart by it. */
function digestOf(model: Model): string {
  return createHash('sha256').update(model.alias).digest('hex')
}

function detailsOf(model: Model): Record<string, unknown> {
  const { context } = factsOf(model)
  const { family = '', ...others } = model.details ?? {}
  return {
    parent_model: '',
    format: '',
    family,
    families: family === '' ? [] : [family],
    parameter_size: '',
    quantization_level: '',
    ...others,
    ...(context > 0 ? { context_length: context } : {}),
  }
}

/** As configured, else what can be told: tools unless every server is said to have none. */
function capabilitiesOf(model: Model): readonly string[] {
  if (model.capabilities) return model.capabilities
  if (model.embedding) return ['embedding']
  return model.targets.some(({ toolCalling }) => toolCalling) ? ['completion', 'tools'] : ['completion']
}
