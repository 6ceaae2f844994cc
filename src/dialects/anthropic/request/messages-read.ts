import { filledTextOf, type JsonObject, objectsIn, present, textOf } from '../../../lib/json/read.ts'
import type {
  AssistantMessage,
  ChatMessage,
  SystemMessage,
  ToolCall,
  ToolMessage,
} from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import { readCacheControl, withCacheControlOnLast } from '../../shared/cache-control.ts'
import type { ReportField } from '../../shared/dropped-fields.ts'
import { requiredText, textParts } from '../../shared/message-parts.ts'
import { readSignedId } from '../../shared/signatures.ts'
import { ConversationCalls } from '../../shared/tools/call-ids.ts'
import { addParts } from '../../shared/tools/call-order.ts'
import { mergedTurns } from '../../shared/tools/merged-turns.ts'
import { historyArguments } from '../../shared/tools/tool-arguments.ts'
import { withoutBillingHeader } from './billing-header.ts'
import { readContent, readUserBlock } from './blocks-read.ts'

/** The top-level `system`; empty if it has no content. */
export function readSystem(system: unknown): SystemMessage[] {
  const blocks: JsonObject[] = typeof system === 'string' ? [{ text: system }] : objectsIn(system)
  const parts = blocks.flatMap((block) => {
    const text = textOf(block.text)
    if (text === undefined) return []
    return withCacheControlOnLast(textParts(withoutBillingHeader(text)), readCacheControl(block))
  })
  return parts.length === 0 ? [] : [{ role: 'system', developer: false, parts }]
}

/**
 * Reads the turns of a conversation. Tool results in a user turn become separate messages before the rest of the turn, because
 * other dialects expect them right after the calls. Throws `bad_request` with the path of the error.
 */
export function readMessages(messages: unknown, drop: ReportField): ChatMessage[] {
  const calls = new ConversationCalls('toolu_')
  const read = objectsIn(messages).flatMap((message, index): ChatMessage[] => {
    const path = `messages[${index}].content`
    switch (textOf(message.role)?.toLowerCase()) {
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
  return mergedTurns(read)
}

function readUser(
  content: unknown,
  path: string,
  calls: ConversationCalls,
  drop: ReportField,
): ChatMessage[] {
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

function readResult(
  block: JsonObject,
  path: string,
  calls: ConversationCalls,
  drop: ReportField,
): ToolMessage {
  const sentId = requiredText(block.tool_use_id, `${path}.tool_use_id`)
  const call = calls.answerById(sentId)
  return {
    role: 'tool',
    callId: call?.id ?? sentId,
    ...(call ? { name: call.name } : {}),
    parts: withCacheControlOnLast(
      readContent(block.content, `${path}.content`, drop),
      readCacheControl(block),
    ),
    ...(block.is_error === true ? { isError: true } : {}),
  }
}

function readAssistant(
  content: unknown,
  path: string,
  calls: ConversationCalls,
  drop: ReportField,
): AssistantMessage {
  const message: AssistantMessage = { role: 'assistant', parts: [], reasoning: '', toolCalls: [] }
  if (typeof content === 'string') return { ...message, parts: textParts(content) }
  const thinking: JsonObject[] = []
  for (const [index, block] of objectsIn(content).entries()) {
    const at = `${path}[${index}]`
    switch (block.type) {
      case 'text':
        addParts(
          message,
          withCacheControlOnLast(textParts(requiredText(block.text, `${at}.text`)), readCacheControl(block)),
        )
        break
      case 'thinking':
        thinking.push(block)
        break
      case 'tool_use':
        message.toolCalls.push(readCall(block, at, calls, drop))
        break
      default:
        // Redacted thinking and the blocks of Anthropic's own tools are meaningless to any other upstream.
        drop(`messages.${filledTextOf(block.type) ?? 'content'}`)
    }
  }
  return { ...message, ...readThinking(thinking) }
}

/** A signature is valid for one block only, so there is none for several joined blocks. */
function readThinking(blocks: JsonObject[]): { reasoning: string; reasoningSignature?: string } {
  const reasoning = blocks
    .map((block) => textOf(block.thinking))
    .filter(Boolean)
    .join('\n\n')
  const signature = blocks.length === 1 ? filledTextOf(blocks[0]?.signature) : undefined
  return { reasoning, ...(signature === undefined ? {} : { reasoningSignature: signature }) }
}

/** The input is an object in this dialect; some proxies send it as JSON text. */
function readCall(block: JsonObject, path: string, calls: ConversationCalls, drop: ReportField): ToolCall {
  const name = filledTextOf(block.name)
  if (name === undefined) throw badRequest(`'${path}.name' must be a non-empty string`, `${path}.name`)
  const { json, isConverted } = historyArguments(block.input)
  if (isConverted) drop('messages.tool_use.input')
  const sentId = textOf(block.id) ?? ''
  const { signature } = readSignedId(sentId)
  return {
    id: calls.add(sentId, name),
    name,
    arguments: json,
    ...present({ signature }),
    ...readCacheControl(block),
  }
}
