import type { JsonObject } from '../../../lib/json/read.ts'
import { Queue } from '../../../lib/queue.ts'
import type { ChatEvent, FinishReason, Usage } from '../../../sdk/chat.ts'
import type { AnswerContext, ChatStreamWriter } from '../../../sdk/dialect.ts'
import { dropEvent } from '../../shared/dropped-output.ts'
import { writeSignedId } from '../../shared/signatures.ts'
import { writeStreamError } from '../errors.ts'
import { answerId, messageHead, writeCounts, writeStop, writeUsage } from '../response/fields-write.ts'
import { estimatedUsage } from '../token-estimate.ts'
import { legalCallId } from '../tool-identifiers.ts'

/**
 * Writes the events of a streamed message. Blocks may not overlap: the first incomplete one is streamed, and the events of the
 * others wait. Format: Anthropic API reference, "Streaming Messages".
 */
export function createWriter(context: AnswerContext): ChatStreamWriter {
  return new StreamWriter(context)
}

interface Block {
  kind: 'text' | 'thinking' | 'tool'
  /** The call of a tool block. */
  call: number | undefined
  /** `content_block` of its start. */
  head: JsonObject
  /** Deltas held until the preceding blocks are complete. */
  waiting: JsonObject[]
  complete: boolean
}

class StreamWriter implements ChatStreamWriter {
  readonly #context: AnswerContext
  /** The blocks that are not yet closed, in order; only the first one has been started on the wire. */
  readonly #blocks = new Queue<Block>()
  /** The open blocks of calls, by the number of the call. */
  readonly #callBlocks = new Map<number, Block>()
  #index = 0
  #started = false
  #over = false
  #id: string | undefined
  #usage: Usage | undefined
  #estimated: Usage | undefined
  #reason: FinishReason = 'stop'
  #stopSequence: string | undefined
  #calledTools = false
  #isRefusal = false
  /** White space without following text: before a tool call it would be a blank text, an error in later turns. */
  #blank = ''

  constructor(context: AnswerContext) {
    this.#context = context
  }

  write(event: ChatEvent): string {
    // The dialect has one choice per request.
    if (this.#over || ('choice' in event && event.choice !== 0)) return ''
    switch (event.type) {
      case 'start':
        this.#id = event.id
        return ''
      case 'text-delta':
        return this.#text(event.text)
      case 'refusal-delta':
        this.#isRefusal = true
        return this.#text(event.text)
      case 'reasoning-delta':
        return this.#thinking(event.text, event.signature)
      case 'citation':
      case 'file':
        dropEvent(this.#context, event)
        return ''
      case 'tool-call-start':
        return this.#callStart(event.call, writeSignedId(event), event.name)
      case 'tool-call-delta':
        return this.#callDelta(event.call, event.arguments)
      case 'block-end':
        return this.#callEnd(event.call)
      case 'usage':
        this.#usage = event.usage
        return ''
      case 'finish':
        this.#reason = event.reason
        this.#stopSequence = event.stopSequence
        return ''
      case 'end':
        return this.#end()
      case 'error':
        this.#over = true
        return writeStreamError(event.error, { ownPath: false, debug: false, requestId: '' })
    }
  }

  #text(text: string): string {
    const isContinuation = this.#blocks.last?.kind === 'text'
    const all = this.#blank + text
    if (!isContinuation && all.trim() === '') {
      this.#blank = all
      return ''
    }
    this.#blank = ''
    return this.#begin('text', { type: 'text', text: '' }) + this.#add({ type: 'text_delta', text: all })
  }

  #thinking(thinking: string, signature: string | undefined): string {
    if (thinking === '' && signature === undefined) return ''
    const begun = this.#begin('thinking', { type: 'thinking', thinking: '', signature: '' })
    const text = thinking === '' ? '' : this.#add({ type: 'thinking_delta', thinking })
    const signed = signature === undefined ? '' : this.#add({ type: 'signature_delta', signature })
    return begun + text + signed
  }

  #callStart(call: number, id: string, name: string): string {
    this.#calledTools = true
    return this.#append('tool', { type: 'tool_use', id: legalCallId(id), name, input: {} }, call)
  }

  #callDelta(call: number, json: string): string {
    const block = this.#callBlocks.get(call)
    return block && json !== '' ? this.#add({ type: 'input_json_delta', partial_json: json }, block) : ''
  }

  #callEnd(call: number): string {
    const block = this.#callBlocks.get(call)
    if (block) block.complete = true
    return this.#advance()
  }

  /** Continues the last block if it is of this kind, otherwise begins one. */
  #begin(kind: 'text' | 'thinking', head: JsonObject): string {
    return this.#blocks.last?.kind === kind ? '' : this.#append(kind, head, undefined)
  }

  #append(kind: Block['kind'], head: JsonObject, call: number | undefined): string {
    this.#blank = ''
    const last = this.#blocks.last
    if (last && last.kind !== 'tool') last.complete = true
    const started = this.#start()
    const block: Block = { kind, call, head, waiting: [], complete: false }
    this.#blocks.push(block)
    if (call !== undefined) this.#callBlocks.set(call, block)
    return started + (this.#blocks.length === 1 ? this.#open() : this.#advance())
  }

  #add(delta: JsonObject, block = this.#blocks.last): string {
    if (block === this.#blocks.first) return this.#delta(delta)
    block?.waiting.push(delta)
    return ''
  }

  /** Closes the complete blocks at the front, and opens the next one. */
  #advance(): string {
    let out = ''
    for (let first = this.#blocks.first; first?.complete; first = this.#blocks.first) {
      out += eventText({ type: 'content_block_stop', index: this.#index++ })
      this.#blocks.shift()
      if (first.call !== undefined) this.#callBlocks.delete(first.call)
      out += this.#open()
    }
    return out
  }

  #open(): string {
    const block = this.#blocks.first
    if (!block) return ''
    const start = eventText({ type: 'content_block_start', index: this.#index, content_block: block.head })
    const deltas = block.waiting.map((delta) => this.#delta(delta))
    block.waiting = []
    return start + deltas.join('')
  }

  #delta(delta: JsonObject): string {
    return eventText({ type: 'content_block_delta', index: this.#index, delta })
  }

  /** Has the input's token counts if the upstream has reported them, otherwise an estimate, because agents add them up. */
  #start(): string {
    if (this.#started) return ''
    this.#started = true
    const { id, model } = this.#context
    const message = {
      ...messageHead(answerId(this.#id, id), model),
      content: [],
      stop_reason: null,
      stop_sequence: null,
      stop_details: null,
      container: null,
      usage: writeUsage({ ...(this.#usage ?? this.#estimate()), completionTokens: 0 }),
    }
    return eventText({ type: 'message_start', message })
  }

  #estimate(): Usage {
    this.#estimated ??= estimatedUsage(this.#context.request)
    return this.#estimated
  }

  #end(): string {
    this.#over = true
    for (const block of this.#blocks) block.complete = true
    const started = this.#start()
    const closed = this.#advance()
    const delta = writeStop({
      reason: this.#reason,
      stopSequence: this.#stopSequence,
      calledTools: this.#calledTools,
      isRefusal: this.#isRefusal,
    })
    const usage = writeCounts(this.#usage ?? this.#estimate())
    return (
      started +
      closed +
      eventText({ type: 'message_delta', delta, usage }) +
      eventText({ type: 'message_stop' })
    )
  }
}

function eventText(data: JsonObject): string {
  return `event: ${String(data.type)}\ndata: ${JSON.stringify(data)}\n\n`
}
