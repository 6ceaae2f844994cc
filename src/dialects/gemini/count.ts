import type { JsonObject } from '../../lib/json/read.ts'
import type { CountCodec } from '../../sdk/dialect.ts'
import { listIn, memberOf, objectIn } from './members.ts'
import { modelResource } from './models.ts'

/**
 * `countTokens` accepts `contents` alone, or a whole prompt as `generateContentRequest`, which repeats the model's name.
 * Source: Gemini API reference, "Counting tokens".
 */
export const count: CountCodec = {
  member: 'totalTokens',
  answerMembers: [],
  writeRequest: (chat, model) => {
    const { contents, ...others } = chat
    if (Object.keys(others).length === 0) return { contents }
    return { generateContentRequest: { model: modelResource(model), ...chat } }
  },
}

/** The chat in a body of `countTokens`. */
export function countedChat(body: JsonObject): JsonObject {
  const { model: _name, ...chat } = objectIn(body, 'generateContentRequest') ?? body
  return chat
}

const mediaTokens = 258
const mediaMembers = new Set(['inlineData', 'inline_data', 'fileData', 'file_data'])

/**
 * Estimates the tokens of a prompt: a third of its characters, and 258 for each image or other file. Source of the latter:
 * Gemini API documentation, "Understand and count tokens".
 */
export function estimateTokens(chat: JsonObject): number {
  let media = 0
  const json = JSON.stringify(
    [chat.contents, memberOf(chat, 'systemInstruction'), chat.tools],
    (name, value: unknown) => {
      if (mediaMembers.has(name)) {
        media++
        return undefined
      }
      return value
    },
  )
  const structure = structureCharacters * listIn(chat, 'contents').length
  return Math.ceil((json.length - structure) / 3) + media * mediaTokens
}

/** Characters of JSON structure in each turn. */
const structureCharacters = 24
