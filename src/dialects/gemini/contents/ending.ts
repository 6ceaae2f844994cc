import { type JsonObject, numberOf, objectsIn } from '../../../lib/json/read.ts'
import type { StreamEnding } from '../../../sdk/content.ts'

/** Ends the candidates that are still open. Source: Gemini API reference, "FinishReason". */
export function createEnding(): StreamEnding {
  const open = new Set<number>()
  const ended = new Set<number>()
  return {
    observe(chunk) {
      for (const [position, candidate] of objectsIn(chunk.candidates).entries()) {
        const index = numberOf(candidate.index) ?? position
        if (candidate.finishReason === undefined) open.add(index)
        else ended.add(index)
      }
    },
    endFiltered(_why, { candidates: _candidates, ...template }) {
      const indexes = [...open].filter((index) => !ended.has(index))
      const stopped = indexes.length === 0 ? [0] : indexes
      return [{ candidates: stopped.map((index) => ({ index, finishReason: 'SAFETY' })), ...template }]
    },
  }
}

/** A response with empty candidates. */
export function filteredAnswer(answer: Readonly<JsonObject>): JsonObject {
  const candidates = objectsIn(answer.candidates).map(({ index }, position) => ({
    index: index ?? position,
    finishReason: 'SAFETY',
  }))
  return { ...answer, candidates }
}
