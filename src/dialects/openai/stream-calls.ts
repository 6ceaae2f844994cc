import {
  filledTextOf,
  isNoArguments,
  isObject,
  type JsonObject,
  numberOf,
  objectsIn,
  textOf,
} from '../../lib/json/read.ts'
import { readCallId, signedCallId } from '../../lib/signed-id.ts'
import type { ChatEvent } from '../../sdk/chat.ts'
import { AnswerCallIds } from '../shared/call-ids.ts'
import { argumentText, customArguments } from '../shared/tool-arguments.ts'
import { isObjectText } from './messages-read.ts'

interface StreamedCall {
  /** The server's own count, where it has one. */
  index: number | undefined
  sentId: string
  name: string
  arguments: string
  /** The text of a custom tool, which is told when it is whole; undefined for a function. */
  input: string | undefined
  /** Our count, given when the name is known and the call is told; undefined before. */
  number: number | undefined
  ended: boolean
}

type Emit = (event: ChatEvent) => void

/**
 * Puts the tool calls of one choice together from their fragments. Servers differ: the index may be missing, or 0 for
 * every call; id and name may come late, be repeated, or be sent again as null or an empty text.
 */
export class StreamedCalls {
  readonly #choice: number
  readonly #ids: AnswerCallIds
  readonly #calls: StreamedCall[] = []
  #told = 0

  constructor(choice: number, newId: () => string) {
    this.#choice = choice
    this.#ids = new AnswerCallIds(newId)
  }

  /** Whether any call has been told. */
  get any(): boolean {
    return this.#told > 0
  }

  /** Takes the `tool_calls` of one delta. */
  read(fragments: unknown, emit: Emit): void {
    for (const fragment of objectsIn(fragments)) this.#fragment(fragment, emit)
  }

  /** Ends the calls still open, in their order. */
  close(emit: Emit): void {
    for (const call of this.#calls) this.#end(call, emit)
  }

  #fragment(fragment: JsonObject, emit: Emit): void {
    const called = calledIn(fragment)
    const id = filledTextOf(fragment.id) ?? ''
    const index = numberOf(fragment.index)
    let call = this.#find(index, id)
    if (call && startsAnother(call, id, called)) {
      this.#end(call, emit)
      call = undefined
    }
    if (!call) {
      call = {
        index,
        sentId: '',
        name: '',
        arguments: '',
        input: undefined,
        number: undefined,
        ended: false,
      }
      this.#calls.push(call)
    }
    this.#continue(call, id, called, emit)
  }

  #continue(call: StreamedCall, id: string, { name, json, input, signature }: Called, emit: Emit): void {
    if (call.sentId === '') call.sentId = id
    if (input !== undefined) call.input = (call.input ?? '') + input
    call.arguments += json
    if (call.number !== undefined) {
      this.#tellArguments(call.number, call, json, emit)
      return
    }
    // Nothing is told before the name is known, and nothing changes it afterwards.
    if (name === '') return
    call.name = name
    call.number = this.#told++
    const signed = signedCallId(this.#ids.claim(call.sentId), signature)
    const started = { choice: this.#choice, call: call.number, id: signed, name }
    emit({ type: 'tool-call-start', ...started })
    this.#tellArguments(call.number, call, call.arguments, emit)
  }

  /** `null` for "no arguments" is held back: the end of the call says `{}` in its place. */
  #tellArguments(number: number, call: StreamedCall, json: string, emit: Emit): void {
    if (json === '' || isNoArguments(call.arguments)) return
    emit({ type: 'tool-call-delta', choice: this.#choice, call: number, arguments: json })
  }

  #find(index: number | undefined, id: string): StreamedCall | undefined {
    const fits = (call: StreamedCall): boolean => {
      if (index !== undefined) return call.index === index
      return id === '' || call.sentId === '' || call.sentId === id
    }
    return this.#calls.findLast((call) => !call.ended && fits(call))
  }

  /** A call that never got a name is none: it was cut before it, or is of a type that other dialects do not have. */
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

/**
 * A new id on an old index is a new call, as some servers send index 0 for all. Servers without ids show it by a name
 * with arguments after a call that was complete.
 */
function startsAnother(call: StreamedCall, id: string, { name, json }: Called): boolean {
  if (id !== '' && call.sentId !== '') return id !== call.sentId
  if (id !== '' || name === '' || json === '') return false
  return call.arguments.trimEnd().endsWith('}') && isObjectText(call.arguments)
}

/** What a tool call, or one fragment of it, says. */
export interface Called {
  /** Empty where it has not been told. */
  name: string
  /** Of a function: its arguments, or the next piece of them. */
  json: string
  /** Of a custom tool: its free text, or the next piece of it; undefined for a function. */
  input: string | undefined
  /** Of Gemini's thoughts before the call. */
  signature: string | undefined
}

/** Source: OpenAI API reference, "The chat completion object", `tool_calls`. Other types of calls have no name here. */
export function calledIn(call: JsonObject): Called {
  const custom = isObject(call.custom) ? call.custom : undefined
  const called = custom ?? (isObject(call.function) ? call.function : {})
  return {
    name: filledTextOf(called.name) ?? '',
    json: custom ? '' : argumentText(called.arguments),
    input: custom && (textOf(custom.input) ?? ''),
    signature: signatureIn(call),
  }
}

/** Source: Gemini API documentation, "Thought signatures", on its endpoint for OpenAI's clients. */
function signatureIn({ extra_content: extra }: JsonObject): string | undefined {
  const google = isObject(extra) ? extra.google : undefined
  return isObject(google) ? filledTextOf(google.thought_signature) : undefined
}

/** The id and the members of a call for a server that may have signed the thoughts before it. */
export function writeSignedId(signed: string): { id: string; extra_content?: JsonObject } {
  const { id, signature } = readCallId(signed)
  return signature === undefined
    ? { id }
    : { id, extra_content: { google: { thought_signature: signature } } }
}
