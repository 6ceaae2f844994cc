import type { JsonObject } from '../../../lib/json/read.ts'
import type { ChatEvent, Citation, GeneratedFile, ToolCall } from '../../../sdk/chat.ts'
import { customText } from '../../shared/tools/custom-tools.ts'
import type { ClientTool } from '../client-tools.ts'
import { type MessagePart, relativeToPart } from '../response/message-parts.ts'
import { itemId } from '../response/object.ts'
import {
  annotation,
  type CallWithTool,
  callItem,
  contentPart,
  type ItemStatus,
  imageItem,
  messageItem,
  prefixOf,
  reasoningItem,
  summaryPart,
  writeLogprob,
} from '../response/write.ts'

/** The position of an item in its response, and how its events are written. */
export interface ItemSlot {
  /** The random part of the response's ids. */
  id: string
  outputIndex: number
  /** Length of the text of earlier items. */
  textBefore: number
  /** Returns an event, with `output_index` added. */
  send(type: string, members: JsonObject): string
}

/** An item being streamed. Each method returns the events to send. */
export interface StreamedItem {
  open(): string
  write(event: ChatEvent): string
  close(status: ItemStatus): string
  /** The item so far. */
  item(status: ItemStatus): JsonObject
}

/** Text and refusals, as separate content parts. */
export function createMessageItem(slot: ItemSlot): StreamedItem {
  return new MessageItem(slot)
}

class MessageItem implements StreamedItem {
  readonly #slot: ItemSlot
  readonly #id: string
  readonly #parts: MessagePart[] = []

  constructor(slot: ItemSlot) {
    this.#slot = slot
    this.#id = itemId('msg', slot.id, slot.outputIndex)
  }

  item(status: ItemStatus): JsonObject {
    return messageItem(this.#id, this.#parts, status)
  }

  open(): string {
    return this.#slot.send('response.output_item.added', { item: this.item('in_progress') })
  }

  write(event: ChatEvent): string {
    if (event.type === 'refusal-delta') {
      const { part, opened } = this.#partOf({ type: 'refusal', text: '' })
      part.text += event.text
      return opened + this.#send('response.refusal.delta', { delta: event.text })
    }
    if (event.type === 'citation') return this.#cite(event.citation)
    if (event.type !== 'text-delta') return ''
    const { part, opened } = this.#partOf({ type: 'text', text: '', logprobs: [], citations: [] })
    const logprobs = event.logprobs ?? []
    part.text += event.text
    if (part.type === 'text') part.logprobs.push(...logprobs)
    const delta = { delta: event.text, logprobs: logprobs.map(writeLogprob) }
    return opened + this.#send('response.output_text.delta', delta)
  }

  /** Offsets count from the start of the item. */
  #cite({ url, ...citation }: Citation): string {
    const index = this.#parts.findLastIndex(({ type }) => type === 'text')
    const part = this.#parts[index]
    if (part?.type !== 'text' || url === undefined) return ''
    const cited = relativeToPart({ ...citation, url }, { start: this.#slot.textBefore, text: part.text })
    part.citations.push(cited)
    return this.#send('response.output_text.annotation.added', {
      content_index: index,
      annotation_index: part.citations.length - 1,
      annotation: annotation(cited, part.text.length),
    })
  }

  close(status: ItemStatus): string {
    return this.#closePart() + this.#slot.send('response.output_item.done', { item: this.item(status) })
  }

  /** The open part if it is of the wanted type; otherwise the wanted part is opened. */
  #partOf(newPart: MessagePart): { part: MessagePart; opened: string } {
    const part = this.#parts.at(-1)
    if (part?.type === newPart.type) return { part, opened: '' }
    const closed = this.#closePart()
    this.#parts.push(newPart)
    const added = this.#send('response.content_part.added', { part: contentPart(newPart) })
    return { part: newPart, opened: closed + added }
  }

  #closePart(): string {
    const part = this.#parts.at(-1)
    if (!part) return ''
    const whole = contentPart(part)
    const done =
      part.type === 'text'
        ? this.#send('response.output_text.done', { text: part.text, logprobs: whole.logprobs })
        : this.#send('response.refusal.done', { refusal: part.text })
    return done + this.#send('response.content_part.done', { part: whole })
  }

  #send(type: string, members: JsonObject): string {
    return this.#slot.send(type, {
      item_id: this.#id,
      content_index: this.#parts.length - 1,
      ...members,
    })
  }
}

