import { isObject, objectsIn } from '../../lib/json/read.ts'
import { type EngineState, modelIn, tgiListing } from '../../sdk/engine-listings.ts'

/** A model as its server describes it. */
export interface FoundModel {
  name: string
  /** In tokens; 0 if unknown. */
  context: number
  embedding: boolean
  /** In Ollama's terms; undefined if unknown. */
  capabilities: readonly string[] | undefined
  /** Family, size, quantization and format, if known. */
  details: Readonly<Record<string, string>>
}

export interface FoundServer {
  type: 'ollama' | 'lmstudio' | 'vllm' | 'sglang' | 'tgi' | 'llamacpp' | 'openai'
  /** `http://gpu1:11434` */
  url: string
  /** A name for the host that is not its address, because target ids are logged. */
  hostLabel: string
  models: readonly FoundModel[]
}

const group = 'discovered_models'

/**
 * Builds a models-config.json for discovered servers. Models keep the names that they have at the servers; servers with the
 * same model become providers of one model.
 */
export function configForServers(servers: readonly FoundServer[]): Record<string, unknown> {
  const models = new Map<string, { providers: object[]; found: FoundModel }>()
  const ids = new Set<string>()
  for (const server of servers) {
    for (const found of server.models) {
      const entry = models.get(found.name) ?? { providers: [], found }
      models.set(found.name, entry)
      entry.providers.push({
        id: freeId(`${server.hostLabel}/${server.type}/${found.name}`, ids),
        api_type: server.type,
        api_host: server.url,
        model_path: found.name,
        ...(found.context > 0 ? { input_size: found.context } : {}),
        ...(found.embedding ? { is_embedding: true } : {}),
      })
    }
  }
  const entries = [...models].map(([name, { providers, found }]): [string, object] => [
    name,
    {
      providers,
      ...(sharesCaches(servers, found.name) ? { strategy: 'cache_aware' } : {}),
      ...(found.capabilities ? { capabilities: found.capabilities } : {}),
      ...(Object.keys(found.details).length > 0 ? { details: found.details } : {}),
    },
  ])
  return { [group]: Object.fromEntries(entries), active_models: { [group]: [...models.keys()] } }
}

/** Engines with a prefix cache and concurrent requests. */
const cachingEngines: ReadonlySet<string> = new Set(['vllm', 'sglang', 'llamacpp'])

/** Whether a chat model is on several servers, all with a prefix cache, so that sessions should stay on one of them. */
function sharesCaches(servers: readonly FoundServer[], name: string): boolean {
  const withModel = servers.filter(({ models }) =>
    models.some((found) => found.name === name && !found.embedding),
  )
  return withModel.length > 1 && withModel.every(({ type }) => cachingEngines.has(type))
}

/**
 * Reads an Ollama model from `/api/show`, and from `/api/ps` if it is loaded
 * (https://docs.ollama.com/api-reference/show-model-details,
 * https://docs.ollama.com/api/ps). The context is the one in use, not the model's maximum.
 */
export function ollamaModel(name: string, shown: unknown, running?: EngineState): FoundModel {
  const { model_info: info, capabilities, details, parameters } = isObject(shown) ? shown : {}
  // Without a request for another length, the server uses the value of the Modelfile.
  const modelfileContext = /^num_ctx\s+(\d+)$/m.exec(typeof parameters === 'string' ? parameters : '')?.[1]
  const contextInUse = running && modelIn(running, name)?.context
  const words = texts(capabilities)
  const embedding = words?.includes('embedding') ?? false
  // Embedding models have short contexts and are loaded with their maximum.
  const length = embedding && isObject(info) ? lengthIn(info) : undefined
  return {
    name,
    context: contextInUse ?? numberOf(modelfileContext === undefined ? length : Number(modelfileContext)),
    embedding,
    capabilities: words,
    details: detailsOf(details),
  }
}

function lengthIn(info: Record<string, unknown>): unknown {
  return Object.entries(info).find(([key]) => key.endsWith('.context_length'))?.[1]
}

