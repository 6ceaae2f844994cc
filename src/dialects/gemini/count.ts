import type { JsonObject } from '../../lib/json/read.ts'
import type { CountCodec } from '../../sdk/dialect.ts'
import { listIn, memberOf, objectIn } from './members.ts'

/**
 * `countTokens` counts `contents` alone, or all of a prompt as `generateContentRequest`, which names the model once more. Source:
 * Gemini API reference, "Counting tokens".
 */
export const count: CountCodec = {
  member: 'totalTokens',
  answerMembers: [],
  writeRequest: (chat, model) => {
    const { contents, ...others } = chat
    if (Object.keys(others).length === 0) return { contents }
    return { generateContentRequest: { model: `models/${model.replace(/^models\//, '')}`, ...chat } }
  },
}

/** The chat that a body of `countTokens` is about. */
export function countedChat(body: JsonObject): JsonObject {
  const { model: _name, ...chat } = objectIn(body, 'generateContentRequest') ?? body
  return chat
}

const mediaTokens = 258

/**
 * Tokens of a prompt, estimated: a third of its characters, and 258 for each image or other file. Source of the latter: Gemini
 * API documentation, "Understand and count tokens".
 */
export function estimateTokens(chat: JsonObject): number {
  let media = 0
  const json = JSON.stringify(
    [chat.contents, memberOf(chat, 'systemInstruction'), chat.tools],
    (name, value: unknown) => {
      if (name === 'inlineData' || name === 'inline_data') {
        media++
        return undefined
      }
      return value
    },
  )
  return Math.ceil((json.length - overhead(chat)) / 3) + media * mediaTokens
}

/** Characters of each turn that are structure. */
function overhead(chat: JsonObject): number {
  return 24 * listIn(chat, 'contents').length
}
