import {
  filledTextOf,
  isObject,
  type JsonObject,
  numberOf,
  objectsIn,
  textOf,
} from '../../../lib/json/read.ts'
import type { Citation, Usage } from '../../../sdk/chat.ts'
import type { ChatStreamReader } from '../../../sdk/dialect.ts'
import { type RouterError, streamTruncated } from '../../../sdk/errors.ts'
import { abortError } from '../../shared/finish-reasons.ts'
import {
  createSseStreamReader,
  type Emit,
  type SseStreamState,
  type StreamOutcome,
} from '../../shared/sse-stream-reader.ts'
import { AnswerCallIds } from '../../shared/tools/call-ids.ts'
import { argumentText } from '../../shared/tools/tool-arguments.ts'
import { unreadable } from '../../shared/upstream-error.ts'
import { parseEvent } from '../passthrough.ts'
import { readCitation, readCounts, readFinish, readRefusal } from '../response/fields-read.ts'
import { fromWireName, randomCallId } from '../tool-identifiers.ts'

interface OpenCall {
  call: number
  /** The input in `content_block_start`, where some proxies send all of it. */
  initialInput: string | undefined
  json: string
}

/** Reads a streamed message. Format: Anthropic API reference, "Streaming Messages". */
export function createReader(newCallId: () => string = randomCallId): ChatStreamReader {
  return createSseStreamReader(new AnthropicStreamState(newCallId))
}

class AnthropicStreamState implements SseStreamState {
  readonly parse = parseEvent
  readonly #ids: AnswerCallIds
  /** Open blocks by index. Only those of calls have state. */
  readonly #blocks = new Map<number, OpenCall | 'other'>()
  /** Length of the text so far, and at the start of the open text block. */
  #textLength = 0
  #blockFrom = 0
  /** Citations of the open text block. */
  #citations: Citation[] = []
  #thinkingBlocks = 0
  /** What separates the next thought from those of earlier blocks. */
  #gap = ''
  #hasThoughts = false
  /** The signature of the first thinking block, until it is known that no other follows directly: it signs only its own. */
  #signature: string | undefined
  #calls = 0
  #started = false
  #hasContent = false
  #usage: Usage | undefined
  /** The `delta` of `message_delta`, once it names a reason. */
  #stop: JsonObject | undefined

  constructor(newCallId: () => string) {
    this.#ids = new AnswerCallIds(newCallId)
  }

  onClose(): StreamOutcome {
    return streamTruncated()
  }

  onData({ data }: { data: JsonObject }, emit: Emit): StreamOutcome {
    const index = numberOf(data.index) ?? 0
    switch (data.type) {
      case 'message_start':
        this.#start(data.message, emit)
        return undefined
      case 'content_block_start':
        if (isObject(data.content_block)) this.#blockStart(index, data.content_block, emit)
        return undefined
      case 'content_block_delta':
        return isObject(data.delta) ? this.#blockDelta(index, data.delta, emit) : undefined
      case 'content_block_stop':
        this.#blockStop(index, emit)
        return undefined
      case 'message_delta':
        this.#messageDelta(data, emit)
        return abortError(this.#stop?.stop_reason)
      case 'message_stop':
        return this.#finish(emit)
      default:
        return undefined
    }
  }

  /** A duplicate from a proxy is ignored. */
  #start(message: unknown, emit: Emit): void {
    if (this.#started || !isObject(message)) return
    this.#started = true
    const id = filledTextOf(message.id)
    emit({ type: 'start', ...(id === undefined ? {} : { id }) })
    this.#usage = readCounts(message.usage)
    if (this.#usage) emit({ type: 'usage', usage: this.#usage })
  }

  #blockStart(index: number, block: JsonObject, emit: Emit): void {
    if (block.type === 'thinking') this.#nextThought()
    else this.#emitSignature(emit)
    if (block.type !== 'tool_use') {
      this.#blocks.set(index, 'other')
      this.#blockFrom = this.#textLength
      for (const citation of objectsIn(block.citations)) this.#cite(citation)
      this.#emitText(textOf(block.text), emit)
      this.#emitThought(textOf(block.thinking), emit)
      this.#sign(block.signature)
      return
    }
    const name = filledTextOf(block.name)
    if (name === undefined) {
      // A call without a name is dropped: it would be an error in the next turn.
      this.#blocks.set(index, 'other')
      return
    }
    const initialInput =
      isObject(block.input) && Object.keys(block.input).length > 0 ? argumentText(block.input) : undefined
    const call = this.#calls++
    this.#hasContent = true
    this.#blocks.set(index, { call, initialInput, json: '' })
    const id = this.#ids.claim(textOf(block.id))
    emit({ type: 'tool-call-start', choice: 0, call, id, name: fromWireName(name) })
  }

  #blockDelta(index: number, delta: JsonObject, emit: Emit): RouterError | undefined {
    switch (delta.type) {
      case 'text_delta':
        this.#emitText(textOf(delta.text), emit)
        return undefined
      case 'thinking_delta':
        this.#emitThought(textOf(delta.thinking), emit)
        return undefined
      case 'signature_delta':
        this.#sign(delta.signature)
        return undefined
      case 'citations_delta':
        this.#cite(delta.citation)
        return undefined
      case 'input_json_delta':
        return this.#input(index, textOf(delta.partial_json) ?? '', emit)
      default:
        return undefined
    }
  }

