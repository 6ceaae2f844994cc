import { type TProperties, Type } from '@sinclair/typebox'

/**
 * Schemas of OpenAI's responses for the API documentation. Members that only some servers return are optional. Sources: OpenAI
 * API reference; vLLM documentation, "OpenAI-Compatible Server"; llama.cpp, tools/server/README.md.
 */

const optional = Type.Optional
const count = Type.Integer({ minimum: 0 })
const text = Type.String()
/** A response that is forwarded unchanged: no member is required. */
const forwarded = (title: string, properties: TProperties) => Type.Partial(Type.Object(properties), { title })

const UsageSchema = Type.Object({
  prompt_tokens: count,
  completion_tokens: optional(count),
  total_tokens: optional(count),
  prompt_tokens_details: optional(
    Type.Union([Type.Object({ cached_tokens: optional(Type.Union([count, Type.Null()])) }), Type.Null()]),
  ),
})
const usage = optional(Type.Union([UsageSchema, Type.Null()]))
const finishReason = Type.Union([text, Type.Null()], {
  description: '`stop`, `length`, `tool_calls` or `content_filter`.',
})

const ToolCallSchema = Type.Object({
  id: text,
  type: optional(text),
  function: Type.Object({ name: text, arguments: Type.String({ description: 'JSON.' }) }),
})

export const ChatCompletionSchema = Type.Object(
  {
    id: text,
    object: Type.Literal('chat.completion'),
    created: Type.Integer(),
    model: text,
    choices: Type.Array(
      Type.Object({
        index: count,
        message: Type.Object({
          role: Type.Literal('assistant'),
          content: optional(Type.Union([text, Type.Null()])),
          reasoning_content: optional(Type.Union([text, Type.Null()])),
          tool_calls: optional(Type.Union([Type.Array(ToolCallSchema), Type.Null()])),
        }),
        finish_reason: finishReason,
      }),
    ),
    usage,
  },
  { title: 'ChatCompletion' },
)

export const CompletionSchema = Type.Object(
  {
    id: text,
    object: text,
    created: Type.Integer(),
    model: text,
    choices: Type.Array(Type.Object({ index: count, text, finish_reason: finishReason })),
    usage,
  },
  { title: 'Completion' },
)

export const EmbeddingListSchema = Type.Object(
  {
    object: optional(Type.Literal('list')),
    data: Type.Array(
      Type.Object({
        object: optional(Type.Literal('embedding')),
        index: count,
        embedding: Type.Union([Type.Array(Type.Number()), text], { description: 'Numbers, or base64.' }),
      }),
    ),
    model: optional(text),
    usage,
  },
  { title: 'EmbeddingList' },
)

export const OpenaiModelSchema = Type.Object(
  {
    id: text,
    object: optional(Type.Literal('model')),
    created: optional(Type.Integer()),
    owned_by: optional(text),
  },
  { title: 'OpenaiModel' },
)
export const OpenaiModelListSchema = Type.Object(
  { object: Type.Literal('list'), data: Type.Array(OpenaiModelSchema) },
  { title: 'OpenaiModelList' },
)

export const LmStudioModelSchema = Type.Object(
  {
    id: text,
    object: Type.Literal('model'),
    type: Type.String({ description: '`llm`, `vlm` or `embeddings`.' }),
    state: Type.String({ description: '`loaded` or `not-loaded`.' }),
    max_context_length: optional(Type.Integer()),
  },
  { title: 'LmStudioModel' },
)
export const LmStudioModelListSchema = Type.Object(
  { object: Type.Literal('list'), data: Type.Array(LmStudioModelSchema) },
  { title: 'LmStudioModelList' },
)

const RankedSchema = Type.Partial(
  Type.Object({
    index: count,
    relevance_score: Type.Number(),
    score: Type.Number(),
    document: Type.Unknown(),
  }),
)
export const RerankSchema = Type.Union(
  [
    Type.Partial(
      Type.Object({ id: text, model: text, results: Type.Array(RankedSchema), usage: Type.Unknown() }),
    ),
    Type.Array(RankedSchema),
  ],
  { title: 'Ranking', description: 'vLLM and llama.cpp answer an object, SGLang a list.' },
)
export const ScoreSchema = forwarded('Scores', {
  id: text,
  object: text,
  data: Type.Array(Type.Partial(Type.Object({ index: count, object: text, score: Type.Number() }))),
  scores: Type.Array(Type.Number()),
  usage: Type.Unknown(),
})
export const TokensSchema = forwarded('Tokens', {
  count,
  max_model_len: count,
  tokens: Type.Array(Type.Unknown()),
  token_strs: Type.Unknown(),
})
export const DetokenizedSchema = forwarded('Detokenized', { prompt: text, content: text, text })
export const ImagesSchema = forwarded('Images', {
  created: Type.Integer(),
  data: Type.Array(Type.Partial(Type.Object({ url: text, b64_json: text, revised_prompt: text }))),
})
export const ModerationSchema = forwarded('Moderation', {
  id: text,
  model: text,
  results: Type.Array(
    Type.Partial(
      Type.Object({
        flagged: Type.Boolean(),
        categories: Type.Record(text, Type.Boolean()),
        category_scores: Type.Record(text, Type.Number()),
      }),
    ),
  ),
})
export const InfillSchema = forwarded('Infill', {
  content: text,
  model: text,
  stop: Type.Boolean(),
  tokens_predicted: count,
  tokens_evaluated: count,
})
export const PoolingSchema = forwarded('Pooling', {
  id: text,
  object: text,
  model: text,
  data: Type.Array(Type.Partial(Type.Object({ index: count, object: text, data: Type.Unknown() }))),
  usage: Type.Unknown(),
})
export const ClassificationSchema = forwarded('Classification', {
  id: text,
  model: text,
  data: Type.Array(
    Type.Partial(
      Type.Object({ index: count, label: text, probs: Type.Array(Type.Number()), num_classes: count }),
    ),
  ),
  usage: Type.Unknown(),
})
export const CohereEmbeddingsSchema = forwarded('CohereEmbeddings', {
  id: text,
  embeddings: Type.Record(text, Type.Unknown(), { description: 'Vectors by their type, such as `float`.' }),
  texts: Type.Array(text),
  meta: Type.Unknown(),
})
export const TranscriptionSchema = forwarded('Transcription', {
  text,
  language: text,
  duration: Type.Unknown(),
  segments: Type.Array(Type.Unknown()),
  words: Type.Array(Type.Unknown()),
})
