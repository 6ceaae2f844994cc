import { isObject } from '../../lib/json/read.ts'
import type { AssistantMessage, ChatMessage, ToolCall, ToolMessage, UserPart } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'
import { ConversationCalls } from './call-ids.ts'
import { readImage } from './images.ts'

/** Reads the turns of a conversation; gives every tool call an id and every result its call. Throws `bad_request`. */
export function readMessages(messages: readonly unknown[]): ChatMessage[] {
  const calls = new ConversationCalls()
  return messages.map((message, index) => {
    const place = `messages[${index}]`
    if (!isObject(message)) throw badRequest(`${place} must be an object`, place)
    switch (message.role) {
      case 'system':
        refuseImages(message, place)
        return {
          role: 'system',
          developer: false,
          parts: [{ type: 'text', text: contentOf(message, place) }],
        }
      case 'user':
        return { role: 'user', parts: userParts(message, place) }
      case 'assistant':
        refuseImages(message, place)
        return readAssistant(message, index, calls)
      case 'tool':
        return readToolResult(message, place, calls)
      default:
        throw badRequest(`${place}.role must be system, user, assistant or tool`, `${place}.role`)
    }
  })
}

function contentOf(message: Record<string, unknown>, place: string): string {
  const content = message.content ?? ''
  if (typeof content === 'string') return content
  throw badRequest(`${place}.content must be a string`, `${place}.content`)
}

function userParts(message: Record<string, unknown>, place: string): UserPart[] {
  const text = contentOf(message, place)
  const images = imagesOf(message).map((image, index) => readImage(image, `${place}.images[${index}]`))
  return text === '' && images.length > 0 ? images : [{ type: 'text', text }, ...images]
}

function imagesOf(message: Record<string, unknown>): string[] {
  return Array.isArray(message.images) ? message.images.filter((image) => typeof image === 'string') : []
}

function refuseImages(message: Record<string, unknown>, place: string): void {
  if (imagesOf(message).length === 0) return
  throw badRequest(`${place}.images: only user and tool messages can hold images`, `${place}.images`)
}

function readAssistant(
  message: Record<string, unknown>,
  index: number,
  calls: ConversationCalls,
): AssistantMessage {
  const place = `messages[${index}]`
  const text = contentOf(message, place)
  const toolCalls = Array.isArray(message.tool_calls) ? message.tool_calls : []
  return {
    role: 'assistant',
    parts: text === '' ? [] : [{ type: 'text', text }],
    reasoning: typeof message.thinking === 'string' ? message.thinking : '',
    toolCalls: toolCalls.map((call: unknown, at): ToolCall => {
      const called = isObject(call) ? call.function : undefined
      const param = `${place}.tool_calls[${at}].function`
      if (!isObject(call) || !isObject(called) || typeof called.name !== 'string') {
        throw badRequest(`${param} must be an object with a name`, param)
      }
      const given = called.arguments ?? {}
      if (!isObject(given)) throw badRequest(`${param}.arguments must be an object`, `${param}.arguments`)
      const id = calls.add(index, at, call.id, called.name)
      return { id, name: called.name, arguments: JSON.stringify(given) }
    }),
  }
}

function readToolResult(
  message: Record<string, unknown>,
  place: string,
  calls: ConversationCalls,
): ToolMessage {
  // `name` is what clients sent before Ollama had `tool_name`.
  const given = message.tool_name ?? message.name
  const name = typeof given === 'string' && given !== '' ? given : undefined
  const call = calls.answer(message.tool_call_id, name)
  if (!call) throw badRequest(`${place} answers no tool call: every earlier one has its answer`, place)
  return { role: 'tool', callId: call.id, name: name ?? call.name, parts: userParts(message, place) }
}
