import { type TSchema, Type } from '@sinclair/typebox'
import { OllamaChatBody } from './schema.ts'

const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))

const { stream, format, think, keep_alive, options, logprobs, top_logprobs } = OllamaChatBody.properties

/**
 * Body of `POST /api/generate`, as far as the router uses it; unknown members are welcome. An empty prompt is a request
 * to load or unload the model. Format: Ollama API reference, "Generate a completion".
 */
export const OllamaGenerateBody = Type.Object({
  model: optional(Type.String()),
  prompt: optional(Type.String()),
  suffix: optional(Type.String()),
  system: optional(Type.String()),
  template: optional(Type.String()),
  context: optional(Type.Array(Type.Number())),
  raw: optional(Type.Boolean()),
  images: optional(Type.Array(Type.String())),
  stream,
  format,
  think,
  keep_alive,
  options,
  logprobs,
  top_logprobs,
})
