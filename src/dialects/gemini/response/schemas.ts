import { Type } from '@sinclair/typebox'

/** Schemas of Gemini's responses for the API documentation. Source: Gemini API reference, "Generating content", "Models". */

const optional = Type.Optional
const count = optional(Type.Integer({ minimum: 0 }))

const GenerateContentSchema = Type.Object({
  candidates: optional(
    Type.Array(
      Type.Object({
        index: count,
        content: optional(
          Type.Object({
            role: optional(Type.String()),
            parts: optional(Type.Array(Type.Object({}, { additionalProperties: true }))),
          }),
        ),
        finishReason: optional(Type.String({ description: '`STOP`, `MAX_TOKENS`, `SAFETY` ...' })),
      }),
    ),
  ),
  usageMetadata: optional(
    Type.Object({ promptTokenCount: count, candidatesTokenCount: count, totalTokenCount: count }),
  ),
  modelVersion: optional(Type.String()),
  responseId: optional(Type.String()),
  totalTokens: optional(Type.Integer({ minimum: 0, description: 'Of `countTokens`.' })),
  embedding: optional(
    Type.Object({ values: Type.Array(Type.Number()) }, { description: 'Of `embedContent`.' }),
  ),
  embeddings: optional(
    Type.Array(Type.Object({ values: Type.Array(Type.Number()) }), {
      description: 'Of `batchEmbedContents`.',
    }),
  ),
})

export const GeminiAnswerSchema = Type.Union([GenerateContentSchema, Type.Array(GenerateContentSchema)], {
  title: 'GeminiAnswer',
})

export const GeminiModelSchema = Type.Object(
  {
    name: Type.String({ description: '`models/` and the name.' }),
    baseModelId: optional(Type.String()),
    version: optional(Type.String()),
    displayName: optional(Type.String()),
    inputTokenLimit: count,
    outputTokenLimit: count,
    supportedGenerationMethods: optional(Type.Array(Type.String())),
  },
  { title: 'GeminiModel' },
)

export const GeminiModelListSchema = Type.Object(
  { models: Type.Array(GeminiModelSchema), nextPageToken: optional(Type.String()) },
  { title: 'GeminiModelList' },
)
