import {
  filledTextOf,
  isObject,
  type JsonObject,
  numberOf,
  objectsIn,
  present,
} from '../../../lib/json/read.ts'
import type { ChatChoice, ChatResponse, TokenLogprob, ToolCall, Usage } from '../../../sdk/chat.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { AnswerCallIds, randomCallId } from '../../shared/call-ids.ts'
import { failedBy, readFinishReason } from '../../shared/finish-reasons.ts'
import { signatureIn } from '../../shared/signed-ids.ts'
import { customArguments, wholeArgumentText } from '../../shared/tool-arguments.ts'
import { isErrorShaped, reportedError, unreadable } from '../../shared/upstream-error.ts'
import { calledIn } from '../stream/calls.ts'
import { type CallForm, callFormOf, writeToolCall } from './call-form.ts'
import { readHead, readLogprobs, readSaid, readTimings, readUsage } from './fields-read.ts'

/**
 * Whether this is an answer of the format, whatever the model wrote. Throws `upstream_error` for an error that came with a
 * success status, for an engine that gave up, and for what is no answer at all.
 */
export function checkAnswer(body: unknown): asserts body is JsonObject {
  if (isErrorShaped(body)) throw reportedError(body)
  if (!isObject(body)) throw unreadable('not an object')
  if (!Array.isArray(body.choices)) throw unreadable('no choices')
  for (const choice of objectsIn(body.choices)) {
    const failed = failedBy(choice.finish_reason)
    if (failed) throw failed
  }
}

/**
 * Reads a whole answer of OpenAI, vLLM, LM Studio or another server of the format. Throws `upstream_error` for what
 * {@link checkAnswer} does. Servers that filter an answer leave out its message, or the choice.
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
  const { text, reasoning, refusal } = readSaid(message)
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
      unknownReason,
      logprobs: readLogprobs(choice.logprobs),
      stopSequence: filledTextOf(choice.stop_reason),
    }),
  }
}

/** `function_call` is the deprecated form of one call. */
function readCalls(message: JsonObject, newCallId: () => string): ToolCall[] {
  const calls = objectsIn(message.tool_calls)
  if (calls.length === 0 && isObject(message.function_call)) calls.push({ function: message.function_call })
  if (calls.length === 0) return []
  const ids = new AnswerCallIds(newCallId)
  return calls.flatMap((call) => {
    const { name, json, input } = calledIn(call)
    // A call of nothing is none, and in the next turn an error.
    if (name === '') return []
    const text = input === undefined ? wholeArgumentText(json) : customArguments(input)
    return [
      {
        id: ids.claim(filledTextOf(call.id) ?? ''),
        name,
        arguments: text,
        ...present({ signature: signatureIn(call) }),
      },
    ]
  })
}

/** A `chat.completion` object. Source: OpenAI API reference, "The chat completion object". */
export function writeResponse(response: ChatResponse, context: AnswerContext): JsonObject {
  return {
    id: answerId(response.id, context.id),
    object: 'chat.completion',
    created: response.created ?? context.created,
    model: context.model,
    choices: response.choices.map((choice) => writeChoice(choice, context)),
    ...(response.usage ? { usage: writeUsage(response.usage) } : {}),
    ...present({ system_fingerprint: response.systemFingerprint }),
  }
}

/** `tool_calls` is left out where there are none: some agents take an empty list for a call. */
function writeChoice(choice: ChatChoice, context: AnswerContext): JsonObject {
  const { index, text, reasoning, refusal, toolCalls, finishReason, logprobs } = choice
  const silent = text === '' && (toolCalls.length > 0 || refusal !== undefined)
  const ends = finishReason === 'stop' && toolCalls.length > 0 ? 'tool_calls' : finishReason
  const form = toolCalls.length > 0 ? callFormOf(context) : undefined
  return {
    index,
    message: {
      role: 'assistant',
      content: silent ? null : text,
      refusal: refusal ?? null,
      annotations: [],
      // Clients look for one of the two names; both say the same.
      ...(reasoning === '' ? {} : { reasoning_content: reasoning, reasoning }),
      ...(form ? writeCalls(toolCalls, form) : {}),
    },
    logprobs: writeLogprobs(logprobs),
    finish_reason: form?.isLegacy && ends === 'tool_calls' ? 'function_call' : ends,
  }
}

/** The deprecated form has room for one call. */
function writeCalls(calls: readonly ToolCall[], form: CallForm): JsonObject {
  if (!form.isLegacy) return { tool_calls: calls.map((call) => writeToolCall(call, form)) }
  const [call] = calls
  return { function_call: { name: call?.name, arguments: call?.arguments } }
}

/** Details are written where they are known: a zero would be a claim. */
export function writeUsage(usage: Usage): JsonObject {
  const { promptTokens, completionTokens, cachedTokens, cacheWriteTokens, reasoningTokens } = usage
  const prompt = present({ cached_tokens: cachedTokens, cache_write_tokens: cacheWriteTokens })
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    ...(Object.keys(prompt).length === 0 ? {} : { prompt_tokens_details: prompt }),
    ...(reasoningTokens === undefined
      ? {}
      : { completion_tokens_details: { reasoning_tokens: reasoningTokens } }),
  }
}

/** `bytes` may be null on the wire, `top_logprobs` may be empty but never absent. */
export function writeLogprobs(logprobs: readonly TokenLogprob[] | undefined): JsonObject | null {
  if (logprobs === undefined) return null
  const content = logprobs.map(({ token, logprob, bytes, topLogprobs }) => ({
    token,
    logprob,
    bytes,
    top_logprobs: topLogprobs,
  }))
  return { content, refusal: null }
}

/** The upstream's id where it looks like this dialect's own, else one made of the answer's random part. */
export function answerId(upstreamId: string | undefined, ownId: string): string {
  return upstreamId?.startsWith('chatcmpl-') ? upstreamId : `chatcmpl-${ownId}`
}
