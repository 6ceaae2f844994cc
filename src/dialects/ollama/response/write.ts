import type { JsonObject } from '../../../lib/json/read.ts'
import type { ChatResponse, Timings, Usage } from '../../../sdk/chat.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { dropOutput } from '../../shared/dropped-output.ts'
import { unreadable } from '../../shared/upstream-error.ts'
import { writeEnd, writeLogprobs, writeToolCall } from './fields-write.ts'

/** A whole answer of `POST /api/chat`. */
export function writeResponse(response: ChatResponse, context: AnswerContext): JsonObject {
  const choice = response.choices.find(({ index }) => index === 0) ?? response.choices[0]
  if (!choice) throw unreadable('choices')
  dropOutput(response, context)
  const { text, reasoning, refusal = '', toolCalls, logprobs = [] } = choice
  const { usage } = response
  return {
    model: context.model,
    created_at: context.now().toISOString(),
    message: {
      role: 'assistant',
      // Ollama has no member for refusals, so they follow the text, as in a stream.
      content: text + refusal,
      ...(reasoning === '' ? {} : { thinking: reasoning }),
      ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(writeToolCall) }),
    },
    ...writeEnd({ reason: choice.finishReason, unknownReason: choice.unknownReason }, usage, {
      ...estimatedTimings(context.elapsedMs() * 1e6, usage),
      ...response.timings,
    }),
    ...(logprobs.length === 0 ? {} : { logprobs: writeLogprobs(logprobs) }),
  }
}

/**
 * A whole response does not show when its first token was generated. Prompts are processed in large batches, so a prompt token
 * counts as a twentieth of a generated one; clients only display rates derived from these.
 */
function estimatedTimings(totalNs: number, usage: Usage | undefined): Timings {
  const prompt = usage?.promptTokens ?? 0
  const completion = usage?.completionTokens ?? 0
  const share = prompt === 0 ? 0 : prompt / (prompt + 20 * completion)
  return { totalNs, promptNs: totalNs * share, completionNs: completion === 0 ? 0 : totalNs * (1 - share) }
}
