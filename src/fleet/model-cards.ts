import { createHash } from 'node:crypto'
import { countOf, filledTextOf, isObject } from '../lib/json/read.ts'
import type { EngineModel } from '../sdk/engine-listings.ts'
import type { Model, Target } from '../sdk/target.ts'

/**
 * Descriptions of a model in each dialect. They contain no addresses, paths or keys. What the router does not know is
 * omitted, or empty if clients need the field. `context`: of the model, in tokens; 0 if unknown.
 */

/** Ollama's entry, https://docs.ollama.com/api/tags, with the fields that clients of the Python llm-router read. */
export function ollamaTag(model: Model, since: Date, context: number): Record<string, unknown> {
  return {
    ...lmStudioModel(model, context),
    name: model.alias,
    model: model.alias,
    root: model.alias,
    owned_by: typeOf(model),
    path: '',
    input_size: context,
    is_embedding: model.embedding,
    modified_at: since.toISOString(),
    size: 0,
    digest: digestOf(model),
    details: detailsOf(model, context),
    capabilities: capabilitiesOf(model),
  }
}

/** A target that has its model in memory. */
export interface LoadedModel {
  readonly target: Target
  /** Undefined if the server has no list of loaded models: the model then counts as loaded. */
  readonly entry: EngineModel | undefined
}

/**
 * Ollama's running model, https://docs.ollama.com/api/ps: one entry, however many servers have it loaded, with the
 * smallest context and the latest expiry. Does not reveal which server has it loaded.
 */
export function ollamaRunning(
  model: Model,
  loaded: readonly LoadedModel[],
  since: Date,
): Record<string, unknown> {
  const contexts = loaded
    .map(({ target, entry }) => entry?.context ?? target.inputSize)
    .filter((context) => context > 0)
  const context = contexts.length === 0 ? 0 : Math.min(...contexts)
  const reported = loaded.flatMap(({ entry }) => (entry?.running ? [entry.running] : []))
  const [latest = {}] = reported.toSorted((one, other) => endOf(other) - endOf(one))
  const never = new Date(since)
  // Clients show a distant time as "forever".
  never.setUTCFullYear(never.getUTCFullYear() + 100)
  return {
    name: model.alias,
    model: model.alias,
    size: countOf(latest.size) ?? 0,
    digest: digestOf(model),
    details: detailsOf(model, context),
    expires_at: filledTextOf(latest.expires_at) ?? never.toISOString(),
    size_vram: countOf(latest.size_vram) ?? 0,
    context_length: context,
  }
}

function endOf({ expires_at: expires }: Readonly<Record<string, unknown>>): number {
  const ms = typeof expires === 'string' ? Date.parse(expires) : Number.NaN
  return Number.isNaN(ms) ? 0 : ms
}

/** Ollama's description, https://docs.ollama.com/api/show. Clients look up the context length by architecture. */
export function ollamaShow(model: Model, since: Date, context: number): Record<string, unknown> {
  const architecture = (model.details?.family ?? '').toLowerCase().replaceAll(/[^a-z0-9_]/g, '') || 'model'
  // Clients read the context length from it.
  const hasNumCtx = model.targets.some(
    ({ defaults: { options } }) => isObject(options) && typeof options.num_ctx === 'number',
  )
  return {
    license: '',
    modelfile: '',
    parameters: hasNumCtx ? `num_ctx ${context}` : '',
    template: '',
    details: detailsOf(model, context),
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
export function openaiModel(model: Model, since: Date, context: number): Record<string, unknown> {
  return {
    id: model.alias,
    object: 'model',
    created: Math.floor(since.getTime() / 1000),
    owned_by: typeOf(model),
    name: model.alias,
    ...(context > 0 ? { max_model_len: context, input_size: context } : {}),
  }
}

/** Anthropic's model object, https://docs.anthropic.com/en/api/models; unknown values are null. */
export function anthropicModel(model: Model, since: Date, context: number): Record<string, unknown> {
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
export function lmStudioModel(model: Model, context: number): Record<string, unknown> {
  return {
    id: model.alias,
    object: 'model',
    type: model.embedding ? 'embeddings' : 'llm',
    publisher: typeOf(model),
    arch: model.alias,
    state: 'loaded',
    max_context_length: context,
  }
}

/** Model information in LM Studio's responses. */
export function lmStudioInfo(
  model: Model,
  contextLength: number,
): {
  arch?: string
  quant?: string
  format?: string
  contextLength: number
} {
  const { family, quantization_level: quant, format } = model.details ?? {}
  return {
    contextLength,
    ...(family ? { arch: family } : {}),
    ...(quant ? { quant } : {}),
    ...(format ? { format } : {}),
  }
}

/** Provider type of a model's first target. */
function typeOf({ targets: [first] }: Model): string {
  return first?.type.name ?? ''
}

/** Clients identify models by it. */
function digestOf(model: Model): string {
  return createHash('sha256').update(model.alias).digest('hex')
}

function detailsOf(model: Model, context: number): Record<string, unknown> {
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

/** As configured; otherwise derived: includes tools unless every server is configured without them. */
export function capabilitiesOf(model: Model): readonly string[] {
  if (model.capabilities) return model.capabilities
  if (model.embedding) return ['embedding']
  return model.targets.some(({ toolCalling }) => toolCalling) ? ['completion', 'tools'] : ['completion']
}
