import type { JsonObject } from '../../../lib/json/read.ts'
import type { FinishReason, Timings, TokenLogprob, ToolCall, Usage } from '../../../sdk/chat.ts'
import { writeSignedId } from '../../shared/signatures.ts'
import { argumentObject } from '../../shared/tools/tool-arguments.ts'

/** The last members of an answer: finish reason, token counts, durations in nanoseconds. Zeros are omitted. */
export function writeEnd(
  end: { reason: FinishReason; unknownReason?: string | undefined },
  usage: Usage | undefined,
  timings: Timings,
): JsonObject {
  const promptTokens = usage?.promptTokens ?? 0
  const completionTokens = usage?.completionTokens ?? 0
  return {
    done: true,
    done_reason: doneReason(end),
    ...nonZero('total_duration', duration(timings.totalNs)),
    ...nonZero('load_duration', duration(timings.loadNs)),
    ...nonZero('prompt_eval_count', promptTokens),
    ...nonZero('prompt_eval_duration', duration(timings.promptNs, promptTokens)),
    ...nonZero('eval_count', completionTokens),
    ...nonZero('eval_duration', duration(timings.completionNs, completionTokens)),
  }
}

/**
 * Durations of a stream, for an upstream that reports none. The wait for the first content counts as processing the prompt.
 */
export function measuredTimings(totalMs: number, firstContentMs: number | undefined): Timings {
  const promptMs = firstContentMs ?? totalMs
  return { totalNs: totalMs * 1e6, promptNs: promptMs * 1e6, completionNs: (totalMs - promptMs) * 1e6 }
}

/** Ollama's reason is free text, so an unknown one is forwarded. Tool calls end with `stop`. */
function doneReason({
  reason,
  unknownReason,
}: {
  reason: FinishReason
  unknownReason?: string | undefined
}): string {
  return reason === 'length' || reason === 'content_filter' ? reason : (unknownReason ?? 'stop')
}

export function writeToolCall(call: ToolCall, index: number): JsonObject {
  return {
    id: writeSignedId(call),
    function: { index, name: call.name, arguments: argumentObject(call.arguments) },
  }
}

export function writeLogprobs(logprobs: readonly TokenLogprob[]): JsonObject[] {
  return logprobs.map(({ topLogprobs, ...token }) => ({
    ...writeToken(token),
    ...(topLogprobs.length === 0 ? {} : { top_logprobs: topLogprobs.map(writeToken) }),
  }))
}

function writeToken(token: { token: string; logprob: number; bytes: number[] | null }): JsonObject {
  return {
    token: token.token,
    logprob: token.logprob,
    ...(token.bytes === null ? {} : { bytes: token.bytes }),
  }
}

/** Integer nanoseconds, at least 1 if there are tokens, because clients divide by it. */
function duration(ns: number | undefined, tokens = 0): number {
  return Math.max(Math.round(ns ?? 0), tokens > 0 ? 1 : 0)
}

function nonZero(name: string, value: number): Record<string, number> {
  return value === 0 ? {} : { [name]: value }
}
