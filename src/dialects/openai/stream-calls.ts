import { AnswerCallIds } from '../../core/call-ids.ts'
import type { ChatEvent } from '../../core/chat.ts'
import type { RouterError } from '../../core/errors.ts'
import {
  filledTextOf,
  isNoArguments,
  isObject,
  type JsonObject,
  numberOf,
  objectsIn,
} from '../../core/json-read.ts'
import { unreadable } from './errors.ts'
import { argumentText, isObjectText } from './json.ts'

interface StreamedCall {
  /** The server's own count, where it has one. */
  index: number | undefined
  sentId: string
  name: string
  arguments: string
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

  /** Takes the `tool_calls` of one delta. Gives the error of a call that ended without being one. */
  read(fragments: unknown, emit: Emit): RouterError | undefined {
    for (const fragment of objectsIn(fragments)) {
      const error = this.#fragment(fragment, emit)
      if (error) return error
    }
    return undefined
  }

  /** Ends the calls still open, in their order. */
  close(emit: Emit): RouterError | undefined {
    for (const call of this.#calls) {
      const error = this.#end(call, emit)
      if (error) return error
    }
    return undefined
  }

  #fragment(fragment: JsonObject, emit: Emit): RouterError | undefined {
    const called = isObject(fragment.function) ? fragment.function : {}
    const id = filledTextOf(fragment.id) ?? ''
    const name = filledTextOf(called.name) ?? ''
    const json = argumentText(called.arguments)
    const index = numberOf(fragment.index)
    let call = this.#find(index, id)
    if (call && startsAnother(call, id, name, json)) {
      const error = this.#end(call, emit)
      if (error) return error
      call = undefined
    }
    if (!call) {
      call = { index, sentId: '', name: '', arguments: '', number: undefined, ended: false }
      this.#calls.push(call)
    }
    this.#continue(call, id, name, json, emit)
    return undefined
  }

  #continue(call: StreamedCall, id: string, name: string, json: string, emit: Emit): void {
    if (call.sentId === '') call.sentId = id
    call.arguments += json
    if (call.number !== undefined) {
      this.#tellArguments(call.number, call, json, emit)
      return
    }
    // Nothing is told before the name is known, and nothing changes it afterwards.
    if (name === '') return
    call.name = name
    call.number = this.#told++
    const started = { choice: this.#choice, call: call.number, id: this.#ids.claim(call.sentId), name }
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

  #end(call: StreamedCall, emit: Emit): RouterError | undefined {
    if (call.ended) return undefined
    call.ended = true
    const { number } = call
    if (number === undefined) {
      const empty = call.sentId === '' && call.arguments === ''
      return empty ? undefined : unreadable('tool call without a name')
    }
    if (isNoArguments(call.arguments)) {
      emit({ type: 'tool-call-delta', choice: this.#choice, call: number, arguments: '{}' })
    } else if (!isObjectText(call.arguments)) {
      return unreadable('tool arguments that are no object')
    }
    emit({ type: 'block-end', choice: this.#choice, call: number })
    return undefined
  }
}

/**
 * A new id on an old index is a new call, as some servers send index 0 for all. Servers without ids show it by a name
 * with arguments after a call that was complete.
 */
function startsAnother(call: StreamedCall, id: string, name: string, json: string): boolean {
  if (id !== '' && call.sentId !== '') return id !== call.sentId
  if (id !== '' || name === '' || json === '') return false
  return call.arguments.trimEnd().endsWith('}') && isObjectText(call.arguments)
}
