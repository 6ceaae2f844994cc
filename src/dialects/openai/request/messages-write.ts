import { append } from '../../../lib/append.ts'
import { type JsonObject, present } from '../../../lib/json/read.ts'
import type {
  AssistantMessage,
  ChatMessage,
  SystemMessage,
  ToolCall,
  ToolMessage,
  UserPart,
} from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { Flavour } from '../../../sdk/profile.ts'
import type { WriteRequestOptions } from '../../../sdk/write-options.ts'
import { imageUrl, openaiFile } from '../../shared/media.ts'
import { joinTexts } from '../../shared/message-parts.ts'
import { failureText } from '../../shared/tools/tool-results.ts'

/** Writes the turns of a conversation as messages. */
export function writeMessages(messages: readonly ChatMessage[], options: WriteRequestOptions): JsonObject[] {
  const { flavour, drop } = options
  const hasReasoning = messages.some((message) => message.role === 'assistant' && message.reasoning !== '')
  if (hasReasoning && !flavour.reasoningHistory?.length) {
    drop('messages.reasoning', 'the upstream does not accept earlier reasoning')
  }
  const written: JsonObject[] = []
  let resultMedia: UserPart[] = []
  for (const message of messages) {
    if (message.role === 'tool') {
      written.push(writeResult(message))
      append(
        resultMedia,
        message.parts.filter((part) => part.type !== 'text'),
      )
      continue
    }
    if (message.role === 'user') {
      written.push(writeUser(resultMedia.concat(message.parts), message.name))
    } else {
      if (resultMedia.length > 0) written.push(writeUser(resultMedia))
      written.push(writeMessage(message, flavour))
    }
    resultMedia = []
  }
  if (resultMedia.length > 0) written.push(writeUser(resultMedia))
  return written
}

/**
 * Tool results are text only in this dialect; their images follow the results of the turn, at the beginning of the next user
 * message: many chat templates reject two user messages in a row.
 */
function writeResult({ callId, parts, isError }: ToolMessage): JsonObject {
  const texts = parts.filter((part) => part.type === 'text')
  const text = texts.length === 0 && parts.length > 0 ? '(see the next message)' : joinTexts(texts)
  return { role: 'tool', tool_call_id: callId, content: isError === true ? failureText(text) : text }
}

function writeUser(parts: readonly UserPart[], name?: string): JsonObject {
  return { role: 'user', content: writeParts(parts), ...present({ name }) }
}

function writeMessage(message: SystemMessage | AssistantMessage, flavour: Flavour): JsonObject {
  switch (message.role) {
    case 'system': {
      const role = message.developer && flavour.developerRole ? 'developer' : 'system'
      return { role, content: joinTexts(message.parts), ...present({ name: message.name }) }
    }
    case 'assistant':
      return writeAssistant(message, flavour.reasoningHistory ?? [])
  }
}

function writeAssistant(message: AssistantMessage, reasoningNames: readonly string[]): JsonObject {
  const { parts, reasoning, toolCalls, name } = message
  const text = joinTexts(parts.filter((part) => part.type === 'text'))
  const refusal = joinTexts(parts.filter((part) => part.type === 'refusal'))
  const hasNoText = text === '' && (toolCalls.length > 0 || refusal !== '')
  const reasoningMembers = reasoning === '' ? [] : reasoningNames.map((member) => [member, reasoning])
  return {
    role: 'assistant',
    content: hasNoText ? null : text,
    ...(refusal === '' ? {} : { refusal }),
    ...Object.fromEntries(reasoningMembers),
    ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(writeCall) }),
    ...present({ name }),
  }
}

function writeCall({ id, name, arguments: json, signature }: ToolCall): JsonObject {
  const signed =
    signature === undefined ? {} : { extra_content: { google: { thought_signature: signature } } }
  return { id, type: 'function', function: { name, arguments: json }, ...signed }
}

/** A string if there is only text: chat templates of local models often do not support lists of parts. */
function writeParts(parts: readonly UserPart[]): string | JsonObject[] {
  const texts = parts.filter((part) => part.type === 'text')
  return texts.length === parts.length ? joinTexts(texts) : parts.map(writePart)
}

function writePart(part: UserPart): JsonObject {
  switch (part.type) {
    case 'text':
      return { type: 'text', text: part.text }
    case 'image':
      return {
        type: 'image_url',
        image_url: { url: imageUrl(part.source), ...present({ detail: part.detail }) },
      }
    case 'audio':
      return { type: 'input_audio', input_audio: { data: part.data, format: part.format } }
    case 'file':
      // Chat completions accept a file's data or id (OpenAI API reference, "File inputs").
      if (part.url !== undefined) {
        throw badRequest(
          'The upstream of this model cannot fetch files from a URL; send the data of the file',
          'messages',
        )
      }
      return {
        type: 'file',
        file: { ...openaiFile(part), ...present({ file_id: part.fileId }) },
      }
  }
}
