import { filledTextOf, type JsonObject, numberOf, textOf } from '../../../lib/json/read.ts'
import type { ChatEvent } from '../../../sdk/chat.ts'
import type { RouterError } from '../../../sdk/errors.ts'
import { customArguments } from '../../shared/tool-arguments.ts'
import { unreadable } from '../../shared/upstream-error.ts'
import { callArguments } from '../response/read.ts'

type Emit = (event: ChatEvent) => void

interface StreamedCall {
  number: number
  arguments: string
  /** The text of a custom tool so far; its arguments are emitted when it is complete. */
  input: string
  ended: boolean
}

/** The calls of a streamed response, by their index in its output. */
export class StreamedCalls {
  readonly #newId: () => string
  readonly #used = new Set<string>()
  readonly #calls = new Map<number, StreamedCall>()
  /** Where calls of nothing stand, which are none: in the next turn they would be an error. */
  readonly #nameless = new Set<number>()

  constructor(newId: () => string) {
    this.#newId = newId
  }

  get any(): boolean {
    return this.#calls.size > 0
  }

  /** `response.output_item.added`. */
  begin(event: JsonObject, item: JsonObject, emit: Emit): void {
    const path = numberOf(event.output_index) ?? this.#calls.size
    if (this.#calls.has(path)) return
    const name = filledTextOf(item.name)
    if (name === undefined) {
      this.#nameless.add(path)
      return
    }
    let id = filledTextOf(item.call_id) ?? ''
    while (id === '' || this.#used.has(id)) id = this.#newId()
    this.#used.add(id)
    const call = { number: this.#calls.size, arguments: '', input: '', ended: false }
    this.#calls.set(path, call)
    emit({ type: 'tool-call-start', choice: 0, call: call.number, id, name })
  }

  /** `response.function_call_arguments.delta`. Gives the error of one that belongs to no call. */
  add(event: JsonObject, emit: Emit): RouterError | undefined {
    const call = this.#callOf(event)
    if (!call) return this.#isNameless(event) ? undefined : unreadable('arguments of an unknown call')
    this.#tell(call, textOf(event.delta) ?? '', emit)
    return undefined
  }

  /** `response.custom_tool_call_input.delta`. */
  addInput(event: JsonObject): void {
    const call = this.#callOf(event)
    if (call) call.input += textOf(event.delta) ?? ''
  }

  /** `response.output_item.done`: it repeats the whole call, for servers that send no deltas. */
  end(event: JsonObject, item: JsonObject, emit: Emit): void {
    this.begin(event, item, emit)
    const call = this.#callOf(event)
    if (!call) return
    if (call.arguments === '') this.#tell(call, callArguments(item), emit)
    this.#finish(call, emit)
  }

  /** Ends open calls. */
  close(emit: Emit): void {
    for (const call of this.#calls.values()) this.#finish(call, emit)
  }

  #callOf(event: JsonObject): StreamedCall | undefined {
    return this.#calls.get(numberOf(event.output_index) ?? this.#calls.size - 1)
  }

  #isNameless(event: JsonObject): boolean {
    const path = numberOf(event.output_index)
    return path === undefined ? this.#nameless.size > 0 : this.#nameless.has(path)
  }

  #tell(call: StreamedCall, json: string, emit: Emit): void {
    if (json === '' || call.ended) return
    call.arguments += json
    emit({ type: 'tool-call-delta', choice: 0, call: call.number, arguments: json })
  }

  #finish(call: StreamedCall, emit: Emit): void {
    if (call.ended) return
    if (call.arguments === '') this.#tell(call, call.input === '' ? '{}' : customArguments(call.input), emit)
    call.ended = true
    emit({ type: 'block-end', choice: 0, call: call.number })
  }
}
