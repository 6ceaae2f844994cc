import { countOf, filledTextOf, isObject, type JsonObject, objectsIn } from '../lib/json/read.ts'

/** A model as its server reports it. */
export interface EngineModel {
  /** All names under which the server accepts it. */
  readonly names: readonly string[]
  /** Context length in use, in tokens; undefined if unknown. */
  readonly context: number | undefined
  readonly loaded: boolean
  /** Members of Ollama's own entry of a loaded model. */
  readonly running?: Readonly<JsonObject>
}

/** The models that a server reports. */
export interface EngineState {
  readonly isLlamaCpp: boolean
  /** Whether a server with a single model accepts any model name; default: `isLlamaCpp`. */
  readonly anyName?: boolean
  readonly models: readonly EngineModel[]
}

/** Path and reader of a model list. */
export interface EngineListing {
  /** From the root of the host. */
  readonly path: string
  /** Returns undefined if the response is not such a list. */
  read(answer: unknown): EngineState | undefined
}

/**
 * OpenAI's model list. vLLM adds `max_model_len`; llama.cpp adds `meta.n_ctx` (the context of one slot; `n_ctx_train` is
 * the maximum of the model) and, in its router mode, `status`. Sources: llama.cpp, tools/server/README.md; vLLM
 * documentation, "OpenAI-Compatible Server".
 */
export const openaiListing: EngineListing = {
  path: '/v1/models',
  read(answer) {
    if (!isObject(answer) || !Array.isArray(answer.data)) return undefined
    const entries = objectsIn(answer.data)
    return {
      isLlamaCpp: entries.some((entry) => entry.owned_by === 'llamacpp'),
      // In router mode llama.cpp accepts only listed names.
      ...(entries.some(({ status }) => isObject(status)) ? { anyName: false } : {}),
      models: entries.map(({ id, aliases, max_model_len: length, meta, status }) => ({
        names: [id, ...(Array.isArray(aliases) ? aliases : [])].flatMap((name) => filledTextOf(name) ?? []),
        context: positive(length) ?? (isObject(meta) ? positive(meta.n_ctx) : undefined),
        loaded: !isObject(status) || status.value === undefined || status.value === 'loaded',
      })),
    }
  },
}

/** Ollama's list of loaded models, https://docs.ollama.com/api/ps. */
export const ollamaListing: EngineListing = {
  path: '/api/ps',
  read(answer) {
    if (!isObject(answer)) return undefined
    // Ollama may send null for an empty list.
    if (!Array.isArray(answer.models) && answer.models !== null) return undefined
    return {
      isLlamaCpp: false,
      models: objectsIn(answer.models).map((entry) => ({
        names: [entry.name, entry.model].flatMap((name) => filledTextOf(name) ?? []),
        context: positive(entry.context_length),
        loaded: true,
        running: entry,
      })),
    }
  },
}

/** Model list of LM Studio's REST API v0, https://lmstudio.ai/docs/developer/rest. */
export const lmStudioListing: EngineListing = {
  path: '/api/v0/models',
  read(answer) {
    if (!isObject(answer) || !Array.isArray(answer.data)) return undefined
    return {
      isLlamaCpp: false,
      models: objectsIn(answer.data).map(({ id, state, loaded_context_length: context }) => ({
        names: [id].flatMap((name) => filledTextOf(name) ?? []),
        context: positive(context),
        loaded: state === 'loaded',
      })),
    }
  },
}

/** Model list of LM Studio's REST API v1 (since 0.4), where a model may be loaded several times. */
export const lmStudioInstanceListing: EngineListing = {
  path: '/api/v1/models',
  read(answer) {
    if (!isObject(answer) || !Array.isArray(answer.models)) return undefined
    return {
      isLlamaCpp: false,
      models: objectsIn(answer.models).map(({ key, loaded_instances: list }) => {
        const instances = objectsIn(list)
        const contexts = instances.flatMap(({ config }) =>
          isObject(config) ? (positive(config.context_length) ?? []) : [],
        )
        return {
          names: [key, ...instances.map(({ id }) => id)].flatMap((name) => filledTextOf(name) ?? []),
          context: contexts.length === 0 ? undefined : Math.min(...contexts),
          loaded: instances.length > 0,
        }
      }),
    }
  },
}

/** Text Generation Inference's information about its only model, https://huggingface.github.io/text-generation-inference. */
export const tgiListing: EngineListing = {
  path: '/info',
  read(answer) {
    if (!isObject(answer) || answer.router !== 'text-generation-router') return undefined
    const name = filledTextOf(answer.model_id)
    if (name === undefined) return undefined
    const context = positive(answer.max_total_tokens)
    return { isLlamaCpp: false, anyName: true, models: [{ names: [name], context, loaded: true }] }
  },
}

/** Finds a model by name. llama.cpp with one model and TGI accept any name, so their only model is returned for any. */
export function modelIn(
  { isLlamaCpp, anyName = isLlamaCpp, models }: EngineState,
  name: string,
): EngineModel | undefined {
  const normalizedName = looseName(name)
  const named = models.find(({ names }) => names.some((each) => looseName(each) === normalizedName))
  return named ?? (anyName && models.length === 1 ? models[0] : undefined)
}

function positive(value: unknown): number | undefined {
  return countOf(value) || undefined
}

/** Normalizes a model name as Ollama matches it: case-insensitively, and `m` is `m:latest`. */
export function looseName(name: string): string {
  return name.toLowerCase().replace(/:latest$/, '')
}
