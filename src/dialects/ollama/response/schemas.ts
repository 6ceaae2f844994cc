import { Type } from '@sinclair/typebox'

/** Schemas of Ollama's responses for the API documentation. Source: Ollama, docs/api.md. */

const optional = Type.Optional
const count = optional(Type.Integer({ minimum: 0 }))
const nanoseconds = optional(Type.Integer({ minimum: 0, description: 'Nanoseconds.' }))

const ending = {
  model: Type.String(),
  created_at: Type.String({ format: 'date-time' }),
  done: Type.Boolean(),
  done_reason: optional(Type.String({ description: '`stop`, `length`, `load` or `unload`.' })),
  total_duration: nanoseconds,
  load_duration: nanoseconds,
  prompt_eval_count: count,
  prompt_eval_duration: nanoseconds,
  eval_count: count,
  eval_duration: nanoseconds,
}

export const OllamaChatSchema = Type.Object(
  {
    ...ending,
    message: Type.Object({
      role: Type.Literal('assistant'),
      content: Type.String(),
      thinking: optional(Type.String()),
      tool_calls: optional(
        Type.Array(
          Type.Object({ function: Type.Object({ name: Type.String(), arguments: Type.Unknown() }) }),
        ),
      ),
    }),
  },
  { title: 'OllamaChat' },
)

export const OllamaGenerateSchema = Type.Object(
  {
    ...ending,
    response: Type.String(),
    thinking: optional(Type.String()),
    context: optional(Type.Array(Type.Integer())),
  },
  { title: 'OllamaGenerate' },
)

export const OllamaEmbedSchema = Type.Object(
  {
    model: optional(Type.String()),
    embeddings: Type.Array(Type.Array(Type.Number())),
    total_duration: nanoseconds,
    load_duration: nanoseconds,
    prompt_eval_count: count,
  },
  { title: 'OllamaEmbed' },
)

export const OllamaEmbeddingSchema = Type.Object(
  { embedding: Type.Array(Type.Number()) },
  { title: 'OllamaEmbedding' },
)

const details = optional(
  Type.Object(
    {
      family: optional(Type.String()),
      parameter_size: optional(Type.String()),
      quantization_level: optional(Type.String()),
      format: optional(Type.String()),
    },
    { additionalProperties: true },
  ),
)

export const OllamaShowSchema = Type.Object(
  {
    details,
    model_info: optional(Type.Record(Type.String(), Type.Unknown())),
    capabilities: optional(Type.Array(Type.String(), { description: 'Such as `completion` and `tools`.' })),
    modified_at: optional(Type.String()),
  },
  { title: 'OllamaShow' },
)

const model = {
  name: Type.String(),
  model: Type.String(),
  size: count,
  digest: optional(Type.String()),
  details,
}

export const OllamaTagsSchema = Type.Object(
  { models: Type.Array(Type.Object({ ...model, modified_at: optional(Type.String()) })) },
  { title: 'OllamaModels' },
)

export const OllamaRunningSchema = Type.Object(
  {
    models: Type.Array(
      Type.Object({ ...model, expires_at: optional(Type.String()), size_vram: count, context_length: count }),
    ),
  },
  { title: 'OllamaRunning' },
)
