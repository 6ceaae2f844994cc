import { filledTextOf, isObject, type JsonObject, numberOf, objectsIn } from '../../../lib/json/read.ts'
import type { Timings, Usage } from '../../../sdk/chat.ts'
import type { ChatStreamReader } from '../../../sdk/dialect.ts'
import { type RouterError, streamTruncated } from '../../../sdk/errors.ts'
import { readAnnotations } from '../../shared/annotations.ts'
import { abortError, readFinishReason } from '../../shared/finish-reasons.ts'
import {
  createSseStreamReader,
  type Emit,
  type SseStreamState,
  type StreamOutcome,
} from '../../shared/sse-stream-reader.ts'
import { parseEvent } from '../../shared/stream-event.ts'
import { randomCallId } from '../../shared/tools/call-ids.ts'
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
  return createSseStreamReader(new OpenaiStreamState(newCallId))
}

class OpenaiStreamState implements SseStreamState {
  readonly parse = parseEvent
  readonly #newCallId: () => string
  readonly #choices = new Map<number, StreamedChoice>()
  #started = false
  #usage: Usage | undefined
  #timings: Timings | undefined

  constructor(newCallId: () => string) {
    this.#newCallId = newCallId
  }

  onData({ data: chunk }: { data: JsonObject }, emit: Emit): StreamOutcome {
    this.#usage = readUsage(chunk) ?? this.#usage
    this.#timings = readTimings(chunk) ?? this.#timings
    for (const [position, choice] of objectsIn(chunk.choices).entries()) {
      if (!this.#started) {
        this.#started = true
        emit({ type: 'start', ...readHead(chunk) })
      }
      const error = this.#choice(numberOf(choice.index) ?? position, choice, emit)
      if (error) return error
    }
    return undefined
  }

  /** Some servers never send a finish reason: after content, their end marker suffices. */
  onDone(emit: Emit): StreamOutcome {
    const answered = [...this.#choices.values()].some((choice) => choice.content || choice.finishReason)
    return answered ? this.#finish(emit) : streamTruncated()
  }

  /** Some servers never send the end marker: a finish reason for every choice suffices. */
  onClose(emit: Emit): StreamOutcome {
    const choices = [...this.#choices.values()]
    const finished = choices.length > 0 && choices.every((choice) => choice.finishReason !== undefined)
    return finished ? this.#finish(emit) : streamTruncated()
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
    return abortError(state.finishReason)
  }

  #stateOf(index: number): StreamedChoice {
    const existing = this.#choices.get(index)
    if (existing) return existing
    const state = {
      calls: new StreamedCalls(index, this.#newCallId),
      content: false,
      finishReason: undefined,
      stopSequence: undefined,
    }
    this.#choices.set(index, state)
    return state
  }

  /** Emits the last events. Token counts are sent after the finish reason, but emitted before it. */
  #finish(emit: Emit): 'complete' {
    const choices = [...this.#choices].toSorted(([one], [other]) => one - other)
    for (const [, { calls }] of choices) calls.close(emit)
    if (this.#usage) {
      emit({ type: 'usage', usage: this.#usage, ...(this.#timings ? { timings: this.#timings } : {}) })
    }
    for (const [choice, { calls, finishReason, stopSequence }] of choices) {
      const end = readFinishReason(finishReason, calls.any)
      emit({ type: 'finish', choice, ...end, ...(stopSequence === undefined ? {} : { stopSequence }) })
    }
    return 'complete'
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
