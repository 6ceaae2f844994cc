import { type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatChoice, ChatResponse } from '../../../sdk/chat.ts'
import { type ChoicePiece, piecesOf } from '../../../sdk/choice-pieces.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { citationsWithUrl } from '../../shared/dropped-output.ts'
import { writeGrounding } from '../grounding.ts'
import {
  answerTail,
  includesThoughts,
  writeCall,
  writeFile,
  writeFinish,
  writeLogprobs,
  writeUsage,
} from './fields-write.ts'

/** A whole answer. Format: Gemini API reference, "GenerateContentResponse". */
export function writeResponse(response: ChatResponse, context: AnswerContext): JsonObject {
  const withThoughts = includesThoughts(context)
  return {
    candidates: response.choices.map((choice) => writeCandidate(choice, withThoughts, context)),
    ...present({ usageMetadata: response.usage && writeUsage(response.usage) }),
    ...answerTail(context, response.id ?? context.id),
  }
}

function writeCandidate(choice: ChatChoice, withThoughts: boolean, context: AnswerContext): JsonObject {
  const {
    index,
    reasoning,
    reasoningSignature: signature,
    refusal,
    finishReason,
    logprobs,
    citations = [],
  } = choice
  const thoughts = signature === undefined ? undefined : { reasoning, signature }
  const pieces = piecesOf(choice)
  const before = withThoughts && reasoning !== '' ? [{ text: reasoning, thought: true }] : []
  const parts = [...before, ...pieces.map((piece) => writePiece(piece, thoughts))]
  const texts = pieces.flatMap((piece, position) =>
    piece.type === 'text' ? [{ ...piece, partIndex: before.length + position }] : [],
  )
  return {
    content: { parts: parts.length > 0 ? parts : [{ text: '' }], role: 'model' },
    finishReason: writeFinish(refusal === undefined ? finishReason : 'content_filter'),
    index,
    ...present({
      logprobsResult: logprobs && writeLogprobs(logprobs),
      groundingMetadata: writeGrounding(citationsWithUrl(citations, context), texts),
    }),
  }
}

function writePiece(piece: ChoicePiece, thoughts: Parameters<typeof writeCall>[1]): JsonObject {
  switch (piece.type) {
    case 'text':
    case 'refusal':
      return { text: piece.text }
    case 'file':
      return writeFile(piece.file)
    case 'call':
      return writeCall(piece.call, piece.index === 0 ? thoughts : undefined)
  }
}
