import type { JsonObject } from '../../../lib/json/read.ts'
import type { ChatChoice, ChatResponse, ToolCall } from '../../../sdk/chat.ts'
import { type ChoicePiece, piecesOf } from '../../../sdk/choice-pieces.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { dropOutput } from '../../shared/dropped-output.ts'
import { writeSignedId } from '../../shared/signatures.ts'
import { argumentObject } from '../../shared/tools/tool-arguments.ts'
import { unreadable } from '../../shared/upstream-error.ts'
import { estimatedUsage } from '../token-estimate.ts'
import { legalCallId } from '../tool-identifiers.ts'
import { answerId, messageHead, writeStop, writeUsage } from './fields-write.ts'

/** A whole `message`. Format: Anthropic API reference, "Create a Message". */
export function writeResponse(response: ChatResponse, context: AnswerContext): JsonObject {
  const choice = response.choices.find(({ index }) => index === 0) ?? response.choices[0]
  if (!choice) throw unreadable('no choices')
  // A citation of a web search needs the index that Anthropic encrypted, and is rejected without it in the next turn.
  dropOutput(response, context)
  const end = {
    reason: choice.finishReason,
    stopSequence: choice.stopSequence,
    calledTools: choice.toolCalls.length > 0,
    isRefusal: choice.refusal !== undefined,
  }
  return {
    ...messageHead(answerId(response.id, context.id), context.model),
    content: writeContent(choice),
    ...writeStop(end),
    container: null,
    usage: writeUsage(response.usage ?? estimatedUsage(context.request)),
  }
}

/** Blank text is omitted, because clients would send it back in the next turn, where it is an error. */
function writeContent(choice: ChatChoice): JsonObject[] {
  const { reasoning, reasoningSignature } = choice
  const hasThinking = reasoning !== '' || reasoningSignature !== undefined
  return [
    ...(hasThinking ? [{ type: 'thinking', thinking: reasoning, signature: reasoningSignature ?? '' }] : []),
    ...piecesOf(choice).flatMap(writePiece),
  ]
}

function writePiece(piece: ChoicePiece): JsonObject[] {
  switch (piece.type) {
    case 'text':
    case 'refusal':
      return piece.text.trim() === '' ? [] : [{ type: 'text', text: piece.text }]
    case 'call':
      return [writeCall(piece.call)]
    case 'file':
      return []
  }
}

function writeCall(call: ToolCall): JsonObject {
  const { name, arguments: json } = call
  return { type: 'tool_use', id: legalCallId(writeSignedId(call)), name, input: argumentObject(json) }
}
