import { type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatEvent, FinishReason, Usage } from '../../../sdk/chat.ts'
import type { AnswerContext, ChatStreamWriter } from '../../../sdk/dialect.ts'
import type { RouterError } from '../../../sdk/errors.ts'
import { ClientTools } from '../client-tools.ts'
import { answerError, serverEvent } from '../errors.ts'
import { inputItems } from '../request/input-read.ts'
import { type AnswerState, answerObject, endingOf } from '../response/object.ts'
import type { ItemStatus } from '../response/write.ts'
import { ItemQueue, type QueuedItem } from './item-queue.ts'

/**
 * Writes the events of a streamed response. Source: OpenAI API reference, "Streaming events" of the Responses API. `onAnswer`
 * is called with the final object of a response that did not fail, before its last event is returned.
 */
export function createWriter(
  context: AnswerContext,
  onAnswer?: (answer: JsonObject) => void,
  offered = new ClientTools(context.request?.tools, inputItems(context.request?.input)),
): ChatStreamWriter {
  return new StreamWriter(context, onAnswer, offered)
}

class StreamWriter implements ChatStreamWriter {
  readonly #context: AnswerContext
  readonly #onAnswer: ((answer: JsonObject) => void) | undefined
  readonly #queue: ItemQueue
  readonly #output: (() => JsonObject)[] = []
  #sequence = 0
  #usage: Usage | undefined
  #finishReason: FinishReason = 'stop'
  #over = false

  constructor(
    context: AnswerContext,
    onAnswer: ((answer: JsonObject) => void) | undefined,
    offered: ClientTools,
  ) {
    this.#context = context
    this.#onAnswer = onAnswer
    this.#queue = new ItemQueue(offered, {
      nextSlot: () => {
        const outputIndex = this.#output.length
        const send = (type: string, members: JsonObject): string =>
          this.#send(type, { output_index: outputIndex, ...members })
        return { id: context.id, outputIndex, send }
      },
      onClosed: (write) => this.#output.push(write),
      ...present({ drop: context.drop }),
    })
  }

  write(event: ChatEvent): string {
    if (this.#over) return ''
    const opening = this.#sequence === 0 ? this.#open() : ''
    return opening + this.#event(event)
  }

  #event(event: ChatEvent): string {
    switch (event.type) {
      case 'start':
        return ''
      case 'text-delta':
      case 'reasoning-delta':
      case 'refusal-delta':
      case 'citation':
      case 'file':
      case 'tool-call-start':
      case 'tool-call-delta':
      case 'block-end':
        // The API has one choice per request.
        return event.choice === 0 ? this.#queue.add(event) : ''
      case 'usage':
        this.#usage = event.usage
        return ''
      case 'finish':
        if (event.choice === 0) this.#finishReason = event.reason
        return ''
      case 'end':
        return this.#end()
      case 'error':
        return this.#fail(event.error)
    }
  }

  /** Clients add events to the announced response, and throw on an event before these two. */
  #open(): string {
    return (
      this.#lifecycle('response.created', 'in_progress') +
      this.#lifecycle('response.in_progress', 'in_progress')
    )
  }

  #end(): string {
    const ending = endingOf(this.#finishReason)
    const last: ItemStatus = ending.status === 'incomplete' ? 'incomplete' : 'completed'
    const items = this.#queue.finish(last)
    this.#over = true
    const answer = this.#answer({ ...ending, output: this.#written(), usage: this.#usage })
    this.#onAnswer?.(answer)
    return items + this.#send(`response.${ending.status}`, { response: answer })
  }

  /** The failed response contains unfinished items as far as they were received, as incomplete. */
  #fail(error: RouterError): string {
    this.#over = true
    const open: QueuedItem | undefined = this.#queue.open
    const output = open ? [...this.#written(), open.item('incomplete')] : this.#written()
    const answer = this.#answer({ status: 'failed', output, usage: this.#usage, error: answerError(error) })
    return this.#send('response.failed', { response: answer })
  }

  #written(): JsonObject[] {
    return this.#output.map((write) => write())
  }

  #lifecycle(type: string, status: AnswerState['status']): string {
    return this.#send(type, { response: this.#answer({ status, output: [] }) })
  }

  #answer(state: AnswerState): JsonObject {
    return answerObject(this.#context, state)
  }

  #send(type: string, members: JsonObject): string {
    return serverEvent(type, { sequence_number: this.#sequence++, ...members })
  }
}
