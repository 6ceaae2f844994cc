import { type SseEvent, SseReader } from '../../../lib/bytes/sse.ts'
import { filledTextOf } from '../../../lib/json/read.ts'
import type { ChatEvent } from '../../../sdk/chat.ts'
import type { ChatStreamReader } from '../../../sdk/dialect.ts'
import { type RouterError, streamTruncated } from '../../../sdk/errors.ts'
import { unreadable } from '../../shared/upstream-error.ts'
import { parseEvent } from '../passthrough.ts'
import { CandidateReader } from '../response/candidate-read.ts'
import { failureIn } from '../response/fields-read.ts'

type Emit = (event: ChatEvent) => void

/**
 * Reads a stream of server-sent events, each in the form of a whole answer. There is no end marker: a stream is complete if
 * every candidate has a finish reason. Format: Gemini API reference, "streamGenerateContent".
 */
export function createReader(): ChatStreamReader {
  return new StreamReader()
}

class StreamReader implements ChatStreamReader {
  readonly #events = new SseReader()
  readonly #candidates = new CandidateReader()
  #started = false
  #over = false

  push(chunk: Uint8Array, emit: Emit): void {
    if (this.#over) return
    try {
      this.#events.push(chunk, (event) => this.#event(event, emit, false))
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#fail(unreadable('line too long'), emit)
    }
  }

  end(emit: Emit): void {
    if (this.#over) return
    this.#events.end((event) => this.#event(event, emit, true))
    if (this.#candidates.finished) this.#finish(emit)
    else this.#fail(streamTruncated(), emit)
  }

  /** `cutOff`: the event is the unterminated rest of the stream, where broken JSON means that it was truncated. */
  #event(sent: SseEvent, emit: Emit, cutOff: boolean): void {
    if (this.#over) return
    const event = parseEvent(sent)
    switch (event.type) {
      case 'nothing':
        return
      case 'done':
        if (this.#candidates.finished) this.#finish(emit)
        return
      case 'broken':
      case 'error':
        if (event.type === 'error' || !cutOff) this.#fail(event.error, emit)
        return
      case 'data': {
        const failure = failureIn(event.data)
        if (failure) {
          this.#fail(failure, emit)
          return
        }
        if (!this.#started) {
          this.#started = true
          const id = filledTextOf(event.data.responseId)
          emit({ type: 'start', ...(id === undefined ? {} : { id }) })
        }
        this.#candidates.read(event.data, emit)
      }
    }
  }

  #finish(emit: Emit): void {
    if (this.#over) return
    this.#over = true
    this.#candidates.end(emit)
    emit({ type: 'end' })
  }

  #fail(error: RouterError, emit: Emit): void {
    if (this.#over) return
    this.#over = true
    emit({ type: 'error', error })
  }
}
