import { type Static, type TObject, Type } from '@sinclair/typebox'
import { booleanWords, type ReadText, readBoolean, readInteger, readList, readString } from './text.ts'

/**
 * Settings of the model `auto`, of retrieval and of their internal calls: the Python llm-router's plugins
 * `simple_semantic_routing` and `langchain_rag`, and additions.
 */
export const pluginSettings = {
  utilsPipeline: Type.Array(
    Type.Union([Type.Literal('simple_semantic_routing'), Type.Literal('langchain_rag')]),
    {
      default: [],
      allowed: 'a list of simple_semantic_routing and langchain_rag',
      description:
        '`simple_semantic_routing` enables the model `auto` with the settings `LLM_ROUTER_ROUTING_*`, unless models-config.json has `auto_model`: [auto.md](auto.md). `langchain_rag` enables retrieval from the index `LLM_ROUTER_LANGCHAIN_RAG_COLLECTION` for all clients: [retrieval.md](retrieval.md).',
    },
  ),
  routingModels: Type.Array(Type.String(), {
    default: [],
    allowed: 'model names separated by |, from small to large',
    description: 'Models of `simple_semantic_routing`, from small to large, separated by `|`.',
  }),
  routingThresholds: Type.Array(Type.Integer({ minimum: 1 }), {
    default: [25, 150],
    minItems: 2,
    maxItems: 2,
    allowed: 'two numbers of tokens separated by |, such as 25|150',
    description: 'Sizes in tokens from which a prompt is medium and large, separated by `|`.',
  }),
  routingDefaultModel: Type.String({
    default: '',
    description:
      'Model in `LLM_ROUTER_ROUTING_MODELS` that is used if nothing else decides; empty selects the first.',
  }),
  routingIntentCode: intentWords('code'),
  routingIntentMath: intentWords('mathematics'),
  routingIntentCreative: intentWords('stories and poems'),
  routingIntentGeneral: intentWords('small talk and simple questions'),
  ragCollection: Type.String({
    default: '',
    pattern: '^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,63})?$',
    allowed: 'the name of an index',
    description: 'Name of the index that `langchain_rag` searches, created by `llm-router index`.',
  }),
  ragEmbedder: Type.String({
    default: '',
    description: 'Model in models-config.json that computes the embeddings for `langchain_rag`.',
  }),
  ragChunkSize: Type.Integer({
    default: 1_200,
    minimum: 100,
    maximum: 20_000,
    unit: 'characters',
    description: 'Maximum length of the chunks into which `llm-router index` splits documents.',
  }),
  ragChunkOverlap: Type.Integer({
    default: 200,
    minimum: 0,
    maximum: 10_000,
    unit: 'characters',
    description: 'Overlap of consecutive chunks in `llm-router index`.',
  }),
  indexDir: Type.String({
    default: 'resources/indexes',
    description: 'Directory of the indexes that `llm-router index` creates and retrieval searches.',
  }),
  indexKey: Type.String({
    default: '',
    writeOnly: true,
    description:
      'Client key that `llm-router index` uses to get embeddings from the router; empty sends none.',
  }),
  bookInternalCalls: Type.Boolean({
    default: true,
    allowed: booleanWords,
    description:
      'Whether internal calls, such as embeddings for retrieval and `auto`, count as usage of the client whose request caused them; otherwise they count as usage of `internal`.',
  }),
}

/** The variables of these settings, by name without the prefix. */
export const pluginVariables: readonly { key: keyof typeof pluginSettings; name: string; read: ReadText }[] =
  [
    { key: 'utilsPipeline', name: 'UTILS_PLUGINS_PIPELINE', read: readList },
    { key: 'routingModels', name: 'ROUTING_MODELS', read: readBars },
    {
      key: 'routingThresholds',
      name: 'ROUTING_COMPLEXITY_THRESHOLDS',
      read: (text) => readBars(text).map(Number),
    },
    { key: 'routingDefaultModel', name: 'ROUTING_DEFAULT_MODEL', read: readString },
    { key: 'routingIntentCode', name: 'ROUTING_INTENT_CODE', read: readBars },
    { key: 'routingIntentMath', name: 'ROUTING_INTENT_MATH', read: readBars },
    { key: 'routingIntentCreative', name: 'ROUTING_INTENT_CREATIVE', read: readBars },
    { key: 'routingIntentGeneral', name: 'ROUTING_INTENT_GENERAL', read: readBars },
    { key: 'ragCollection', name: 'LANGCHAIN_RAG_COLLECTION', read: readString },
    { key: 'ragEmbedder', name: 'LANGCHAIN_RAG_EMBEDDER', read: readString },
    { key: 'ragChunkSize', name: 'LANGCHAIN_RAG_CHUNK_SIZE', read: readInteger },
    { key: 'ragChunkOverlap', name: 'LANGCHAIN_RAG_CHUNK_OVERLAP', read: readInteger },
    { key: 'indexDir', name: 'INDEX_DIR', read: readString },
    { key: 'indexKey', name: 'INDEX_KEY', read: readString },
    { key: 'bookInternalCalls', name: 'BOOK_INTERNAL_CALLS', read: readBoolean },
  ]

export type PluginSettings = Static<TObject<typeof pluginSettings>>

/** Returns errors for missing or inconsistent settings. */
export function pluginErrors(settings: PluginSettings): string[] {
  const { utilsPipeline: names, routingModels: models, routingThresholds, routingDefaultModel } = settings
  const errors: string[] = []
  if (settings.ragChunkOverlap >= settings.ragChunkSize)
    errors.push(
      'LLM_ROUTER_LANGCHAIN_RAG_CHUNK_OVERLAP: must be less than LLM_ROUTER_LANGCHAIN_RAG_CHUNK_SIZE',
    )
  if (names.includes('simple_semantic_routing')) {
    const [middle = 0, large = 0] = routingThresholds
    if (middle > large)
      errors.push('LLM_ROUTER_ROUTING_COMPLEXITY_THRESHOLDS: the second must not be less than the first')
    if (routingDefaultModel !== '' && models.length > 0 && !models.includes(routingDefaultModel))
      errors.push('LLM_ROUTER_ROUTING_DEFAULT_MODEL: must be one of LLM_ROUTER_ROUTING_MODELS')
  }
  if (!names.includes('langchain_rag')) return errors
  for (const [name, value] of [
    ['COLLECTION', settings.ragCollection],
    ['EMBEDDER', settings.ragEmbedder],
  ])
    if (value === '')
      errors.push(
        `LLM_ROUTER_LANGCHAIN_RAG_${name}: required with langchain_rag in LLM_ROUTER_UTILS_PLUGINS_PIPELINE`,
      )
  return errors
}

/** Hoisted, because `pluginSettings` uses it. */
function intentWords(intent: string) {
  return Type.Array(Type.String(), {
    default: [],
    allowed: 'words and phrases separated by |, optionally with a weight after a colon',
    description: `Additional words and phrases that indicate ${intent}, separated by \`|\`, optionally with a weight, such as \`deploy|stack trace:3\`.`,
  })
}

function readBars(text: string): string[] {
  return text
    .split('|')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}
