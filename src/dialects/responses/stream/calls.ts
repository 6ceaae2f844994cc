import { filledTextOf, type JsonObject, numberOf, textOf } from '../../../lib/json/read.ts'
import type { RouterError } from '../../../sdk/errors.ts'
import type { Emit } from '../../shared/sse-stream-reader.ts'
import { AnswerCallIds } from '../../shared/tools/call-ids.ts'
import { customArguments } from '../../shared/tools/tool-arguments.ts'
import { unreadable } from '../../shared/upstream-error.ts'
import { callArguments } from '../response/read.ts'

interface StreamedCall {
  number: number
  arguments: string
  /** The text of a custom tool so far, which is emitted as arguments when it is complete. */
  input: string
  ended: boolean
}

/** The calls of a streamed response, by their index in its output. */
export class StreamedCalls {
  readonly #ids: AnswerCallIds
  readonly #calls = new Map<number, StreamedCall>()
  /** Indexes of calls without a name, which are dropped: they would be an error in the next turn. */
  readonly #nameless = new Set<number>()

  constructor(newId: () => string) {
    this.#ids = new AnswerCallIds(newId)
  }

  get any(): boolean {
    return this.#calls.size > 0
  }

  /** `response.output_item.added`. */
  begin(event: JsonObject, item: JsonObject, emit: Emit): void {
    const index = numberOf(event.output_index) ?? this.#calls.size
    if (this.#calls.has(index)) return
    const name = filledTextOf(item.name)
    if (name === undefined) {
      this.#nameless.add(index)
      return
    }
    const id = this.#ids.claim(filledTextOf(item.call_id))
    const call = { number: this.#calls.size, arguments: '', input: '', ended: false }
    this.#calls.set(index, call)
    emit({ type: 'tool-call-start', choice: 0, call: call.number, id, name })
  }

  /** `response.function_call_arguments.delta`. Returns an error if it belongs to no call. */
  add(event: JsonObject, emit: Emit): RouterError | undefined {
    const call = this.#callOf(event)
    if (!call) return this.#isNameless(event) ? undefined : unreadable('arguments of an unknown call')
    this.#emitArguments(call, textOf(event.delta) ?? '', emit)
    return undefined
  }

  /** `response.custom_tool_call_input.delta`. */
  addInput(event: JsonObject): void {
    const call = this.#callOf(event)
    if (call) call.input += textOf(event.delta) ?? ''
  }

  /** `response.output_item.done`, which repeats the whole call; some servers send no deltas. */
  end(event: JsonObject, item: JsonObject, emit: Emit): void {
    this.begin(event, item, emit)
    const call = this.#callOf(event)
    if (!call) return
    if (call.arguments === '') this.#emitArguments(call, callArguments(item), emit)
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
    const index = numberOf(event.output_index)
    return index === undefined ? this.#nameless.size > 0 : this.#nameless.has(index)
  }

  #emitArguments(call: StreamedCall, json: string, emit: Emit): void {
    if (json === '' || call.ended) return
    call.arguments += json
    emit({ type: 'tool-call-delta', choice: 0, call: call.number, arguments: json })
  }

  #finish(call: StreamedCall, emit: Emit): void {
    if (call.ended) return
    if (call.arguments === '')
      this.#emitArguments(call, call.input === '' ? '{}' : customArguments(call.input), emit)
    call.ended = true
    emit({ type: 'block-end', choice: 0, call: call.number })
  }
}
