import { isObject, type JsonObject, numberOf } from '../../../lib/json/read.ts'
import type { StreamEnding } from '../../../sdk/content.ts'

/** Ends the open block and the message. Source: Anthropic docs, "Handle streaming refusals". */
export function createEnding(): StreamEnding {
  const open = new Set<number>()
  let outputTokens = 0
  return {
    observe({ type, index, message }) {
      const block = numberOf(index) ?? 0
      if (type === 'content_block_start') open.add(block)
      if (type === 'content_block_stop') open.delete(block)
      if (type === 'message_start' && isObject(message) && isObject(message.usage))
        outputTokens = numberOf(message.usage.output_tokens) ?? 0
    },
    endFiltered: () => [
      ...[...open].map((index) => ({ type: 'content_block_stop', index })),
      {
        type: 'message_delta',
        delta: { stop_reason: 'refusal', stop_sequence: null },
        usage: { output_tokens: outputTokens },
      },
      { type: 'message_stop' },
    ],
  }
}

/** A message without content. */
export function filteredAnswer(answer: Readonly<JsonObject>): JsonObject {
  return { ...answer, content: [], stop_reason: 'refusal', stop_sequence: null }
}