/** Reasoning, as one part of its summary; none if there is only a signature. */
export function createReasoningItem(slot: ItemSlot): StreamedItem {
  const id = itemId('rs', slot.id, slot.outputIndex)
  let text = ''
  let signature: string | undefined
  const send = (type: string, members: JsonObject): string =>
    slot.send(type, { item_id: id, summary_index: 0, ...members })
  return {
    item: () => reasoningItem(id, text, signature),
    open: () => slot.send('response.output_item.added', { item: reasoningItem(id, '') }),
    write(event) {
      if (event.type !== 'reasoning-delta') return ''
      signature = event.signature ?? signature
      if (event.text === '') return ''
      const added =
        text === '' ? send('response.reasoning_summary_part.added', { part: summaryPart('') }) : ''
      text += event.text
      return added + send('response.reasoning_summary_text.delta', { delta: event.text })
    },
    close() {
      const done =
        text === ''
          ? ''
          : send('response.reasoning_summary_text.done', { text }) +
            send('response.reasoning_summary_part.done', { part: summaryPart(text) })
      return done + slot.send('response.output_item.done', { item: reasoningItem(id, text, signature) })
    },
  }
}

/** A generated image, which is complete. */
export function createImageItem(slot: ItemSlot, file: GeneratedFile): StreamedItem {
  const id = itemId('ig', slot.id, slot.outputIndex)
  return {
    item: () => imageItem(id, file),
    open: () => slot.send('response.output_item.added', { item: imageItem(id) }),
    write: () => '',
    close: () =>
      slot.send('response.image_generation_call.completed', { item_id: id }) +
      slot.send('response.output_item.done', { item: imageItem(id, file) }),
  }
}

/** A call, in the form of the client's tool. */
export function createCallItem(slot: ItemSlot, call: ToolCall, tool: ClientTool | undefined): StreamedItem {
  const prefix = prefixOf(tool)
  if (prefix === 'fc') return createFunctionItem(slot, { call, tool })
  return createBufferedItem(slot, { call, tool })
}

/** A function call; its arguments are streamed. */
function createFunctionItem(slot: ItemSlot, { call, tool }: CallWithTool): StreamedItem {
  const id = itemId('fc', slot.id, slot.outputIndex)
  const item = (status: ItemStatus): JsonObject => callItem(id, { call, tool }, status)
  const send = (type: string, members: JsonObject): string => slot.send(type, { item_id: id, ...members })
  const add = (json: string): string => {
    if (json === '') return ''
    call.arguments += json
    return send('response.function_call_arguments.delta', { delta: json })
  }
  return {
    item,
    open: () => slot.send('response.output_item.added', { item: item('in_progress') }),
    write: (event) => (event.type === 'tool-call-delta' ? add(event.arguments) : ''),
    close: (status) => {
      const empty = call.arguments === '' ? add('{}') : ''
      const done = { name: tool?.name ?? call.name, arguments: call.arguments }
      return (
        empty +
        send('response.function_call_arguments.done', done) +
        slot.send('response.output_item.done', { item: item(status) })
      )
    },
  }
}

/** A call whose item can be written only when its arguments are complete. */
function createBufferedItem(slot: ItemSlot, { call, tool }: CallWithTool): StreamedItem {
  const prefix = prefixOf(tool)
  const id = itemId(prefix, slot.id, slot.outputIndex)
  const item = (status: ItemStatus): JsonObject => callItem(id, { call, tool }, status)
  const send = (type: string, members: JsonObject): string => slot.send(type, { item_id: id, ...members })
  const inputEvents = (): string => {
    const input = customText(call.arguments)
    return (
      (input === '' ? '' : send('response.custom_tool_call_input.delta', { delta: input })) +
      send('response.custom_tool_call_input.done', { input })
    )
  }
  const initialItem = (): JsonObject => {
    const started = item('in_progress')
    return { ...started, status: 'in_progress', ...(prefix === 'ctc' ? { input: '' } : {}) }
  }
  return {
    item,
    open: () => slot.send('response.output_item.added', { item: initialItem() }),
    write(event) {
      if (event.type === 'tool-call-delta') call.arguments += event.arguments
      return ''
    },
    close: (status) =>
      (prefix === 'ctc' ? inputEvents() : '') +
      slot.send('response.output_item.done', { item: item(status) }),
  }
}
