import { type JsonObject, present } from '../../../lib/json/read.ts'
import type {
  AssistantMessage,
  AssistantPart,
  ChatMessage,
  ToolMessage,
  UserPart,
} from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { WriteRequestOptions } from '../../../sdk/write-options.ts'
import { imageUrl, openaiFile } from '../../shared/media.ts'
import { joinTexts } from '../../shared/message-parts.ts'
import { orderedPieces } from '../../shared/tools/call-order.ts'
import { failureText } from '../../shared/tools/tool-results.ts'

/** Writes turns as input items. Their ids are omitted, because only the upstream that created them knows them. */
export function writeItems(messages: readonly ChatMessage[], options: WriteRequestOptions): JsonObject[] {
  const { flavour, drop } = options
  const hasReasoning = messages.some((message) => message.role === 'assistant' && message.reasoning !== '')
  const acceptsReasoning = (flavour.reasoningHistory?.length ?? 0) > 0
  if (hasReasoning && !acceptsReasoning)
    drop('messages.reasoning', 'the upstream accepts only its own reasoning')
  if (messages.some((message) => message.role !== 'tool' && message.name !== undefined)) {
    drop('messages.name', 'input items have no field for speaker names')
  }
  return messages.flatMap((message) => writeTurn(message, options, acceptsReasoning))
}

function writeTurn(
  message: ChatMessage,
  { flavour }: WriteRequestOptions,
  acceptsReasoning: boolean,
): JsonObject[] {
  switch (message.role) {
    case 'system': {
      const role = message.developer && flavour.developerRole ? 'developer' : 'system'
      return [{ role, content: joinTexts(message.parts) }]
    }
    case 'user':
      return [{ role: 'user', content: writeContent(message.parts) }]
    case 'assistant':
      return writeAssistant(message, acceptsReasoning)
    case 'tool':
      return [writeResult(message)]
  }
}

function writeAssistant(message: AssistantMessage, acceptsReasoning: boolean): JsonObject[] {
  const { reasoning } = message
  const items: JsonObject[] = []
  if (acceptsReasoning && reasoning !== '') {
    items.push({ type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: reasoning }] })
  }
  let content: JsonObject[] = []
  for (const piece of orderedPieces(message)) {
    if (piece.type === 'call') {
      const { id, name, arguments: json } = piece.call
      items.push({ type: 'function_call', call_id: id, name, arguments: json })
      content = []
    } else if (piece.part.text !== '') {
      if (content.length === 0) items.push({ type: 'message', role: 'assistant', content })
      content.push(writeOutput(piece.part))
    }
  }
  return items
}

function writeOutput({ type, text }: AssistantPart): JsonObject {
  return type === 'refusal' ? { type, refusal: text } : { type: 'output_text', text, annotations: [] }
}

function writeResult({ callId, parts, isError }: ToolMessage): JsonObject {
  const output = isError === true ? asFailure(parts) : parts
  return { type: 'function_call_output', call_id: callId, output: writeContent(output) }
}

function asFailure([first, ...rest]: readonly UserPart[]): UserPart[] {
  if (first?.type === 'text') return [{ ...first, text: failureText(first.text) }, ...rest]
  const failure: UserPart = { type: 'text', text: failureText('') }
  return first ? [failure, first, ...rest] : [failure]
}

function writeContent(parts: readonly UserPart[]): string | JsonObject[] {
  const texts = parts.filter((part) => part.type === 'text')
  return texts.length === parts.length ? joinTexts(texts) : parts.map(writePart)
}

function writePart(part: UserPart): JsonObject {
  switch (part.type) {
    case 'text':
      return { type: 'input_text', text: part.text }
    case 'image':
      return { type: 'input_image', image_url: imageUrl(part.source), detail: part.detail ?? 'auto' }
    case 'file':
      return {
        type: 'input_file',
        ...openaiFile(part),
        ...present({ file_url: part.url, file_id: part.fileId }),
      }
    case 'audio':
      throw badRequest('The upstream of this model does not accept audio', 'messages')
  }
}
