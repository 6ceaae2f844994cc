import type { JsonObject } from '../../../lib/json/read.ts'
import { Queue } from '../../../lib/queue.ts'
import type { ChatEvent, GeneratedFile } from '../../../sdk/chat.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { dropCitation, dropFile } from '../../shared/dropped-output.ts'
import { writeSignedId } from '../../shared/signatures.ts'
import type { ClientTools } from '../client-tools.ts'
import { type ItemStatus, isImage } from '../response/write.ts'
import {
  createCallItem,
  createImageItem,
  createMessageItem,
  createReasoningItem,
  type ItemSlot,
  type StreamedItem,
} from './items.ts'

export type ItemEvent = Extract<ChatEvent, { choice: number }> & {
  type: Exclude<ChatEvent['type'], 'finish'>
}

export type QueuedItem = Pick<StreamedItem, 'item'>

interface Segment {
  kind: 'message' | 'reasoning' | 'call' | 'image'
  /** Number of the call, where it is one. */
  call: number | undefined
  create: (slot: ItemSlot) => StreamedItem
  /** Events that are not yet written. */
  events: ItemEvent[]
  /** Whether it contains more than white space. */
  hasContent: boolean
  /** Length of the text of the response before it. */
  textBefore: number
  ended: boolean
  isDone: boolean
  open: StreamedItem | undefined
}

export interface QueueOutput extends Pick<AnswerContext, 'drop'> {
  /** The position of the next item. */
  nextSlot(): Omit<ItemSlot, 'textBefore'>
  /** `write` returns the item with the annotations that it has by then. */
  onClosed(write: () => JsonObject): void
}

/**
 * Orders the events of an answer by item. The first incomplete item is streamed; events of the others (parallel calls) wait
 * until it is done. The protocol allows items to overlap, but agents expect them in order.
 */
export class ItemQueue {
  readonly #offered: ClientTools
  readonly #output: QueueOutput
  readonly #segments = new Queue<Segment>()
  /** The open segments of calls, by the number of the call. */
  readonly #ofCall = new Map<number, Segment>()
  readonly #messages: Segment[] = []
  #called = false
  #textLength = 0

  constructor(offered: ClientTools, output: QueueOutput) {
    this.#offered = offered
    this.#output = output
  }

  /** The item that has been started and is not done. */
  get open(): QueuedItem | undefined {
    return this.#segments.first?.open
  }

  add(event: ItemEvent): string {
    switch (event.type) {
      case 'text-delta':
      case 'refusal-delta':
        this.#addContent('message', createMessageItem, event, /\S/.test(event.text))
        break
      case 'reasoning-delta':
        // A signature without text belongs to hidden reasoning, and must be sent back too.
        if (event.text !== '' || event.signature !== undefined)
          this.#addContent('reasoning', createReasoningItem, event, true)
        break
      case 'citation':
        return this.#cite(event)
      case 'file':
        this.#file(event.file)
        break
      case 'tool-call-start': {
        const { name } = event
        const tool = this.#offered.findByWireName(name)
        const call = { id: writeSignedId(event), name, arguments: '' }
        this.#called = true
        this.#begin('call', (slot) => createCallItem(slot, call, tool), event.call).hasContent = true
        break
      }
      case 'tool-call-delta':
        this.#ofCall.get(event.call)?.events.push(event)
        break
      case 'block-end': {
        const segment = this.#ofCall.get(event.call)
        if (segment) segment.ended = true
      }
    }
    return this.#advance('completed')
  }

  /** Annotates the cited text, even if its item is done: Gemini names its sources at the end of the response. */
  #cite(event: ItemEvent & { type: 'citation' }): string {
    const { url, start = Number.POSITIVE_INFINITY } = event.citation
    const messages = this.#messages.filter(({ hasContent }) => hasContent)
    const cited = messages.findLast(({ textBefore }) => textBefore <= start) ?? messages[0]
    if (url === undefined || !cited) {
      dropCitation(this.#output)
      return ''
    }
    cited.events.push(event)
    return cited.isDone ? this.#stream(cited) : this.#advance('completed')
  }

  #file(file: GeneratedFile): void {
    if (!isImage(file)) {
      dropFile(this.#output, file)
      return
    }
    const segment = this.#begin('image', (slot) => createImageItem(slot, file), undefined)
    segment.hasContent = true
    segment.ended = true
  }

  /** Ends all items; `last`: the status of the last one. */
  finish(last: ItemStatus): string {
    for (const segment of this.#segments) segment.ended = true
    return this.#advance(last)
  }

  #addContent(
    kind: 'message' | 'reasoning',
    create: Segment['create'],
    event: ItemEvent,
    hasContent: boolean,
  ): void {
    const last = this.#segments.last
    const segment = last?.kind === kind ? last : this.#begin(kind, create, undefined)
    segment.events.push(event)
    segment.hasContent ||= hasContent
    if (event.type === 'text-delta') this.#textLength += event.text.length
  }

  #begin(kind: Segment['kind'], create: Segment['create'], call: number | undefined): Segment {
    const last = this.#segments.last
    if (last && last.kind !== 'call') last.ended = true
    const segment: Segment = {
      kind,
      call,
      create,
      events: [],
      hasContent: false,
      textBefore: this.#textLength,
      ended: false,
      isDone: false,
      open: undefined,
    }
    this.#segments.push(segment)
    if (kind === 'message') this.#messages.push(segment)
    if (call !== undefined) this.#ofCall.set(call, segment)
    return segment
  }

  #advance(last: ItemStatus): string {
    let out = ''
    for (let first = this.#segments.first; first; first = this.#segments.first) {
      if (!first.open && !first.hasContent) {
        if (!first.ended) return out
        if (this.#isBlank(first)) {
          this.#segments.shift()
          continue
        }
      }
      out += this.#stream(first)
      if (!first.ended) return out
      this.#segments.shift()
      if (first.call !== undefined) this.#ofCall.delete(first.call)
      out += this.#close(first, this.#segments.length === 0 ? last : 'completed')
    }
    return out
  }

  /** White space that a template emits around calls is not a message; without calls it is the response. */
  #isBlank({ events }: Segment): boolean {
    return this.#called || events.every((event) => 'text' in event && event.text === '')
  }

  #stream(segment: Segment): string {
    let out = ''
    if (!segment.open) {
      segment.open = segment.create({ ...this.#output.nextSlot(), textBefore: segment.textBefore })
      out += segment.open.open()
    }
    for (const event of segment.events) out += segment.open.write(event)
    segment.events = []
    return out
  }

  #close(segment: Segment, status: ItemStatus): string {
    const { open } = segment
    if (!open) return ''
    segment.isDone = true
    this.#output.onClosed(() => open.item(status))
    return open.close(status)
  }
}
