import type { ChatEvent } from '../../core/chat.ts'
import type { RouterError } from '../../core/errors.ts'
import { filledTextOf, type JsonObject, numberOf, textOf } from '../../core/json-read.ts'
import { callArguments } from './answer-read.ts'
import { unreadable } from './errors.ts'
import { argumentText } from './json.ts'

type Emit = (event: ChatEvent) => void

interface StreamedCall {
  number: number
  arguments: string
  ended: boolean
}

/** The calls of a streamed answer, known by their place in its output. */
export class StreamedCalls {
  readonly #newId: () => string
  readonly #used = new Set<string>()
  readonly #calls = new Map<number, StreamedCall>()

  constructor(newId: () => string) {
    this.#newId = newId
  }

  get any(): boolean {
    return this.#calls.size > 0
  }

  /** `response.output_item.added`. Gives the error of a call that is none. */
  begin(event: JsonObject, item: JsonObject, emit: Emit): RouterError | undefined {
    const place = numberOf(event.output_index) ?? this.#calls.size
    if (this.#calls.has(place)) return undefined
    const name = filledTextOf(item.name)
    if (name === undefined) return unreadable('tool call without a name')
    let id = filledTextOf(item.call_id) ?? ''
    while (id === '' || this.#used.has(id)) id = this.#newId()
    this.#used.add(id)
    const call = { number: this.#calls.size, arguments: '', ended: false }
    this.#calls.set(place, call)
    emit({ type: 'tool-call-start', choice: 0, call: call.number, id, name })
    return undefined
  }

  /** `response.function_call_arguments.delta`. */
  add(event: JsonObject, emit: Emit): RouterError | undefined {
    const call = this.#calls.get(numberOf(event.output_index) ?? this.#calls.size - 1)
    if (!call) return unreadable('arguments of an unknown call')
    this.#tell(call, textOf(event.delta) ?? '', emit)
    return undefined
  }

  /** `response.output_item.done`: it repeats the whole call, for servers that send no deltas. */
  end(event: JsonObject, item: JsonObject, emit: Emit): RouterError | undefined {
    const unknown = this.begin(event, item, emit)
    const call = this.#calls.get(numberOf(event.output_index) ?? this.#calls.size - 1)
    if (unknown || !call) return unknown
    if (call.arguments === '') this.#tell(call, callArguments(item) ?? textOf(item.arguments) ?? '', emit)
    return this.#finish(call, emit)
  }

  /** Ends what the upstream left open. */
  close(emit: Emit): RouterError | undefined {
    for (const call of this.#calls.values()) {
      const error = this.#finish(call, emit)
      if (error) return error
    }
    return undefined
  }

  #tell(call: StreamedCall, json: string, emit: Emit): void {
    if (json === '' || call.ended) return
    call.arguments += json
    emit({ type: 'tool-call-delta', choice: 0, call: call.number, arguments: json })
  }

  #finish(call: StreamedCall, emit: Emit): RouterError | undefined {
    if (call.ended) return undefined
    if (call.arguments === '') this.#tell(call, '{}', emit)
    call.ended = true
    if (argumentText(call.arguments) === undefined) return unreadable('tool arguments that are no object')
    emit({ type: 'block-end', choice: 0, call: call.number })
    return undefined
  }
}
