import { type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatChoice, ChatResponse, Citation, TokenLogprob, ToolCall, Usage } from '../../../sdk/chat.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { urlCitation } from '../../shared/annotations.ts'
import { citationsWithUrl, dropFile } from '../../shared/dropped-output.ts'
import { writeSignedId } from '../../shared/signatures.ts'
import { customNames, customText } from '../../shared/tools/custom-tools.ts'

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

/** `tool_calls` is omitted if empty: some agents treat an empty list as a call. */
function writeChoice(choice: ChatChoice, context: AnswerContext): JsonObject {
  const { index, text, reasoning, refusal, toolCalls, finishReason, logprobs } = choice
  const { citations = [], files = [] } = choice
  for (const file of files) dropFile(context, file)
  const hasNoText = text === '' && (toolCalls.length > 0 || refusal !== undefined)
  const reason = finishReason === 'stop' && toolCalls.length > 0 ? 'tool_calls' : finishReason
  const form = toolCalls.length > 0 ? toolCallFormatOf(context) : undefined
  return {
    index,
    message: {
      role: 'assistant',
      content: hasNoText ? null : text,
      refusal: refusal ?? null,
      annotations: citationsWithUrl(citations, context).map((citation) => annotation(citation, text.length)),
      // Some clients read one name, some the other.
      ...(reasoning === '' ? {} : { reasoning_content: reasoning, reasoning }),
      ...(form ? writeCalls(toolCalls, form) : {}),
    },
    logprobs: writeLogprobs(logprobs),
    finish_reason: form?.isLegacy && reason === 'tool_calls' ? 'function_call' : reason,
  }
}

/** Source: OpenAI API reference, "The chat completion object", `annotations`. */
export function annotation(citation: Citation & { url: string }, length: number): JsonObject {
  return { type: 'url_citation', url_citation: urlCitation(citation, length) }
}

/** The deprecated form holds a single call. */
function writeCalls(calls: readonly ToolCall[], form: ToolCallFormat): JsonObject {
  if (!form.isLegacy) return { tool_calls: calls.map((call) => writeToolCall(call, form)) }
  const [call] = calls
  return { function_call: { name: call?.name, arguments: call?.arguments } }
}

/** Unknown details are omitted, because 0 would be a claim. */
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

/** Members of the upstream's response that the client's repeats. */
export type AnswerHead = Pick<ChatResponse, 'id' | 'created' | 'systemFingerprint'>

/** The upstream's id if it has this dialect's form, otherwise one generated from the response's random part. */
export function answerId(upstreamId: string | undefined, ownId: string): string {
  return upstreamId?.startsWith('chatcmpl-') ? upstreamId : `chatcmpl-${ownId}`
}

/** The form in which a client expects tool calls, by its request: clients that send `functions` do not read `tool_calls`. */
export interface ToolCallFormat {
  /** Whether the client expects the deprecated `function_call`. */
  readonly isLegacy: boolean
  /** Names of the client's custom tools. */
  readonly custom: ReadonlySet<string>
}

export function toolCallFormatOf({ request = {} }: AnswerContext): ToolCallFormat {
  const hasTools = Array.isArray(request.tools) && request.tools.length > 0
  return { isLegacy: !hasTools && Array.isArray(request.functions), custom: customNames(request.tools) }
}

/** An entry of `tool_calls`. Source: OpenAI API reference, "The chat completion object". */
function writeToolCall(call: ToolCall, { custom }: ToolCallFormat): JsonObject {
  const { name, arguments: json } = call
  const id = writeSignedId(call)
  if (custom.has(name)) return { id, type: 'custom', custom: { name, input: customText(json) } }
  return { id, type: 'function', function: { name, arguments: json } }
}