/** Reads an entry of LM Studio's REST API v0, https://lmstudio.ai/docs/developer/rest; undefined for other entries. */
export function lmStudioModel(entry: unknown): FoundModel | undefined {
  if (!isObject(entry) || typeof entry.id !== 'string' || typeof entry.state !== 'string') return undefined
  const embedding = entry.type === 'embeddings'
  const tools = texts(entry.capabilities)?.includes('tool_use') ?? false
  const words = ['completion', ...(tools ? ['tools'] : []), ...(entry.type === 'vlm' ? ['vision'] : [])]
  return {
    name: entry.id,
    context: numberOf(entry.loaded_context_length ?? (embedding ? entry.max_context_length : 0)),
    embedding,
    capabilities: embedding ? ['embedding'] : words,
    details: detailsOf({
      family: entry.arch,
      quantization_level: entry.quantization,
      format: entry.compatibility_type,
    }),
  }
}

/**
 * Reads an entry of LM Studio's REST API v1 (since 0.4), where a model may be loaded several times,
 * https://lmstudio.ai/docs/developer/rest/list; undefined for other entries.
 */
export function lmStudioInstanceModel(entry: unknown): FoundModel | undefined {
  if (!isObject(entry) || typeof entry.key !== 'string' || !Array.isArray(entry.loaded_instances))
    return undefined
  const embedding = entry.type === 'embedding'
  const {
    vision,
    trained_for_tool_use: tools,
    reasoning,
  } = isObject(entry.capabilities) ? entry.capabilities : {}
  const contexts = objectsIn(entry.loaded_instances)
    .map(({ config }) => (isObject(config) ? numberOf(config.context_length) : 0))
    .filter((context) => context > 0)
  const words = [
    'completion',
    ...(tools === true ? ['tools'] : []),
    ...(vision === true ? ['vision'] : []),
    ...(isObject(reasoning) || reasoning === true ? ['thinking'] : []),
  ]
  return {
    name: entry.key,
    context: contexts.length > 0 ? Math.min(...contexts) : numberOf(embedding ? entry.max_context_length : 0),
    embedding,
    capabilities: embedding ? ['embedding'] : words,
    details: detailsOf({
      family: entry.architecture,
      parameter_size: entry.params_string,
      quantization_level: isObject(entry.quantization) ? entry.quantization.name : undefined,
      format: entry.format,
    }),
  }
}

/** Reads the model of a TGI server from `/info`. Source: Text Generation Inference documentation, "HTTP API Reference". */
export function tgiModel(info: unknown): FoundModel | undefined {
  const [model] = tgiListing.read(info)?.models ?? []
  const name = model?.names[0]
  if (model === undefined || name === undefined) return undefined
  return { name, context: model.context ?? 0, embedding: false, capabilities: undefined, details: {} }
}

/** Reads an entry of OpenAI's list; vLLM adds `max_model_len`, llama.cpp adds `meta.n_ctx`, the context of one slot. */
export function openaiModel(entry: unknown): FoundModel | undefined {
  if (!isObject(entry) || typeof entry.id !== 'string') return undefined
  const used = isObject(entry.meta) ? entry.meta.n_ctx : undefined
  return {
    name: entry.id,
    context: numberOf(entry.max_model_len ?? used),
    embedding: isEmbeddingModel(entry.status),
    capabilities: undefined,
    details: {},
  }
}

/** In router mode, llama.cpp lists the arguments of each model: `--embeddings` is only used for embedding models. */
function isEmbeddingModel(status: unknown): boolean {
  const args = isObject(status) ? texts(status.args) : undefined
  return args?.some((arg) => arg === '--embedding' || arg === '--embeddings') ?? false
}

function freeId(wanted: string, used: Set<string>): string {
  let id = wanted
  for (let count = 2; used.has(id); count++) id = `${wanted}#${count}`
  used.add(id)
  return id
}

function texts(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : undefined
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.floor(value) : 0
}

function detailsOf(value: unknown): Record<string, string> {
  const known = ['family', 'parameter_size', 'quantization_level', 'format']
  const entries = isObject(value) ? Object.entries(value) : []
  return Object.fromEntries(
    entries.filter(
      (entry): entry is [string, string] =>
        known.includes(entry[0]) && typeof entry[1] === 'string' && entry[1] !== '',
    ),
  )
}
