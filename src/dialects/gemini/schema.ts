import { type TSchema, Type } from '@sinclair/typebox'

function optional<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}

const Content = Type.Object({}, { errorMessage: 'an object with parts' })
const Instruction = optional(Type.Union([Content, Type.String()], { errorMessage: 'an object with parts' }))
const Config = optional(Type.Object({}))

const Chat = {
  contents: optional(
    Type.Union(
      [Type.Array(Content, { minItems: 1, errorMessage: 'a non-empty list of contents' }), Content],
      {
        errorMessage: 'a non-empty list of contents',
      },
    ),
  ),
  systemInstruction: Instruction,
  system_instruction: Instruction,
  tools: optional(Type.Array(Type.Object({}))),
  toolConfig: Config,
  tool_config: Config,
  generationConfig: Config,
  generation_config: Config,
}

/**
 * Body of every method of a model, as far as the router uses it; whatever else a client sends is let through. Which members a method
 * needs, its reader says. Source: Gemini API reference, "Generating content", "Counting tokens" and "Embeddings".
 */
export const GeminiBody = Type.Object({
  ...Chat,
  generateContentRequest: optional(Type.Object(Chat)),
  content: optional(Type.Union([Content, Type.String()], { errorMessage: 'an object with parts' })),
  requests: optional(Type.Array(Type.Object({ content: optional(Content) }))),
})
