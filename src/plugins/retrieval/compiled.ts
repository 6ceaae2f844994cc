import { join } from 'node:path'
import type { ConfiguredProcessor } from '../../config/processors/read.ts'
import type { Config } from '../../config/settings/settings.ts'
import { didYouMean } from '../../lib/did-you-mean.ts'
import { headOfFile, IndexError } from '../../lib/vector-index/format.ts'
import { ConfigError } from '../../sdk/errors.ts'
import type { ClientName } from '../processors/compiled.ts'

/** A compiled retrieval. */
export interface Retrieval {
  readonly name: string
  readonly from:
    | { readonly type: 'index'; readonly path: string; readonly model: string }
    | {
        readonly type: 'http' | 'vector_store'
        readonly url: string
        readonly token: string | undefined
        readonly unmasked: boolean
      }
  readonly limit: number
  readonly maxTokens: number
  readonly minScore: number
  readonly failure: 'closed' | 'open'
  readonly timeoutMs: number
  appliesTo(models: readonly string[], client: ClientName | undefined): boolean
}

const defaultLimit = 5
const defaultMaxTokens = 2_000

interface ProcessingContext {
  readonly config: Config
  /** Names of the active models. */
  readonly models: ReadonlySet<string>
}

/** Compiles the retrievals of a configuration. Throws ConfigError, also for an unusable index. */
export function compileRetrievals(
  configured: readonly ConfiguredProcessor[],
  { config, models }: ProcessingContext,
): Retrieval[] {
  const errors: string[] = []
  const own = configured.flatMap((processor): Retrieval[] => {
    if (processor.type !== 'retrieval') return []
    const { entry, path, name, failure, timeoutMs } = processor
    const common = {
      name,
      failure,
      timeoutMs,
      limit: entry.limit ?? defaultLimit,
      maxTokens: entry.max_tokens ?? defaultMaxTokens,
      minScore: entry.min_score ?? Number.NEGATIVE_INFINITY,
      appliesTo: permits(entry),
    }
    const { index, embedding_model: model = '', service } = entry
    if (service) {
      const { type, url, unmasked = false, api_token: token } = service
      return [{ ...common, from: { type, url, unmasked, token } }]
    }
    const file = indexPath(config, index ?? '')
    checkIndex({ path: file, model, name: index ?? '' }, `${path}.index`, errors)
    return [{ ...common, from: { type: 'index', path: file, model } }]
  })
  const forced = forcedRetrieval(config, models, errors)
  if (errors.length > 0) throw new ConfigError(errors)
  return [...own, ...forced]
}

/** The retrieval that the variables of the Python llm-router describe. */
function forcedRetrieval(config: Config, models: ReadonlySet<string>, errors: string[]): Retrieval[] {
  if (!config.utilsPipeline.includes('langchain_rag')) return []
  const { ragCollection: name, ragEmbedder: model } = config
  const path = indexPath(config, name)
  if (!models.has(model))
    errors.push(
      `LLM_ROUTER_LANGCHAIN_RAG_EMBEDDER: no active model ${JSON.stringify(model)}${didYouMean(model, models)}; set it to an embedding model of models-config.json`,
    )
  checkIndex({ path, model, name }, 'LLM_ROUTER_LANGCHAIN_RAG_COLLECTION', errors)
  return [
    {
      name: 'langchain_rag',
      from: { type: 'index', path, model },
      failure: 'closed',
      timeoutMs: 5_000,
      limit: defaultLimit,
      maxTokens: defaultMaxTokens,
      minScore: Number.NEGATIVE_INFINITY,
      appliesTo: () => true,
    },
  ]
}

function indexPath({ indexDir }: Config, name: string): string {
  return join(indexDir, `${name}.index`)
}

function checkIndex(
  { path, model, name }: { path: string; model: string; name: string },
  at: string,
  errors: string[],
): void {
  try {
    const head = headOfFile(path)
    if (head.model !== model)
      errors.push(
        `${at}: the index ${JSON.stringify(name)} was made with the model ${JSON.stringify(head.model)}, not ${JSON.stringify(model)}; recreate it with: llm-router index DIR --name ${name} --model ${model}`,
      )
  } catch (error) {
    if (!(error instanceof IndexError)) throw error
    errors.push(
      `${at}: the index ${JSON.stringify(name)} cannot be used: ${error.message} (${path}); create it with: llm-router index DIR --name ${name} --model ${model}`,
    )
  }
}

interface Permitted {
  models?: readonly string[]
  groups?: readonly string[]
  clients?: readonly string[]
}

/** Without clients and groups, no client may use it. */
function permits({ models, groups = [], clients = [] }: Permitted): Retrieval['appliesTo'] {
  return (used, client) => {
    const [model] = used
    if (models && (model === undefined || !models.includes(model))) return false
    if (clients.includes('*')) return true
    if (!client) return false
    return clients.includes(client.id) || (client.group !== undefined && groups.includes(client.group))
  }
}