  #emitText(text: string | undefined, emit: Emit): void {
    if (!text) return
    this.#hasContent = true
    this.#textLength += text.length
    emit({ type: 'text-delta', choice: 0, text })
  }

  #cite(sent: unknown): void {
    const citation = readCitation(sent)
    if (citation) this.#citations.push(citation)
  }

  #emitCitations(emit: Emit): void {
    const range = { start: this.#blockFrom, end: this.#textLength }
    for (const citation of this.#citations)
      emit({ type: 'citation', choice: 0, citation: { ...citation, ...range } })
    this.#citations = []
  }

  #nextThought(): void {
    this.#thinkingBlocks++
    this.#signature = undefined
    if (this.#hasThoughts) this.#gap = '\n\n'
  }

  #emitThought(text: string | undefined, emit: Emit): void {
    if (!text) return
    this.#hasContent = true
    this.#hasThoughts = true
    emit({ type: 'reasoning-delta', choice: 0, text: this.#gap + text })
    this.#gap = ''
  }

  #sign(sent: unknown): void {
    if (this.#thinkingBlocks > 1) return
    this.#signature = filledTextOf(sent) ?? this.#signature
    this.#hasContent ||= this.#signature !== undefined
  }

  #emitSignature(emit: Emit): void {
    const signature = this.#signature
    if (signature === undefined) return
    this.#signature = undefined
    emit({ type: 'reasoning-delta', choice: 0, text: '', signature })
  }

  #input(index: number, json: string, emit: Emit): RouterError | undefined {
    const block = this.#blocks.get(index)
    if (block === undefined) return unreadable('tool input without a call')
    if (block === 'other' || json === '') return undefined
    block.json += json
    emit({ type: 'tool-call-delta', choice: 0, call: block.call, arguments: json })
    return undefined
  }

  #blockStop(index: number, emit: Emit): void {
    const block = this.#blocks.get(index)
    this.#blocks.delete(index)
    this.#emitCitations(emit)
    if (block === undefined || block === 'other') return
    const { call, initialInput = '{}', json } = block
    if (json.trim() === '') emit({ type: 'tool-call-delta', choice: 0, call, arguments: initialInput })
    emit({ type: 'block-end', choice: 0, call })
  }

  #messageDelta(data: JsonObject, emit: Emit): void {
    this.#usage = readCounts(data.usage, this.#usage)
    if (!isObject(data.delta) || filledTextOf(data.delta.stop_reason) === undefined || this.#stop) return
    this.#stop = data.delta
    this.#emitSignature(emit)
    const refusal = readRefusal(data.delta)
    if (refusal !== undefined) emit({ type: 'refusal-delta', choice: 0, text: refusal })
  }

  #finish(emit: Emit): StreamOutcome {
    if (!this.#stop && !this.#hasContent) return streamTruncated()
    for (const index of [...this.#blocks.keys()]) this.#blockStop(index, emit)
    this.#emitSignature(emit)
    if (this.#usage) emit({ type: 'usage', usage: this.#usage })
    emit({ type: 'finish', choice: 0, ...readFinish(this.#stop ?? {}, this.#calls > 0) })
    return 'complete'
  }
}
