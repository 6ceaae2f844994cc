import { Type } from '@sinclair/typebox'
import { optional } from '../../shared/schema.ts'

const Content = Type.Object({}, { errorMessage: 'an object with parts' })
const Instruction = optional(Type.Union([Content, Type.String()], { errorMessage: 'an object with parts' }))
const Config = optional(Type.Object({}))

const Tools = optional(Type.Array(Type.Object({})))
const Contents = optional(
  Type.Union([Type.Array(Content, { minItems: 1, errorMessage: 'a non-empty list of contents' }), Content], {
    errorMessage: 'a non-empty list of contents',
  }),
)

/** Body of `generateContent`: the members that the router uses; any others are accepted. */
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
 * Body of any method of a model; the reader of a method checks which members it needs. Source: Gemini API reference,
 * "Generating content", "Counting tokens" and "Embeddings".
 */
export const GeminiBody = Type.Object({
  ...ChatMembers,
  generateContentRequest: optional(Type.Object(ChatMembers)),
  content: optional(Type.Union([Content, Type.String()], { errorMessage: 'an object with parts' })),
  requests: optional(Type.Array(Type.Object({ content: optional(Content) }))),
})
