import {
  filledTextOf,
  isNoArguments,
  isObject,
  type JsonObject,
  numberOf,
  objectsIn,
  parseObject,
  present,
  textOf,
} from '../../../lib/json/read.ts'
import type { ChatEvent } from '../../../sdk/chat.ts'
import { signatureIn } from '../../shared/signatures.ts'
import { AnswerCallIds } from '../../shared/tools/call-ids.ts'
import { argumentText, customArguments } from '../../shared/tools/tool-arguments.ts'

interface StreamedCall {
  /** The server's index, if any. */
  index: number | undefined
  sentId: string
  signature: string | undefined
  name: string
  arguments: string
  /** The text of a custom tool, which is emitted when it is complete; undefined for a function. */
  input: string | undefined
  /** The router's index, assigned when the name is known and the call is emitted; undefined before. */
  number: number | undefined
  ended: boolean
}

type Emit = (event: ChatEvent) => void

/**
 * Assembles the tool calls of one choice from their fragments. Servers differ: the index may be missing, or 0 for
 * every call; id and name may arrive late, be repeated, change, or be sent again as null or an empty string.
 */
export class StreamedCalls {
  readonly #choice: number
  readonly #ids: AnswerCallIds
  readonly #calls: StreamedCall[] = []
  /** The last call with an index of the server. Earlier ones with the same index have ended. */
  readonly #numbered = new Map<number, StreamedCall>()
  #started = 0

  constructor(choice: number, newId: () => string) {
    this.#choice = choice
    this.#ids = new AnswerCallIds(newId)
  }

  /** Whether any call has been emitted. */
  get any(): boolean {
    return this.#started > 0
  }

  /** Adds the `tool_calls` of one delta. */
  read(fragments: unknown, emit: Emit): void {
    let previous: StreamedCall | undefined
    for (const fragment of objectsIn(fragments)) previous = this.#fragment(fragment, previous, emit)
  }

  /** Ends the open calls in their order. */
  close(emit: Emit): void {
    for (const call of this.#calls) this.#end(call, emit)
  }

  /** `previous`: the call of the preceding fragment in the same delta. */
  #fragment(fragment: JsonObject, previous: StreamedCall | undefined, emit: Emit): StreamedCall {
    const called = toolCallContentOf(fragment)
    const sent = { id: filledTextOf(fragment.id) ?? '', index: numberOf(fragment.index), ...called }
    let call = this.#find(sent)
    if (call && startsAnother(call, sent, call === previous)) {
      this.#end(call, emit)
      call = undefined
    }
    if (!call) {
      call = {
        index: sent.index,
        sentId: '',
        signature: undefined,
        name: '',
        arguments: '',
        input: undefined,
        number: undefined,
        ended: false,
      }
      this.#calls.push(call)
      if (call.index !== undefined) this.#numbered.set(call.index, call)
    }
    call.signature ??= signatureIn(fragment)
    this.#continue(call, sent.id, called, emit)
    return call
  }

  #continue(call: StreamedCall, id: string, { name, json, input }: ToolCallContent, emit: Emit): void {
    if (call.sentId === '') call.sentId = id
    if (input !== undefined) call.input = (call.input ?? '') + input
    call.arguments += json
    if (call.number !== undefined) {
      this.#emitArguments(call.number, call, json, emit)
      return
    }
    // Nothing is emitted before the name is known, and nothing changes it afterwards.
    if (name === '') return
    call.name = name
    call.number = this.#started++
    const started = { choice: this.#choice, call: call.number, id: this.#ids.claim(call.sentId), name }
    emit({ type: 'tool-call-start', ...started, ...present({ signature: call.signature }) })
    this.#emitArguments(call.number, call, call.arguments, emit)
  }

  /** `null` for no arguments is held back: the end of the call emits `{}` instead. */
  #emitArguments(number: number, call: StreamedCall, json: string, emit: Emit): void {
    if (json === '' || isNoArguments(call.arguments)) return
    emit({ type: 'tool-call-delta', choice: this.#choice, call: number, arguments: json })
  }

  /**
   * The open call that a fragment belongs to, by its index or else by its id. With neither, a fragment without a name
   * continues the last call, because it cannot begin one.
   */
  #find({ index, id, name }: SentFragment): StreamedCall | undefined {
    const lastOpen = (fits: (call: StreamedCall) => boolean): StreamedCall | undefined =>
      this.#calls.findLast((call) => !call.ended && fits(call))
    if (index !== undefined) {
      const numbered = this.#numbered.get(index)
      if (numbered?.ended === false) return numbered
      if (name !== '') return undefined
      const last = lastOpen(() => true)
      return (
        lastOpen((call) => id !== '' && call.sentId === id) ?? (last?.index === undefined ? last : undefined)
      )
    }
    const known = lastOpen((call) => id === '' || call.sentId === '' || call.sentId === id)
    return known ?? (name === '' ? lastOpen(() => true) : undefined)
  }

  /** A call that never received a name is dropped: it was truncated, or its type has no equivalent. */
  #end(call: StreamedCall, emit: Emit): void {
    const { number, input } = call
    if (call.ended) return
    call.ended = true
    if (number === undefined) return
    if (isNoArguments(call.arguments)) {
      const json = input === undefined ? '{}' : customArguments(input)
      emit({ type: 'tool-call-delta', choice: this.#choice, call: number, arguments: json })
    }
    emit({ type: 'block-end', choice: this.#choice, call: number })
  }
}

interface SentFragment extends ToolCallContent {
  /** Empty if missing. */
  id: string
  index: number | undefined
}

/**
 * Whether a fragment begins a new call, although an open one has its index. Only a fragment with a name can, because ids may
 * change from chunk to chunk. A new id with a name is a new call, because some servers send index 0 for all calls, unless the
 * name is the same and the arguments are still incomplete: then the server repeats the name. Without ids and indexes, a new
 * call is recognized by another name, a second entry in one delta, or a name with arguments after a complete call.
 */
function startsAnother(call: StreamedCall, sent: SentFragment, sameDelta: boolean): boolean {
  const { id, index, name, json } = sent
  if (name === '' || (call.name === '' && call.arguments === '')) return false
  const isComplete = call.arguments.trimEnd().endsWith('}') && parseObject(call.arguments) !== undefined
  if (id !== '' && call.sentId !== '') {
    return id !== call.sentId && (isComplete || sameDelta || name !== call.name)
  }
  if (id !== '') return false
  if (index === undefined && (sameDelta || (name !== call.name && call.arguments === ''))) return true
  return isComplete && (json !== '' || (index === undefined && name !== call.name))
}

/** Content of a tool call or fragment. */
export interface ToolCallContent {
  /** Empty if missing. */
  name: string
  /** Of a function: its arguments, or the next piece of them. */
  json: string
  /** Of a custom tool: its free text, or the next piece of it; undefined for a function. */
  input: string | undefined
}

/** Calls of unknown types have an empty name. Source: OpenAI API reference, "The chat completion object", `tool_calls`. */
export function toolCallContentOf(call: JsonObject): ToolCallContent {
  const custom = isObject(call.custom) ? call.custom : undefined
  const called = custom ?? (isObject(call.function) ? call.function : {})
  return {
    name: filledTextOf(called.name) ?? '',
    json: custom ? '' : argumentText(called.arguments),
    input: custom && (textOf(custom.input) ?? ''),
  }
}
