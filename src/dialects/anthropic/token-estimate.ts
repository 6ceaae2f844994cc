import { isObject, type JsonObject, objectsIn, textOf } from '../../lib/json/read.ts'
import type { Usage } from '../../sdk/chat.ts'

/** Approximate tokens of an image of the largest size that is not scaled down. Source: Anthropic documentation, "Vision". */
const imageTokens = 1_600
/** Assumed length of a PDF page in base64; a page costs about as much as an image. */
const pageCharacters = 40_000
/** For the role and separators of a turn. */
const turnTokens = 4

/**
 * Estimates the prompt tokens of a body of `POST /v1/messages`: a third of its characters, rounded up, and a fixed number for
 * each image and PDF page. It is high rather than low, because agents decide by this count when to shorten a conversation.
 */
export function estimateTokens(body: JsonObject): number {
  const messages = objectsIn(body.messages)
  const contents = [body.system, ...messages.map(({ content }) => content)]
  const counted = contents.map(sizeOf).reduce(sum, { characters: 0, tokens: messages.length * turnTokens })
  const tools = objectsIn(body.tools).reduce((total, tool) => total + JSON.stringify(tool).length, 0)
  return Math.ceil((counted.characters + tools) / 3) + counted.tokens
}

/** The token counts of a response whose upstream reports none, because agents add them up. */
export function estimatedUsage(request: JsonObject | undefined): Usage {
  return { promptTokens: request ? estimateTokens(request) : 0, completionTokens: 0 }
}

interface Size {
  characters: number
  tokens: number
}

function sum(one: Size, other: Size): Size {
  return { characters: one.characters + other.characters, tokens: one.tokens + other.tokens }
}

/** A text, a block, or a list of blocks. */
function sizeOf(content: unknown): Size {
  if (typeof content === 'string') return { characters: content.length, tokens: 0 }
  if (Array.isArray(content)) return content.map(sizeOf).reduce(sum, { characters: 0, tokens: 0 })
  if (!isObject(content)) return { characters: 0, tokens: 0 }
  switch (content.type) {
    case 'image':
      return { characters: 0, tokens: imageTokens }
    case 'document':
      return [content.title, content.context].map(sizeOf).reduce(sum, documentSize(content.source))
    case 'tool_use':
      return {
        characters: textSize(content.name) + JSON.stringify(content.input ?? {}).length,
        tokens: turnTokens,
      }
    default: {
      const texts = [content.text, content.thinking, content.title, content.source].map(textSize)
      const inner = sizeOf(content.content)
      return { ...inner, characters: texts.reduce((total, size) => total + size, inner.characters) }
    }
  }
}

function documentSize(source: unknown): Size {
  if (!isObject(source)) return { characters: 0, tokens: 0 }
  if (source.type === 'content') return sizeOf(source.content)
  if (source.type !== 'base64') return { characters: textSize(source.data), tokens: 0 }
  return { characters: 0, tokens: Math.ceil(textSize(source.data) / pageCharacters) * imageTokens }
}

function textSize(value: unknown): number {
  return textOf(value)?.length ?? 0
}
