import { filledTextOf, isObject, type JsonObject, objectsIn } from '../../../lib/json/read.ts'
import type { ChatChoice } from '../../../sdk/chat.ts'
import { contentEvents } from '../../../sdk/choice-pieces.ts'
import type { ChatStreamReader } from '../../../sdk/dialect.ts'
import { RouterError, streamTruncated } from '../../../sdk/errors.ts'
import { readAnnotations } from '../../shared/annotations.ts'
import { readTokenLogprobs } from '../../shared/logprobs.ts'
import {
  createSseStreamReader,
  type Emit,
  type SseStreamState,
  type StreamOutcome,
} from '../../shared/sse-stream-reader.ts'
import { randomCallId } from '../../shared/tools/call-ids.ts'
import { unreadable } from '../../shared/upstream-error.ts'
import { isTerminal, parseEvent } from '../passthrough.ts'
import { finishReasonOf, isCall, readHead, readResponse, readUsage, reasoningOf } from '../response/read.ts'
import { StreamedCalls } from './calls.ts'

/** Reads a streamed response. `newCallId` returns an id for a call that has none. */
export function createReader(newCallId: () => string = randomCallId): ChatStreamReader {
  return createSseStreamReader(new ResponsesStreamState(newCallId))
}

class ResponsesStreamState implements SseStreamState {
  readonly parse = parseEvent
  readonly #newCallId: () => string
  readonly #calls: StreamedCalls
  #started = false
  #hasText = false
  /** Length of the text so far, and at the start of the last part. */
  #textLength = 0
  #partFrom = 0
  #calledUnstreamed = false
  #hasReasoning = false
  /** The form in which the reasoning of the item was received first; the other form would only repeat it. */
  #reasoningForm: 'summary' | 'raw' | undefined
  /** Whether the next reasoning begins a new part. */
  #newPart = false
  /** Indexes of the items whose text or reasoning was streamed. */
  readonly #streamedItems = new Set<unknown>()

  constructor(newCallId: () => string) {
    this.#newCallId = newCallId
    this.#calls = new StreamedCalls(newCallId)
  }

  onClose(): StreamOutcome {
    return streamTruncated()
  }

  onData({ name, data }: { name: string; data: JsonObject }, emit: Emit): StreamOutcome {
    if (isObject(data.response) && !this.#started) {
      this.#started = true
      emit({ type: 'start', ...readHead(data.response) })
    }
    if (isTerminal(name)) return this.#finish(isObject(data.response) ? data.response : {}, emit)
    const item = isObject(data.item) && isCall(data.item) ? data.item : undefined
    switch (name) {
      case 'response.output_text.delta':
      case 'response.refusal.delta':
        this.#streamedItems.add(data.output_index)
        this.#emitText(name, data, emit)
        return undefined
      case 'response.reasoning_summary_part.added':
      case 'response.content_part.added':
        this.#newPart = true
        this.#partFrom = this.#textLength
        return undefined
      case 'response.output_text.annotation.added':
        for (const citation of readAnnotations([data.annotation], this.#partFrom))
          emit({ type: 'citation', choice: 0, citation })
        return undefined
      case 'response.reasoning_summary_text.delta':
        this.#streamedItems.add(data.output_index)
        this.#emitReasoning('summary', filledTextOf(data.delta), emit)
        return undefined
      case 'response.reasoning_text.delta':
        this.#streamedItems.add(data.output_index)
        this.#emitReasoning('raw', filledTextOf(data.delta), emit)
        return undefined
      case 'response.function_call_arguments.delta':
        return this.#calls.add(data, emit)
      case 'response.custom_tool_call_input.delta':
        this.#calls.addInput(data)
        return undefined
      case 'response.output_item.added':
        if (item) this.#calls.begin(data, item, emit)
        if (isObject(data.item) && data.item.type === 'reasoning') {
          this.#reasoningForm = undefined
          this.#newPart = true
        }
        return undefined
      case 'response.output_item.done':
        if (item) this.#calls.end(data, item, emit)
        else if (isObject(data.item) && !this.#streamedItems.has(data.output_index))
          this.#emitItem(data.item, emit)
        return undefined
    }
    return undefined
  }

  #emitText(name: string, data: JsonObject, emit: Emit): void {
    const text = filledTextOf(data.delta)
    const logprobs = readTokenLogprobs(data.logprobs)
    if (text === undefined && !logprobs) return
    this.#hasText = true
    if (name === 'response.refusal.delta') {
      emit({ type: 'refusal-delta', choice: 0, text: text ?? '' })
      return
    }
    this.#textLength += text?.length ?? 0
    emit({ type: 'text-delta', choice: 0, text: text ?? '', ...(logprobs ? { logprobs } : {}) })
  }

  #emitReasoning(form: 'summary' | 'raw', text: string | undefined, emit: Emit): void {
    if (text === undefined) return
    this.#reasoningForm ??= form
    if (this.#reasoningForm !== form) return
    const gap = this.#newPart && this.#hasReasoning ? '\n\n' : ''
    this.#newPart = false
    this.#hasReasoning = true
    emit({ type: 'reasoning-delta', choice: 0, text: gap + text })
  }

  #finish(response: JsonObject, emit: Emit): StreamOutcome {
    this.#calls.close(emit)
    const error = this.#emitUnstreamed(response, emit)
    if (error) return error
    const usage = readUsage(response)
    if (usage) emit({ type: 'usage', usage })
    emit({
      type: 'finish',
      choice: 0,
      ...finishReasonOf(response, this.#calls.any || this.#calledUnstreamed),
    })
    return 'complete'
  }

  /** Emits a message or reasoning that is sent only when it is done. */
  #emitItem(item: JsonObject, emit: Emit): void {
    if (item.type === 'reasoning') {
      this.#reasoningForm = undefined
      this.#newPart = true
      this.#emitReasoning('summary', filledTextOf(reasoningOf(item)), emit)
    }
    if (item.type !== 'message') return
    for (const part of objectsIn(item.content)) {
      this.#partFrom = this.#textLength
      if (part.type === 'refusal') this.#emitText('response.refusal.delta', { delta: part.refusal }, emit)
      else this.#emitText('response.output_text.delta', { delta: part.text, logprobs: part.logprobs }, emit)
      for (const citation of readAnnotations(part.annotations, this.#partFrom))
        emit({ type: 'citation', choice: 0, citation })
    }
  }

  /** Emits the content of the last event, which repeats the whole response, if nothing was streamed before. */
  #emitUnstreamed(response: JsonObject, emit: Emit): RouterError | undefined {
    if (this.#hasText || this.#calls.any || !Array.isArray(response.output)) return undefined
    const choice = readChoice(response, this.#newCallId)
    if (choice instanceof RouterError) return choice
    const reasoning = this.#hasReasoning ? '' : choice.reasoning
    for (const event of contentEvents({ ...choice, reasoning })) emit(event)
    this.#calledUnstreamed = choice.toolCalls.length > 0
    return undefined
  }
}

function readChoice(response: JsonObject, newCallId: () => string): ChatChoice | RouterError {
  try {
    return readResponse(response, newCallId).choices[0] ?? unreadable('no answer')
  } catch (error) {
    if (error instanceof RouterError) return error
    throw error
  }
}
