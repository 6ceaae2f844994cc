import { type SseEvent, SseReader } from '../../lib/bytes/sse.ts'
import type { ChatEvent } from '../../sdk/chat.ts'
import type { ChatStreamReader } from '../../sdk/dialect.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { StreamEvent } from './stream-event.ts'
import { unreadable } from './upstream-error.ts'

export type Emit = (event: ChatEvent) => void

/** How a stream ended: the error that failed it, or `complete`. Undefined: it continues. */
export type StreamOutcome = RouterError | 'complete' | undefined

/** The state of one stream, and how a dialect converts its events. */
export interface SseStreamState {
  parse(event: SseEvent): StreamEvent
  /** Emits the content of an event. Before `complete`, all events except `end` have been emitted. */
  onData(event: Extract<StreamEvent, { type: 'data' }>, emit: Emit): StreamOutcome
  /** Called for `[DONE]`. Absent: it does not end streams of this dialect. */
  onDone?(emit: Emit): StreamOutcome
  /** Called if the upstream closes before the stream ended. */
  onClose(emit: Emit): StreamOutcome
}

/** Reads server-sent events until the stream completes or fails; what follows is ignored. */
export function createSseStreamReader(state: SseStreamState): ChatStreamReader {
  return new SseStreamReader(state)
}

class SseStreamReader implements ChatStreamReader {
  readonly #events = new SseReader()
  readonly #state: SseStreamState
  #isOver = false

  constructor(state: SseStreamState) {
    this.#state = state
  }

  push(chunk: Uint8Array, emit: Emit): void {
    if (this.#isOver) return
    try {
      this.#events.push(chunk, (event) => this.#read(event, emit, false))
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#settle(unreadable('line too long', error), emit)
    }
  }

  end(emit: Emit): void {
    if (this.#isOver) return
    this.#events.end((event) => this.#read(event, emit, true))
    if (!this.#isOver) this.#settle(this.#state.onClose(emit), emit)
  }

  /** `isUnterminated`: the event is the rest of a stream that was cut, where broken JSON means that it was truncated. */
  #read(sent: SseEvent, emit: Emit, isUnterminated: boolean): void {
    if (this.#isOver) return
    const event = this.#state.parse(sent)
    switch (event.type) {
      case 'data':
        this.#settle(this.#state.onData(event, emit), emit)
        return
      case 'done':
        this.#settle(this.#state.onDone?.(emit), emit)
        return
      case 'broken':
        if (!isUnterminated) this.#settle(event.error, emit)
        return
      case 'error':
        this.#settle(event.error, emit)
        return
      case 'nothing':
        return
    }
  }

  #settle(outcome: StreamOutcome, emit: Emit): void {
    if (outcome === undefined) return
    this.#isOver = true
    emit(outcome === 'complete' ? { type: 'end' } : { type: 'error', error: outcome })
  }
}
