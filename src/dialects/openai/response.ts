import { AnswerCallIds, randomCallId } from '../../core/call-ids.ts'
import type { ChatChoice, ChatResponse, ToolCall } from '../../core/chat.ts'
import type { AnswerContext } from '../../core/dialect.ts'
import {
  filledTextOf,
  isObject,
  type JsonObject,
  numberOf,
  objectsIn,
  present,
} from '../../core/json-read.ts'
import { abortedBy, finishReasonOf, readHead, readLogprobs, readSaid, readUsage } from './answer-read.ts'
import { answerId, writeLogprobs, writeUsage } from './answer-write.ts'
import { isErrorShaped, reportedError, unreadable } from './errors.ts'
import { isObjectText, wholeArgumentText } from './json.ts'

/**
 * Reads a whole answer of OpenAI, vLLM, LM Studio or another server of the format. Throws `upstream_error` for an
 * error that came with a success status, and for what holds no answer.
 */
export function readResponse(body: unknown, newCallId: () => string = randomCallId): ChatResponse {
  if (isErrorShaped(body)) throw reportedError(body)
  if (!isObject(body)) throw unreadable('not an object')
  const choices = objectsIn(body.choices)
  if (choices.length === 0) throw unreadable('no choices')
  return {
    ...readHead(body),
    choices: choices.map((choice, position) => readChoice(choice, position, newCallId)),
    ...present({ usage: readUsage(body) }),
  }
}

function readChoice(choice: JsonObject, position: number, newCallId: () => string): ChatChoice {
  const aborted = abortedBy(choice.finish_reason)
  if (aborted) throw aborted
  const { message } = choice
  if (!isObject(message)) throw unreadable('no message')
  const { text, reasoning, refusal } = readSaid(message)
  const toolCalls = readCalls(message, newCallId)
  return {
    index: numberOf(choice.index) ?? position,
    text,
    reasoning,
    toolCalls,
    finishReason: finishReasonOf(choice.finish_reason, toolCalls.length > 0),
    ...(refusal === '' ? {} : { refusal }),
    ...present({ logprobs: readLogprobs(choice.logprobs), stopSequence: filledTextOf(choice.stop_reason) }),
  }
}

/** `function_call` is the deprecated form of one call. */
function readCalls(message: JsonObject, newCallId: () => string): ToolCall[] {
  const calls = objectsIn(message.tool_calls)
  if (calls.length === 0 && isObject(message.function_call)) calls.push({ function: message.function_call })
  if (calls.length === 0) return []
  const ids = new AnswerCallIds(newCallId)
  return calls.map((call) => {
    const called = isObject(call.function) ? call.function : {}
    const name = filledTextOf(called.name)
    if (name === undefined) throw unreadable('tool call without a name')
    const json = wholeArgumentText(called.arguments)
    if (!isObjectText(json)) throw unreadable('tool arguments that are no object')
    return { id: ids.claim(filledTextOf(call.id) ?? ''), name, arguments: json }
  })
}

/** A `chat.completion` object. Source: OpenAI API reference, "The chat completion object". */
export function writeResponse(response: ChatResponse, context: AnswerContext): JsonObject {
  return {
    id: answerId(response.id, context.id),
    object: 'chat.completion',
    created: response.created ?? context.created,
    model: context.model,
    choices: response.choices.map(writeChoice),
    ...(response.usage ? { usage: writeUsage(response.usage) } : {}),
    ...present({ system_fingerprint: response.systemFingerprint }),
  }
}

/** `tool_calls` is left out where there are none: some agents take an empty list for a call. */
function writeChoice(choice: ChatChoice): JsonObject {
  const { index, text, reasoning, refusal, toolCalls, finishReason, logprobs } = choice
  const silent = text === '' && (toolCalls.length > 0 || refusal !== undefined)
  const calls = toolCalls.map((call) => ({
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
  }))
  return {
    index,
    message: {
      role: 'assistant',
      content: silent ? null : text,
      refusal: refusal ?? null,
      annotations: [],
      // Clients look for one of the two names; both say the same.
      ...(reasoning === '' ? {} : { reasoning_content: reasoning, reasoning }),
      ...(calls.length === 0 ? {} : { tool_calls: calls }),
    },
    logprobs: writeLogprobs(logprobs),
    finish_reason: finishReason === 'stop' && calls.length > 0 ? 'tool_calls' : finishReason,
  }
}
