import { filledTextOf } from '../../lib/json/read.ts'
import type { FinishReason } from '../../sdk/chat.ts'
import { type RouterError, upstreamFailed } from '../../sdk/errors.ts'

type Meaning = FinishReason | 'failed'

/**
 * Finish reasons of all servers, in lower case with underscores. Sources: the API references of OpenAI, Anthropic
 * (`stop_reason`), Mistral (`model_length`), DeepSeek (`insufficient_system_resource`), Gemini (`FinishReason`), Amazon
 * Bedrock (`stopReason` of Converse), Cohere, Zhipu (`sensitive`, `network_error`), Ollama (`done_reason`), vLLM and SGLang
 * (`abort`, `repetition`) and llama.cpp (`limit`, `eos`, `word`). They share one table because proxies forward the reasons of
 * the server behind them.
 */
const meanings: ReadonlyMap<string, Meaning> = new Map([
  ...allMean('stop', [
    'stop',
    'stopped',
    'stop_sequence',
    'stop_token',
    'end_turn',
    'pause_turn',
    'compaction',
    'end_of_text',
    'end_of_turn',
    'eos',
    'eos_token',
    'word',
    'complete',
    'completed',
  ]),
  ...allMean('tool_calls', ['tool_calls', 'tool_call', 'tool_use', 'function_call', 'function_calls']),
  ...allMean('length', [
    'length',
    'limit',
    'max_tokens',
    'max_new_tokens',
    'max_output_tokens',
    'max_completion_tokens',
    'max_length',
    'max_context_length',
    'model_length',
    'token_limit',
    'context_length',
    'context_length_exceeded',
    'context_window_exceeded',
    'model_context_window_exceeded',
    'error_limit',
    // A repetitive response that the engine stopped is as incomplete as one that reached a limit.
    'repetition',
    'repetition_detected',
    'repetitive',
  ]),
  ...allMean('content_filter', [
    'content_filter',
    'content_filtered',
    'content_policy_violation',
    'guardrail_intervened',
    'guardrails',
    'refusal',
    'safety',
    'recitation',
    'language',
    'blocklist',
    'blocked',
    'prohibited_content',
    'spii',
    'image_safety',
    'image_prohibited_content',
    'image_recitation',
    'model_armor',
    'sensitive',
    'error_toxic',
  ]),
  ...allMean('failed', [
    'abort',
    'aborted',
    'cancelled',
    'canceled',
    'error',
    'failed',
    'failure',
    'engine_error',
    'internal_error',
    'server_error',
    'network_error',
    'timeout',
    'insufficient_system_resource',
    'malformed_function_call',
    'malformed_response',
    'malformed_model_output',
    'malformed_tool_use',
    'unexpected_tool_call',
    'too_many_tool_calls',
    'missing_thought_signature',
    'image_other',
    'no_image',
  ]),
])

function allMean(meaning: Meaning, reasons: readonly string[]): [string, Meaning][] {
  return reasons.map((reason) => [reason, meaning])
}

export interface ReadReason {
  reason: FinishReason
  /** The server's finish reason, if unknown. */
  unknownReason?: string
}

/**
 * Why an answer ended. `tool_calls` without a call becomes `stop`, because agents would wait for the call. So does an unknown
 * reason, because clients with a closed list fail on it; `unknownReason` is for the log and for dialects with free text.
 * {@link abortError} handles the reasons of aborted answers.
 */
export function readFinishReason(reason: unknown, calledTools: boolean): ReadReason {
  const meaning = meaningOf(reason)
  if (meaning === 'length' || meaning === 'content_filter') return { reason: meaning }
  const text = filledTextOf(reason)
  const isUnknown = meaning === undefined && text !== undefined && loggableReason.test(text)
  return { reason: calledTools ? 'tool_calls' : 'stop', ...(isUnknown ? { unknownReason: text } : {}) }
}

/** The error for a finish reason of an engine that aborted: such an answer is a failure, although it ended properly. */
export function abortError(reason: unknown): RouterError | undefined {
  if (meaningOf(reason) !== 'failed') return undefined
  return upstreamFailed('The upstream aborted the response', 'UPSTREAM_ABORTED', { finish_reason: reason })
}

/** Unknown finish reasons that may be logged and forwarded: anything else could be generated text. */
const loggableReason = /^[\w:.-]{1,64}$/

function meaningOf(reason: unknown): Meaning | undefined {
  if (typeof reason !== 'string' || reason.length > 128) return undefined
  return meanings.get(reason) ?? meaningOfVariant(reason)
}

/**
 * Gemini uses capitals, some proxies hyphens, and Gemini's OpenAI endpoint appends its own reason (`content_filter:
 * RECITATION`).
 */
function meaningOfVariant(reason: string): Meaning | undefined {
  const [first = '', second = ''] = reason.split(':', 2).map((word) =>
    word
      .trim()
      .toLowerCase()
      .replaceAll(/[\s-]+/g, '_'),
  )
  const word = first.replace(/^(?:finish|stop)_?reason[_.]/, '')
  return meanings.get(word) ?? meanings.get(second)
}
