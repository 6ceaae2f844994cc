import type { JsonObject } from '../../../lib/json/read.ts'
import type { ChatMessage, ToolCall, UserPart } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { Drop } from '../../../sdk/write-options.ts'
import { joinTexts } from '../../shared/message-parts.ts'
import { parseArguments } from '../../shared/tools/tool-arguments.ts'
import { failureText } from '../../shared/tools/tool-results.ts'
import { writeImage } from './messages-read.ts'

/**
 * Writes the turns of a conversation as messages, whose content is a single text with images beside it. Throws `bad_request`
 * for parts that Ollama does not accept.
 */
export function writeMessages(messages: readonly ChatMessage[], drop: Drop): JsonObject[] {
  const names = new Map<string, string>()
  const written: JsonObject[] = []
  for (const [index, message] of messages.entries()) {
    if (message.role !== 'tool' && message.name !== undefined) {
      drop('messages.name', 'Ollama has no field for speaker names')
    }
    if (message.role === 'assistant') for (const call of message.toolCalls) names.set(call.id, call.name)
    written.push(writeMessage(message, `messages[${index}]`, names, drop))
  }
  return written
}

function writeMessage(
  message: ChatMessage,
  path: string,
  names: ReadonlyMap<string, string>,
  drop: Drop,
): JsonObject {
  switch (message.role) {
    case 'system':
      return { role: 'system', content: joinTexts(message.parts) }
    case 'user':
      return { role: 'user', ...writeUserParts(message.parts, path, drop) }
    case 'assistant': {
      const calls = message.toolCalls.map((call, at) => writeCall(call, at, path))
      return {
        role: 'assistant',
        content: joinTexts(message.parts),
        ...(message.reasoning === '' ? {} : { thinking: message.reasoning }),
        ...(calls.length === 0 ? {} : { tool_calls: calls }),
      }
    }
    case 'tool': {
      const name = names.get(message.callId) ?? message.name
      const written = writeUserParts(message.parts, path, drop)
      return {
        role: 'tool',
        ...written,
        ...(message.isError === true ? { content: failureText(written.content) } : {}),
        ...(name === undefined ? {} : { tool_name: name }),
        tool_call_id: message.callId,
      }
    }
  }
}

function writeUserParts(
  parts: readonly UserPart[],
  path: string,
  drop: Drop,
): { content: string; images?: string[] } {
  const texts: string[] = []
  const images: string[] = []
  for (const part of parts) {
    switch (part.type) {
      case 'text':
        texts.push(part.text)
        break
      case 'image':
        if (part.detail !== undefined && part.detail !== 'auto') {
          drop('image_url.detail', 'Ollama has no setting for the image resolution')
        }
        images.push(writeImage(part, `${path}.content`))
        break
      case 'audio':
      case 'file':
        throw badRequest(
          `${path}.content: the upstream of this model accepts text and images, but no ${part.type} parts`,
          `${path}.content`,
        )
    }
  }
  return { content: texts.join('\n'), ...(images.length === 0 ? {} : { images }) }
}

function writeCall(call: ToolCall, index: number, path: string): JsonObject {
  const parsed = parseArguments(call.arguments)
  const param = `${path}.tool_calls[${index}].function.arguments`
  if (!parsed) throw badRequest(`${param} must be a JSON object, as a string`, param)
  return { id: call.id, function: { index, name: call.name, arguments: parsed } }
}
