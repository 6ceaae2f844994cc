import { type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatChoice, ChatResponse, GeneratedFile, TokenLogprob, ToolCall } from '../../../sdk/chat.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { urlCitation } from '../../shared/annotations.ts'
import { dropFile } from '../../shared/dropped-output.ts'
import { writeSignedId } from '../../shared/signatures.ts'
import { customText } from '../../shared/tools/custom-tools.ts'
import { areCompleteArguments, argumentObject } from '../../shared/tools/tool-arguments.ts'
import { type ClientTool, ClientTools } from '../client-tools.ts'
import { inputItems } from '../request/input-read.ts'
import { seal } from '../sealed-reasoning.ts'
import { type AddressedCitation, type MessagePart, outputPieces } from './message-parts.ts'
import { answerObject, endingOf, type ItemPrefix, itemId } from './object.ts'

/** A whole response: reasoning, then texts and calls in their order. The API has one choice. */
export function writeResponse(
  response: ChatResponse,
  context: AnswerContext,
  offered = new ClientTools(context.request?.tools, inputItems(context.request?.input)),
): JsonObject {
  const [choice] = response.choices
  const output = choice ? itemsOf(choice, context, offered) : []
  return answerObject(context, { ...endingOf(choice?.finishReason ?? 'stop'), output, usage: response.usage })
}

function itemsOf(choice: ChatChoice, context: AnswerContext, offered: ClientTools): JsonObject[] {
  const { id } = context
  const { reasoning, reasoningSignature, finishReason } = choice
  const isCut = endingOf(finishReason).status === 'incomplete'
  const items: JsonObject[] = []
  if (reasoning !== '' || reasoningSignature !== undefined)
    items.push(reasoningItem(itemId('rs', id, 0), reasoning, reasoningSignature))
  const pieces = outputPieces(choice, context)
  let parts: MessagePart[] = []
  for (const [index, piece] of pieces.entries()) {
    const next = pieces[index + 1]
    // A limit can have truncated only the last item. The arguments of a call do not show it: Anthropic completes the object.
    const status = isCut && !next ? 'incomplete' : 'completed'
    switch (piece.type) {
      case 'text':
      case 'refusal':
        parts.push(piece)
        if (next?.type === 'text' || next?.type === 'refusal') break
        items.push(messageItem(itemId('msg', id, items.length), parts, status))
        parts = []
        break
      case 'file':
        if (isImage(piece.file)) items.push(imageItem(itemId('ig', id, items.length), piece.file))
        else dropFile(context, piece.file)
        break
      case 'call': {
        const { call } = piece
        const tool = offered.findByWireName(call.name)
        items.push(callItem(itemId(prefixOf(tool), id, items.length), { call, tool }, status))
      }
    }
  }
  return items
}

/** Format of the items: OpenAI API reference, "The response object", member `output`. */
export type ItemStatus = 'in_progress' | 'completed' | 'incomplete'

export function messageItem(id: string, parts: readonly MessagePart[], status: ItemStatus): JsonObject {
  return { id, type: 'message', status, role: 'assistant', content: parts.map(contentPart) }
}

export function contentPart(part: MessagePart): JsonObject {
  if (part.type === 'refusal') return { type: 'refusal', refusal: part.text }
  const { text, citations, logprobs } = part
  return {
    type: 'output_text',
    text,
    annotations: citations.map((citation) => annotation(citation, text.length)),
    logprobs: logprobs.map(writeLogprob),
  }
}

export function annotation(citation: AddressedCitation, length: number): JsonObject {
  return { type: 'url_citation', ...urlCitation(citation, length) }
}

export function isImage({ mediaType }: GeneratedFile): boolean {
  return mediaType.startsWith('image/')
}

/** An image that the model generated. `file` is absent as long as it is not complete. */
export function imageItem(id: string, file?: GeneratedFile): JsonObject {
  const status = file ? 'completed' : 'in_progress'
  return { id, type: 'image_generation_call', status, result: file?.data ?? null }
}

/** Reasoning is sent as the summary, the only part that all clients show. */
export function reasoningItem(id: string, text: string, signature?: string): JsonObject {
  const sealed = signature === undefined ? undefined : seal({ text, signature })
  const summary = text === '' ? [] : [summaryPart(text)]
  return { id, type: 'reasoning', summary, ...present({ encrypted_content: sealed }) }
}

export function summaryPart(text: string): JsonObject {
  return { type: 'summary_text', text }
}

/** A call and the tool of the client that it calls. */
export interface CallWithTool {
  call: ToolCall
  /** Undefined if the model calls a tool that was not offered. */
  tool: ClientTool | undefined
}

export function prefixOf(tool: ClientTool | undefined): ItemPrefix {
  if (tool?.native) return 'ntc'
  return tool?.definition.type === 'custom' ? 'ctc' : 'fc'
}

/** The item of a call, in the form of its tool. */
export function callItem(id: string, { call, tool }: CallWithTool, sent: ItemStatus): JsonObject {
  const status = statusOf(call, sent)
  if (tool?.native) {
    const { callType, write } = tool.native
    return {
      id,
      type: callType,
      status,
      call_id: writeSignedId(call),
      ...write(argumentObject(call.arguments)),
    }
  }
  const { name = call.name, namespace } = tool ?? {}
  const head = { status, call_id: writeSignedId(call), name, ...present({ namespace }) }
  return tool?.definition.type === 'custom'
    ? { id, type: 'custom_tool_call', ...head, input: customText(call.arguments) }
    : { id, type: 'function_call', ...head, arguments: call.arguments }
}

/** A call with truncated arguments is incomplete, whatever follows it. */
function statusOf(call: ToolCall, status: ItemStatus): ItemStatus {
  return status === 'completed' && !areCompleteArguments(call.arguments) ? 'incomplete' : status
}

export function writeLogprob({ token, logprob, bytes, topLogprobs }: TokenLogprob): JsonObject {
  return { token, logprob, bytes: bytes ?? [], top_logprobs: topLogprobs.map(writeTop) }
}

function writeTop(top: TokenLogprob['topLogprobs'][number]): JsonObject {
  return { ...top, bytes: top.bytes ?? [] }
}
