import { type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatChoice, ChatResponse } from '../../../sdk/chat.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { addressed } from '../../shared/dropped-output.ts'
import { writeGrounding } from '../grounding.ts'
import {
  answerTail,
  showsThoughts,
  writeCall,
  writeFile,
  writeFinish,
  writeLogprobs,
  writeUsage,
} from './fields-write.ts'

/** A whole answer. Format: Gemini API reference, "GenerateContentResponse". */
export function writeResponse(response: ChatResponse, context: AnswerContext): JsonObject {
  const shows = showsThoughts(context)
  return {
    candidates: response.choices.map((choice) => writeCandidate(choice, shows, context)),
    ...present({ usageMetadata: response.usage && writeUsage(response.usage) }),
    ...answerTail(context, response.id ?? context.id),
  }
}

function writeCandidate(choice: ChatChoice, shows: boolean, context: AnswerContext): JsonObject {
  const {
    index,
    text,
    reasoning,
    reasoningSignature: signature,
    refusal,
    toolCalls,
    finishReason,
    logprobs,
    citations = [],
    files = [],
  } = choice
  const texts = [text, refusal ?? ''].filter((each) => each !== '')
  const thoughts = signature === undefined ? undefined : { reasoning, signature }
  const parts = [
    ...(shows && reasoning !== '' ? [{ text: reasoning, thought: true }] : []),
    ...texts.map((each) => ({ text: each })),
    ...files.map(writeFile),
    ...toolCalls.map((call, position) => writeCall(call, position === 0 ? thoughts : undefined)),
  ]
  return {
    content: { parts: parts.length > 0 ? parts : [{ text: '' }], role: 'model' },
    finishReason: writeFinish(refusal === undefined ? finishReason : 'content_filter'),
    index,
    ...present({
      logprobsResult: logprobs && writeLogprobs(logprobs),
      groundingMetadata: writeGrounding(addressed(citations, context), text),
    }),
  }
}
