import { type SseEvent, SseReader } from '../../../lib/bytes/sse.ts'
import { filledTextOf, isObject, type JsonObject, numberOf, objectsIn } from '../../../lib/json/read.ts'
import type { ChatEvent, Timings, Usage } from '../../../sdk/chat.ts'
import type { ChatStreamReader } from '../../../sdk/dialect.ts'
import { type RouterError, streamTruncated } from '../../../sdk/errors.ts'
import { failedBy, readFinishReason } from '../../shared/finish-reasons.ts'
import { parseEvent } from '../../shared/stream-event.ts'
import { randomCallId } from '../../shared/tools/call-ids.ts'
import { unreadable } from '../../shared/upstream-error.ts'
import { readAnnotations } from '../../shared/url-citations.ts'
import {
  readHead,
  readImages,
  readLogprobs,
  readMessageText,
  readTimings,
  readUsage,
  stopSequenceOf,
} from '../response/fields-read.ts'
import { StreamedCalls } from './calls.ts'

type Emit = (event: ChatEvent) => void

interface StreamedChoice {
  calls: StreamedCalls
  /** Whether there has been any content, including tool calls. */
  content: boolean
  finishReason: string | undefined
  /** vLLM reports the matched stop sequence. */
  stopSequence: string | undefined
}

/** Reads a streamed chat completion. `newCallId` returns an id for a call that has none. */
export function createReader(newCallId: () => string = randomCallId): ChatStreamReader {
  return new StreamReader(newCallId)
}

class StreamReader implements ChatStreamReader {
  readonly #newCallId: () => string
  readonly #events = new SseReader()
  readonly #choices = new Map<number, StreamedChoice>()
  #started = false
  #over = false
  #usage: Usage | undefined
  #timings: Timings | undefined

  constructor(newCallId: () => string) {
    this.#newCallId = newCallId
  }

  push(chunk: Uint8Array, emit: Emit): void {
    if (this.#over) return
    try {
      this.#events.push(chunk, (event) => this.#event(event, emit, false))
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#settle(unreadable('line too long', error), emit)
    }
  }

  end(emit: Emit): void {
    if (this.#over) return
    this.#events.end((event) => this.#event(event, emit, true))
    if (this.#over) return
    const choices = [...this.#choices.values()]
    const finished = choices.length > 0 && choices.every((choice) => choice.finishReason !== undefined)
    this.#settle(finished ? undefined : streamTruncated(), emit)
  }

  /** `cutOff`: the event is the unterminated rest of the stream, where broken JSON means that it was truncated. */
  #event(sent: SseEvent, emit: Emit, cutOff: boolean): void {
    if (this.#over) return
    const event = parseEvent(sent)
    switch (event.type) {
      case 'data':
        this.#chunk(event.data, emit)
        return
      case 'done':
        this.#done(emit)
        return
      case 'error':
        this.#settle(event.error, emit)
        return
      case 'broken':
        if (!cutOff) this.#settle(event.error, emit)
        return
      case 'nothing':
        return
    }
  }

  #chunk(chunk: JsonObject, emit: Emit): void {
    this.#usage = readUsage(chunk) ?? this.#usage
    this.#timings = readTimings(chunk) ?? this.#timings
    for (const [position, choice] of objectsIn(chunk.choices).entries()) {
      if (!this.#started) {
        this.#started = true
        emit({ type: 'start', ...readHead(chunk) })
      }
      const error = this.#choice(numberOf(choice.index) ?? position, choice, emit)
      if (error) {
        this.#settle(error, emit)
        return
      }
    }
  }

  /** The chunk that finishes a choice may still have content. */
  #choice(index: number, choice: JsonObject, emit: Emit): RouterError | undefined {
    const state = this.#stateOf(index)
    const delta = deltaOf(choice, state)
    const { text, reasoning, refusal } = readMessageText(delta)
    const logprobs = readLogprobs(choice.logprobs)
    if (reasoning !== '') emit({ type: 'reasoning-delta', choice: index, text: reasoning })
    if (text !== '' || logprobs) {
      emit({ type: 'text-delta', choice: index, text, ...(logprobs ? { logprobs } : {}) })
    }
    for (const citation of readAnnotations(delta.annotations))
      emit({ type: 'citation', choice: index, citation })
    const files = readImages(delta)
    for (const file of files) emit({ type: 'file', choice: index, file })
    if (refusal !== '') emit({ type: 'refusal-delta', choice: index, text: refusal })
    state.calls.read(fragmentsOf(delta), emit)
    const isFilled = reasoning !== '' || text !== '' || refusal !== '' || files.length > 0
    if (isFilled || state.calls.any) state.content = true
    state.finishReason = filledTextOf(choice.finish_reason) ?? state.finishReason
    state.stopSequence = stopSequenceOf(choice) ?? state.stopSequence
    return failedBy(state.finishReason)
  }

  #stateOf(index: number): StreamedChoice {
    const known = this.#choices.get(index)
    if (known) return known
    const state = {
      calls: new StreamedCalls(index, this.#newCallId),
      content: false,
      finishReason: undefined,
      stopSequence: undefined,
    }
    this.#choices.set(index, state)
    return state
  }

  /** Some servers never send a finish reason: after content, their end marker suffices. */
  #done(emit: Emit): void {
    const answered = [...this.#choices.values()].some((choice) => choice.content || choice.finishReason)
    this.#settle(answered ? undefined : streamTruncated(), emit)
  }

  #settle(failure: RouterError | undefined, emit: Emit): void {
    if (this.#over) return
    this.#over = true
    if (!failure) this.#finish(emit)
    emit(failure ? { type: 'error', error: failure } : { type: 'end' })
  }

  /** Emits the last events. Token counts are sent after the finish reason, but emitted before it. */
  #finish(emit: Emit): void {
    const choices = [...this.#choices].toSorted(([one], [other]) => one - other)
    for (const [, { calls }] of choices) calls.close(emit)
    if (this.#usage) {
      emit({ type: 'usage', usage: this.#usage, ...(this.#timings ? { timings: this.#timings } : {}) })
    }
    for (const [choice, { calls, finishReason, stopSequence }] of choices) {
      const end = readFinishReason(finishReason, calls.any)
      emit({ type: 'finish', choice, ...end, ...(stopSequence === undefined ? {} : { stopSequence }) })
    }
  }
}

/**
 * Some servers send a whole `message` instead of a delta; after content it is ignored, because it would repeat that. Legacy
 * completions have `text`.
 */
function deltaOf(choice: JsonObject, state: StreamedChoice): JsonObject {
  if (isObject(choice.delta)) return choice.delta
  if (typeof choice.text === 'string') return { content: choice.text }
  return isObject(choice.message) && !state.content ? choice.message : {}
}

/** `function_call` is the deprecated form of a single call. */
function fragmentsOf(delta: JsonObject): unknown {
  if (Array.isArray(delta.tool_calls)) return delta.tool_calls
  return isObject(delta.function_call) ? [{ index: 0, function: delta.function_call }] : undefined
}
