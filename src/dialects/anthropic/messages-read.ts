import {
  filledTextOf,
  isObject,
  type JsonObject,
  objectsIn,
  parseArguments,
  textOf,
} from '../../lib/json/read.ts'
import type { AssistantMessage, ChatMessage, SystemMessage, ToolCall, ToolMessage } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'
import { ConversationCalls } from '../shared/call-ids.ts'
import { withoutBillingHeader } from './billing-header.ts'
import { type Drop, readContent, readUserBlock, requiredText, textParts } from './blocks-read.ts'

/** The top-level `system`; none when it says nothing. */
export function readSystem(system: unknown): SystemMessage[] {
  const texts = typeof system === 'string' ? [system] : objectsIn(system).map((block) => textOf(block.text))
  const parts = texts
    .filter((text) => text !== undefined)
    .flatMap((text) => textParts(withoutBillingHeader(text)))
  return parts.length === 0 ? [] : [{ role: 'system', developer: false, parts }]
}

/**
 * Reads the turns of a conversation. The results in a user turn become messages of their own, in front of the rest of
 * the turn, as other dialects want them right behind the calls. Throws `bad_request` with the place of the error.
 */
export function readMessages(messages: unknown, drop: Drop): ChatMessage[] {
  const calls = new ConversationCalls('toolu_')
  return objectsIn(messages).flatMap((message, index): ChatMessage[] => {
    const path = `messages[${index}].content`
    switch (message.role) {
      case 'user':
        return readUser(message.content, path, calls, drop)
      case 'assistant':
        return [readAssistant(message.content, path, calls, drop)]
      case 'system':
        return readSystem(message.content)
      default:
        throw badRequest(
          `'messages[${index}].role' must be user, assistant or system`,
          `messages[${index}].role`,
        )
    }
  })
}

function readUser(content: unknown, path: string, calls: ConversationCalls, drop: Drop): ChatMessage[] {
  if (typeof content === 'string') return [{ role: 'user', parts: textParts(content) }]
  const results: ToolMessage[] = []
  const parts = objectsIn(content).flatMap((block, index) => {
    const at = `${path}[${index}]`
    if (block.type !== 'tool_result') return readUserBlock(block, at, drop)
    results.push(readResult(block, at, calls, drop))
    return []
  })
  if (parts.length === 0 && results.length > 0) return results
  return [...results, { role: 'user', parts }]
}

function readResult(block: JsonObject, path: string, calls: ConversationCalls, drop: Drop): ToolMessage {
  const sentId = requiredText(block.tool_use_id, `${path}.tool_use_id`)
  const call = calls.answerById(sentId)
  return {
    role: 'tool',
    callId: call?.id ?? sentId,
    ...(call ? { name: call.name } : {}),
    parts: readContent(block.content, `${path}.content`, drop),
    ...(block.is_error === true ? { isError: true } : {}),
  }
}

function readAssistant(
  content: unknown,
  path: string,
  calls: ConversationCalls,
  drop: Drop,
): AssistantMessage {
  const message: AssistantMessage = { role: 'assistant', parts: [], reasoning: '', toolCalls: [] }
  if (typeof content === 'string') return { ...message, parts: textParts(content) }
  const thoughts: JsonObject[] = []
  for (const [index, block] of objectsIn(content).entries()) {
    const at = `${path}[${index}]`
    switch (block.type) {
      case 'text':
        message.parts.push(...textParts(requiredText(block.text, `${at}.text`)))
        break
      case 'thinking':
        thoughts.push(block)
        break
      case 'tool_use':
        message.toolCalls.push(readCall(block, at, calls))
        break
      default:
        // Encrypted thoughts and the work of Anthropic's own tools mean nothing to any other upstream.
        drop(`messages.${filledTextOf(block.type) ?? 'content'}`)
    }
  }
  return { ...message, ...readThoughts(thoughts) }
}

/** A signature proves one block; it is worth nothing for several that were joined. */
function readThoughts(blocks: JsonObject[]): { reasoning: string; reasoningSignature?: string } {
  const reasoning = blocks
    .map((block) => textOf(block.thinking))
    .filter(Boolean)
    .join('\n\n')
  const signature = blocks.length === 1 ? filledTextOf(blocks[0]?.signature) : undefined
  return { reasoning, ...(signature === undefined ? {} : { reasoningSignature: signature }) }
}

function readCall(block: JsonObject, path: string, calls: ConversationCalls): ToolCall {
  const name = filledTextOf(block.name)
  if (name === undefined) throw badRequest(`'${path}.name' must be a non-empty string`, `${path}.name`)
  const json = block.input === undefined || isObject(block.input) ? inputText(block.input) : undefined
  if (json === undefined) throw badRequest(`'${path}.input' must be an object`, `${path}.input`)
  return { id: calls.add(textOf(block.id) ?? '', name), name, arguments: json }
}

/**
 * The JSON text of a tool's input, which this dialect has as an object and some proxies as a text. Undefined for what
 * is no object.
 */
function inputText(input: unknown): string | undefined {
  if (input === undefined || input === null) return '{}'
  if (typeof input === 'string') {
    const parsed = parseArguments(input)
    return parsed && (Object.keys(parsed).length === 0 ? '{}' : input)
  }
  if (!isObject(input)) return undefined
  try {
    return JSON.stringify(input)
  } catch {
    return undefined // nested too deep to be written
  }
}
