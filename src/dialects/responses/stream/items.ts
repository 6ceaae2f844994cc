import type { JsonObject } from '../../../lib/json/read.ts'
import type { ChatEvent, ToolCall } from '../../../sdk/chat.ts'
import type { ClientTool } from '../client-tools.ts'
import { itemId } from '../response/object.ts'
import {
  type AnsweredCall,
  callItem,
  contentPart,
  customInput,
  type ItemStatus,
  type MessagePart,
  messageItem,
  prefixOf,
  reasoningItem,
  summaryPart,
  writeLogprob,
} from '../response/write.ts'

/** Position of an item, and how its events are written. */
export interface ItemPath {
  /** Random part of the answer's ids. */
  id: string
  outputIndex: number
  /** One event; `output_index` is added. */
  send(type: string, members: JsonObject): string
}

/** An item being streamed. Each method returns the events to send. */
export interface StreamedItem {
  open(): string
  take(event: ChatEvent): string
  close(status: ItemStatus): string
  /** The item so far. */
  item(status: ItemStatus): JsonObject
}

/** Text and refusals, each kind a content part of its own. */
export function createMessageItem(path: ItemPath): StreamedItem {
  return new MessageItem(path)
}

class MessageItem implements StreamedItem {
  readonly #path: ItemPath
  readonly #id: string
  readonly #parts: MessagePart[] = []

  constructor(path: ItemPath) {
    this.#path = path
    this.#id = itemId('msg', path.id, path.outputIndex)
  }

  item(status: ItemStatus): JsonObject {
    return messageItem(this.#id, this.#parts, status)
  }

  open(): string {
    return this.#path.send('response.output_item.added', { item: this.item('in_progress') })
  }

  take(event: ChatEvent): string {
    if (event.type === 'refusal-delta') {
      const { part, opened } = this.#partOf({ type: 'refusal', text: '' })
      part.text += event.text
      return opened + this.#send('response.refusal.delta', { delta: event.text })
    }
    if (event.type !== 'text-delta') return ''
    const { part, opened } = this.#partOf({ type: 'text', text: '', logprobs: [] })
    const logprobs = event.logprobs ?? []
    part.text += event.text
    if (part.type === 'text') part.logprobs.push(...logprobs)
    const delta = { delta: event.text, logprobs: logprobs.map(writeLogprob) }
    return opened + this.#send('response.output_text.delta', delta)
  }

  close(status: ItemStatus): string {
    return this.#closePart() + this.#path.send('response.output_item.done', { item: this.item(status) })
  }

  /** The part that is open, if it is of this kind, else this one. */
  #partOf(wanted: MessagePart): { part: MessagePart; opened: string } {
    const part = this.#parts.at(-1)
    if (part?.type === wanted.type) return { part, opened: '' }
    const closed = this.#closePart()
    this.#parts.push(wanted)
    const added = this.#send('response.content_part.added', { part: contentPart(wanted) })
    return { part: wanted, opened: closed + added }
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
    return this.#path.send(type, {
      item_id: this.#id,
      content_index: this.#parts.length - 1,
      ...members,
    })
  }
}

/** Thoughts, as one summary part. */
export function createReasoningItem(path: ItemPath): StreamedItem {
  const id = itemId('rs', path.id, path.outputIndex)
  let text = ''
  let signature: string | undefined
  const send = (type: string, members: JsonObject): string =>
    path.send(type, { item_id: id, summary_index: 0, ...members })
  return {
    item: () => reasoningItem(id, text, signature),
    open: () =>
      path.send('response.output_item.added', { item: reasoningItem(id, '') }) +
      send('response.reasoning_summary_part.added', { part: summaryPart('') }),
    take(event) {
      if (event.type !== 'reasoning-delta') return ''
      signature = event.signature ?? signature
      if (event.text === '') return ''
      text += event.text
      return send('response.reasoning_summary_text.delta', { delta: event.text })
    },
    close: () =>
      send('response.reasoning_summary_text.done', { text }) +
      send('response.reasoning_summary_part.done', { part: summaryPart(text) }) +
      path.send('response.output_item.done', { item: reasoningItem(id, text, signature) }),
  }
}

/** A call of a tool of the client, in the form of that tool. */
export function createCallItem(path: ItemPath, call: ToolCall, tool: ClientTool | undefined): StreamedItem {
  const prefix = prefixOf(tool)
  if (prefix === 'fc') return createFunctionItem(path, { call, tool })
  return createHeldItem(path, { call, tool })
}

/** A function call; its arguments are streamed. */
function createFunctionItem(path: ItemPath, { call, tool }: AnsweredCall): StreamedItem {
  const id = itemId('fc', path.id, path.outputIndex)
  const item = (status: ItemStatus): JsonObject => callItem(id, { call, tool }, status)
  const send = (type: string, members: JsonObject): string => path.send(type, { item_id: id, ...members })
  const add = (json: string): string => {
    if (json === '') return ''
    call.arguments += json
    return send('response.function_call_arguments.delta', { delta: json })
  }
  return {
    item,
    open: () => path.send('response.output_item.added', { item: item('in_progress') }),
    take: (event) => (event.type === 'tool-call-delta' ? add(event.arguments) : ''),
    close: (status) => {
      const empty = call.arguments === '' ? add('{}') : ''
      const done = { name: tool?.name ?? call.name, arguments: call.arguments }
      return (
        empty +
        send('response.function_call_arguments.done', done) +
        path.send('response.output_item.done', { item: item(status) })
      )
    },
  }
}

/** A call whose form is known only when the JSON around it is complete. */
function createHeldItem(path: ItemPath, { call, tool }: AnsweredCall): StreamedItem {
  const prefix = prefixOf(tool)
  const id = itemId(prefix, path.id, path.outputIndex)
  const item = (status: ItemStatus): JsonObject => callItem(id, { call, tool }, status)
  const send = (type: string, members: JsonObject): string => path.send(type, { item_id: id, ...members })
  const inputEvents = (): string => {
    const input = customInput(call)
    return (
      (input === '' ? '' : send('response.custom_tool_call_input.delta', { delta: input })) +
      send('response.custom_tool_call_input.done', { input })
    )
  }
  const begun = (): JsonObject => {
    const started = item('in_progress')
    return { ...started, status: 'in_progress', ...(prefix === 'ctc' ? { input: '' } : {}) }
  }
  return {
    item,
    open: () => path.send('response.output_item.added', { item: begun() }),
    take(event) {
      if (event.type === 'tool-call-delta') call.arguments += event.arguments
      return ''
    },
    close: (status) =>
      (prefix === 'ctc' ? inputEvents() : '') +
      path.send('response.output_item.done', { item: item(status) }),
  }
}
