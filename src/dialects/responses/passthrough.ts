import { sseFraming } from '../../lib/bytes/framing.ts'
import { sseMarks } from '../../lib/bytes/marks.ts'
import type { SseEvent } from '../../lib/bytes/sse.ts'
import { filledTextOf, isObject, type JsonObject } from '../../lib/json/read.ts'
import type { ChatPassthrough, PassthroughOptions, PassthroughState } from '../../sdk/dialect.ts'
import type { RouterError } from '../../sdk/errors.ts'
import { parseEvent as parseAny, type StreamEvent } from '../shared/stream-event.ts'
import { createStreamFilter, type StreamPolicy } from '../shared/stream-filter.ts'
import { reportedError } from '../shared/upstream-error.ts'
import { answerError, serverEvent } from './errors.ts'
import { readUsage } from './response/read.ts'

/** Only events with a `response` object have the model's name, or end the stream. */
const marks = sseMarks(['response"'])
const numberKey = '"sequence_number"'

export function createPassthrough({ model }: PassthroughOptions): ChatPassthrough {
  return createStreamFilter(new ResponsesStream(model), model)
}

/** Reads an event. A terminal event ends the stream, not `[DONE]`, which proxies add. */
export function parseEvent(sent: SseEvent): StreamEvent {
  const event = parseAny(sent)
  if (event.type === 'done') return { type: 'nothing' }
  const isFailed =
    event.type === 'data' && (event.name === 'response.failed' || event.name === 'response.cancelled')
  return isFailed ? { type: 'error', error: reportedError(event.data.response) } : event
}

/** Whether the event is the last one of a stream. */
export function isTerminal(name: string): boolean {
  return name === 'response.completed' || name === 'response.incomplete'
}

class ResponsesStream implements StreamPolicy {
  readonly framing = sseFraming
  readonly marks = marks
  readonly modelIn = 'response'
  readonly parse = parseEvent
  readonly #model: string
  /** The last forwarded bytes with a sequence number. */
  #last: Buffer | undefined
  /** The last `response` object. */
  #answer: JsonObject | undefined

  constructor(model: string) {
    this.#model = model
  }

  filterEvent({ name, data }: { name: string; data: JsonObject }, state: PassthroughState): boolean {
    if (isObject(data.response)) this.#answer = data.response
    state.answerId ??= filledTextOf(this.#answer?.id)
    state.content ||= name.endsWith('.delta') && filledTextOf(data.delta) !== undefined
    if (!isTerminal(name)) return true
    state.content = true
    state.ended = true
    state.usage = readUsage(data)
    return true
  }

  onForwarded(bytes: Buffer): void {
    if (bytes.includes(numberKey)) this.#last = bytes
  }

  /** `response.failed` with the next sequence number and the last `response` object. */
  writeError(error: RouterError): string | undefined {
    if (!this.#answer) return undefined
    const text = this.#last?.toString('latin1') ?? ''
    const number = /^"sequence_number"\s*:\s*(\d+)/.exec(text.slice(text.lastIndexOf(numberKey)))?.[1]
    const response = { ...this.#answer, model: this.#model, status: 'failed', error: answerError(error) }
    const next = number === undefined ? 0 : Number(number) + 1
    return serverEvent('response.failed', { sequence_number: next, response })
  }
}
