import {
  filledTextOf,
  isObject,
  type JsonObject,
  numberOf,
  objectsIn,
  parseObject,
  present,
  textOf,
} from '../../../lib/json/read.ts'
import { readCallSignature } from '../../shared/signatures.ts'
import type { Emit } from '../../shared/sse-stream-reader.ts'
import { AnswerCallIds } from '../../shared/tools/call-ids.ts'
import { argumentText, customArguments, isNoArguments } from '../../shared/tools/tool-arguments.ts'

interface StreamedCall {
  /** Its position among all calls of the choice. */
  readonly position: number
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
  hasSentArguments: boolean
  ended: boolean
}

/**
 * Assembles the tool calls of one choice from their fragments. Servers differ: the index may be missing, or 0 for
 * every call; id and name may arrive late, be repeated, change, or be sent again as null or an empty string.
 */
export class StreamedCalls {
  readonly #choice: number
  readonly #ids: AnswerCallIds
  readonly #calls: StreamedCall[] = []
  readonly #open = new OpenCalls()
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
    const content = toolCallContentOf(fragment)
    const sent = { id: filledTextOf(fragment.id) ?? '', index: numberOf(fragment.index), ...content }
    let call = this.#open.find(sent)
    if (call && startsNewCall(call, sent, call === previous)) {
      this.#end(call, emit)
      call = undefined
    }
    if (!call) {
      call = {
        position: this.#calls.length,
        index: sent.index,
        sentId: '',
        signature: undefined,
        name: '',
        arguments: '',
        input: undefined,
        number: undefined,
        hasSentArguments: false,
        ended: false,
      }
      this.#calls.push(call)
      this.#open.add(call)
    }
    call.signature ??= readCallSignature(fragment)
    this.#continue(call, sent.id, content, emit)
    return call
  }

  #continue(call: StreamedCall, id: string, { name, json, input }: ToolCallContent, emit: Emit): void {
    if (call.sentId === '' && id !== '') this.#open.identify(call, id)
    if (input !== undefined) call.input = (call.input ?? '') + input
    if (json !== '' && !call.hasSentArguments && isEmptyInput(call.arguments)) call.arguments = ''
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

  /**
   * No arguments (`null`, `{}`) are held back until the end of the call: some servers translate the empty input with which a
   * call of Anthropic begins, and the arguments follow.
   */
  #emitArguments(number: number, call: StreamedCall, json: string, emit: Emit): void {
    if (json === '' || (!call.hasSentArguments && isEmptyInput(call.arguments))) return
    call.hasSentArguments = true
    emit({ type: 'tool-call-delta', choice: this.#choice, call: number, arguments: json })
  }

  /** A call that never received a name is dropped: it was truncated, or its type has no equivalent. */
  #end(call: StreamedCall, emit: Emit): void {
    const { number, input } = call
    if (call.ended) return
    call.ended = true
    if (number === undefined) return
    if (!call.hasSentArguments) {
      const json = input === undefined ? '{}' : customArguments(input)
      emit({ type: 'tool-call-delta', choice: this.#choice, call: number, arguments: json })
    }
    emit({ type: 'block-end', choice: this.#choice, call: number })
  }
}

/** The calls that have not ended, found without searching: a response may have tens of thousands. */
class OpenCalls {
  readonly #all: StreamedCall[] = []
  readonly #withoutId: StreamedCall[] = []
  readonly #byId = new Map<string, StreamedCall[]>()
  /** At most one open call has an index. */
  readonly #byIndex = new Map<number, StreamedCall>()

  add(call: StreamedCall): void {
    this.#all.push(call)
    this.#withoutId.push(call)
    if (call.index !== undefined) this.#byIndex.set(call.index, call)
  }

  identify(call: StreamedCall, id: string): void {
    call.sentId = id
    const same = this.#byId.get(id)
    if (same) same.push(call)
    else this.#byId.set(id, [call])
  }

  /**
   * The open call that a fragment belongs to, by its index or else by its id. With neither, a fragment without a name
   * continues the last call, because it cannot begin one.
   */
  find({ index, id, name }: SentFragment): StreamedCall | undefined {
    const last = lastOf(this.#all, isOpen)
    const identified = id === '' ? undefined : lastOf(this.#byId.get(id), isOpen)
    if (index !== undefined) {
      const numbered = this.#byIndex.get(index)
      if (numbered && isOpen(numbered)) return numbered
      if (name !== '') return undefined
      return identified ?? (last?.index === undefined ? last : undefined)
    }
    if (id === '') return last
    const unidentified = lastOf(this.#withoutId, (call) => isOpen(call) && call.sentId === '')
    const match = (unidentified?.position ?? -1) > (identified?.position ?? -1) ? unidentified : identified
    return match ?? (name === '' ? last : undefined)
  }
}

function isEmptyInput(json: string): boolean {
  return isNoArguments(json) || (json.length <= 16 && json.trim() === '{}')
}

function isOpen({ ended }: StreamedCall): boolean {
  return !ended
}

/** The last wanted call. Removes the calls behind it, which will never be wanted again. */
function lastOf(
  calls: StreamedCall[] | undefined,
  isWanted: (call: StreamedCall) => boolean,
): StreamedCall | undefined {
  for (let last = calls?.at(-1); last; last = calls?.at(-1)) {
    if (isWanted(last)) return last
    calls?.pop()
  }
  return undefined
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
function startsNewCall(call: StreamedCall, sent: SentFragment, sameDelta: boolean): boolean {
  const { id, index, name, json } = sent
  if (name === '' || (call.name === '' && call.arguments === '')) return false
  if (id !== '' && call.sentId !== '') {
    return id !== call.sentId && (sameDelta || name !== call.name || hasAllArguments(call))
  }
  if (id !== '') return false
  if (index === undefined && (sameDelta || (name !== call.name && call.arguments === ''))) return true
  return (json !== '' || (index === undefined && name !== call.name)) && hasAllArguments(call)
}

function hasAllArguments(call: StreamedCall): boolean {
  return call.arguments.trimEnd().endsWith('}') && parseObject(call.arguments) !== undefined
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
  const definition = custom ?? (isObject(call.function) ? call.function : {})
  return {
    name: filledTextOf(definition.name) ?? '',
    json: custom ? '' : argumentText(definition.arguments),
    input: custom && (textOf(custom.input) ?? ''),
  }
}
