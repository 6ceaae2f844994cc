import { isObject, type JsonObject, numberOf, objectsIn } from '../../../lib/json/read.ts'
import type { StreamEnding } from '../../../sdk/content.ts'

/** Ends the choices that are still open. Source: OpenAI API reference, "The chat completion chunk object". */
export function createEnding(): StreamEnding {
  const open = new Set<number>()
  const ended = new Set<number>()
  return {
    observe(chunk) {
      for (const [position, choice] of objectsIn(chunk.choices).entries()) {
        const index = numberOf(choice.index) ?? position
        const isEnd = choice.finish_reason !== undefined && choice.finish_reason !== null
        if (isEnd) ended.add(index)
        else open.add(index)
      }
    },
    endFiltered(_why, { usage: _usage, ...template }) {
      const texts = objectsIn(template.choices).some((choice) => choice.text !== undefined)
      const indexes = [...open].filter((index) => !ended.has(index))
      return [
        {
          ...template,
          choices: (indexes.length === 0 ? [0] : indexes).map((index) => ({
            index,
            ...(texts ? { text: '' } : { delta: {} }),
            logprobs: null,
            finish_reason: 'content_filter',
          })),
        },
      ]
    },
  }
}

/** A chat or completion with empty choices. */
export function filteredAnswer(answer: Readonly<JsonObject>): JsonObject {
  return {
    ...answer,
    choices: objectsIn(answer.choices).map(({ index, message }, position) => ({
      index: index ?? position,
      ...(isObject(message)
        ? { message: { role: message.role ?? 'assistant', content: '', refusal: null } }
        : { text: '' }),
      logprobs: null,
      finish_reason: 'content_filter',
    })),
  }
}
