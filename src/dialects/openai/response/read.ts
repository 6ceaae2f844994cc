import {
  filledTextOf,
  isObject,
  type JsonObject,
  numberOf,
  objectsIn,
  present,
} from '../../../lib/json/read.ts'
import type { ChatChoice, ChatResponse, ToolCall } from '../../../sdk/chat.ts'
import { readAnnotations } from '../../shared/annotations.ts'
import { abortError, readFinishReason } from '../../shared/finish-reasons.ts'
import { readCallSignature } from '../../shared/signatures.ts'
import { AnswerCallIds, randomCallId } from '../../shared/tools/call-ids.ts'
import { customArguments, wholeArgumentText } from '../../shared/tools/tool-arguments.ts'
import { isErrorShaped, reportedError, unreadable } from '../../shared/upstream-error.ts'
import { toolCallContentOf } from '../stream/calls.ts'
import {
  readHead,
  readImages,
  readLogprobs,
  readMessageText,
  readTimings,
  readUsage,
  stopSequenceOf,
} from './fields-read.ts'

/**
 * Checks that a body is a chat completion, whatever its content. Throws `upstream_error` for an error with a success status,
 * an aborted response, and anything else.
 */
export function checkAnswer(body: unknown): asserts body is JsonObject {
  if (isErrorShaped(body)) throw reportedError(body)
  if (!isObject(body)) throw unreadable('not an object')
  if (!Array.isArray(body.choices)) throw unreadable('no choices')
  for (const choice of objectsIn(body.choices)) {
    const failed = abortError(choice.finish_reason)
    if (failed) throw failed
  }
}

/**
 * Reads a whole chat completion. Throws `upstream_error` as {@link checkAnswer} does. The message or all choices may be
 * missing: servers that filter a response omit them.
 */
export function readResponse(body: unknown, newCallId: () => string = randomCallId): ChatResponse {
  checkAnswer(body)
  const choices = objectsIn(body.choices)
  const filled = choices.length === 0 ? [{}] : choices
  return {
    ...readHead(body),
    choices: filled.map((choice, position) => readChoice(choice, position, newCallId)),
    ...present({ usage: readUsage(body), timings: readTimings(body) }),
  }
}

function readChoice(choice: JsonObject, position: number, newCallId: () => string): ChatChoice {
  const message = isObject(choice.message) ? choice.message : {}
  const { text, reasoning, refusal } = readMessageText(message)
  const citations = readAnnotations(message.annotations)
  const files = readImages(message)
  const toolCalls = readCalls(message, newCallId)
  const { reason, unknownReason } = readFinishReason(choice.finish_reason, toolCalls.length > 0)
  return {
    index: numberOf(choice.index) ?? position,
    text,
    reasoning,
    toolCalls,
    finishReason: reason,
    ...(refusal === '' ? {} : { refusal }),
    ...present({
      citations: citations.length === 0 ? undefined : citations,
      files: files.length === 0 ? undefined : files,
      unknownReason,
      logprobs: readLogprobs(choice.logprobs),
      stopSequence: stopSequenceOf(choice),
    }),
  }
}

/** `function_call` is the deprecated form of a single call. */
function readCalls(message: JsonObject, newCallId: () => string): ToolCall[] {
  const calls = objectsIn(message.tool_calls)
  if (calls.length === 0 && isObject(message.function_call)) calls.push({ function: message.function_call })
  if (calls.length === 0) return []
  const ids = new AnswerCallIds(newCallId)
  return calls.flatMap((call) => {
    const { name, json, input } = toolCallContentOf(call)
    // A call without a name is dropped: it would be an error in the next turn.
    if (name === '') return []
    const text = input === undefined ? wholeArgumentText(json) : customArguments(input)
    return [
      {
        id: ids.claim(filledTextOf(call.id) ?? ''),
        name,
        arguments: text,
        ...present({ signature: readCallSignature(call) }),
      },
    ]
  })
}
