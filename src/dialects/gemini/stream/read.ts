import { filledTextOf, type JsonObject } from '../../../lib/json/read.ts'
import type { ChatStreamReader } from '../../../sdk/dialect.ts'
import { streamTruncated } from '../../../sdk/errors.ts'
import {
  createSseStreamReader,
  type Emit,
  type SseStreamState,
  type StreamOutcome,
} from '../../shared/sse-stream-reader.ts'
import { parseEvent } from '../passthrough.ts'
import { CandidateReader } from '../response/candidate-read.ts'
import { failureIn } from '../response/fields-read.ts'

/**
 * Reads a stream of server-sent events, each in the form of a whole answer. There is no end marker: a stream is complete if
 * every candidate has a finish reason. Format: Gemini API reference, "streamGenerateContent".
 */
export function createReader(): ChatStreamReader {
  return createSseStreamReader(new GeminiStreamState())
}

class GeminiStreamState implements SseStreamState {
  readonly parse = parseEvent
  readonly #candidates = new CandidateReader()
  #started = false

  onData({ data }: { data: JsonObject }, emit: Emit): StreamOutcome {
    const failure = failureIn(data)
    if (failure) return failure
    if (!this.#started) {
      this.#started = true
      const id = filledTextOf(data.responseId)
      emit({ type: 'start', ...(id === undefined ? {} : { id }) })
    }
    this.#candidates.read(data, emit)
    return undefined
  }

  onDone(emit: Emit): StreamOutcome {
    if (!this.#candidates.finished) return undefined
    this.#candidates.end(emit)
    return 'complete'
  }

  onClose(emit: Emit): StreamOutcome {
    return this.onDone(emit) ?? streamTruncated()
  }
}
