import { type TSchema, Type } from '@sinclair/typebox'

function optional<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}

const Content = Type.Object({}, { errorMessage: 'an object with parts' })
const Instruction = optional(Type.Union([Content, Type.String()], { errorMessage: 'an object with parts' }))
const Config = optional(Type.Object({}))

const Tools = optional(Type.Array(Type.Object({})))
const Contents = optional(
  Type.Union([Type.Array(Content, { minItems: 1, errorMessage: 'a non-empty list of contents' }), Content], {
    errorMessage: 'a non-empty list of contents',
  }),
)

/** Body of `generateContent` as far as the router uses it; whatever else a client sends is let through. */
export const GeminiChatBody = Type.Object({
  contents: Contents,
  systemInstruction: Instruction,
  tools: Tools,
  toolConfig: Config,
  generationConfig: Config,
})

const ChatMembers = {
  ...GeminiChatBody.properties,
  system_instruction: Instruction,
  tool_config: Config,
  generation_config: Config,
}

/**
 * Body of every method of a model. Which members a method needs, its reader says. Source: Gemini API reference, "Generating
 * content", "Counting tokens" and "Embeddings".
 */
export const GeminiBody = Type.Object({
  ...ChatMembers,
  generateContentRequest: optional(Type.Object(ChatMembers)),
  content: optional(Type.Union([Content, Type.String()], { errorMessage: 'an object with parts' })),
  requests: optional(Type.Array(Type.Object({ content: optional(Content) }))),
})
