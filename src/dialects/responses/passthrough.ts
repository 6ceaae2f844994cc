import { EventCutter } from '../../lib/bytes/event-cutter.ts'
import { readEvent, withModelIn } from '../../lib/bytes/sse-search.ts'
import { isObject, type JsonObject, numberOf } from '../../lib/json/read.ts'
import type { ChatPassthrough, PassthroughOptions, PassthroughState } from '../../sdk/dialect.ts'
import { type RouterError, streamTruncated } from '../../sdk/errors.ts'
import { readUsage } from './answer-read.ts'
import { answerError, serverEvent, unreadable } from './errors.ts'
import { isTerminal, parseEvent } from './stream-event.ts'

const openBrace = 0x7b
const carriageReturn = 0x0d
const lineEnd = Buffer.from('\r\n')
/** Only the events about the answer as a whole name a model, or end the stream. */
const wholeAnswer = Buffer.from('"response"')
const errorKey = Buffer.from('"error"')
const errorWord = Buffer.from('error')

/** The stream half of the identity lane: events go through as they came, but for the model in those that name it. */
export function createPassthrough(options: PassthroughOptions): ChatPassthrough {
  return new Passthrough(options.model)
}

class Passthrough implements ChatPassthrough {
  readonly state: PassthroughState = { content: false, ended: false, failure: undefined, usage: undefined }
  readonly #alias: string
  readonly #cutter = new EventCutter()
  #out: Buffer[] = []
  /** The last event that went by, and the last one that told the answer as a whole. */
  #last: Buffer | undefined
  #answer: Buffer | undefined

  constructor(model: string) {
    this.#alias = model
  }

  push(chunk: Buffer): Buffer | undefined {
    try {
      this.#cutter.push(chunk, (bytes) => this.#event(bytes))
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      if (!this.#isOver()) this.state.failure = unreadable('event too long', error)
    }
    return this.#take()
  }

  end(): Buffer | undefined {
    const tail = this.#cutter.rest()
    // Some servers leave out the last empty line; without it clients would not see the event.
    if (isWholeEvent(tail)) this.#event(Buffer.concat([tail, Buffer.from('\n\n')]))
    if (!this.#isOver()) this.state.failure = streamTruncated()
    return this.#take()
  }

  /** `response.failed` in the count of the stream, with what was told of the answer before; its items are not kept. */
  writeError(error: RouterError): string | undefined {
    const response = this.#answer && dataOf(this.#answer)?.response
    const number = this.#last && numberOf(dataOf(this.#last)?.sequence_number)
    if (!isObject(response)) return undefined
    const failed = { ...response, model: this.#alias, status: 'failed', error: answerError(error) }
    const next = number === undefined ? 0 : number + 1
    return serverEvent('response.failed', { sequence_number: next, response: failed })
  }

  #isOver(): boolean {
    return this.state.ended || this.state.failure !== undefined
  }

  #take(): Buffer | undefined {
    if (this.#out.length === 0) return undefined
    const bytes = Buffer.concat(this.#out)
    this.#out = []
    return bytes
  }

  /** Most events are deltas and are not parsed; of the others one search tells that they must be. */
  #event(bytes: Buffer): void {
    if (this.#isOver()) return
    if (!bytes.includes(openBrace)) {
      this.#out.push(bytes)
      return
    }
    if (!bytes.includes(wholeAnswer) && !bytes.includes(errorKey) && !this.#isNamedError(bytes)) {
      this.#out.push(bytes)
      this.#last = bytes
      this.state.content ||= bytes.includes('.delta')
      return
    }
    this.#look(bytes)
  }

  #isNamedError(bytes: Buffer): boolean {
    return bytes.includes(errorWord) && readEvent(bytes)?.event === 'error'
  }

  #look(bytes: Buffer): void {
    const sent = readEvent(bytes)
    const event = sent && parseEvent(sent)
    if (event?.type === 'error' || event?.type === 'broken') {
      this.state.failure = event.error
      return
    }
    this.#out.push(
      withModelIn(bytes, { from: bytes.indexOf(openBrace), outer: 'response', model: this.#alias }),
    )
    if (event?.type === 'event') this.#last = bytes
    if (event?.type === 'event' && isObject(event.data.response)) this.#answer = bytes
    if (event?.type !== 'event' || !isTerminal(event.name)) return
    this.state.content = true
    this.state.ended = true
    this.state.usage = readUsage(event.data)
    // The other half of the last line end may still be on its way, and nothing is taken after the end.
    if (bytes.at(-1) === carriageReturn && bytes.includes(lineEnd)) this.#out.push(lineEnd.subarray(1))
  }
}

function dataOf(bytes: Buffer): JsonObject | undefined {
  const sent = readEvent(bytes)
  const event = sent && parseEvent(sent)
  return event?.type === 'event' ? event.data : undefined
}

/** What a stream that was cut off leaves is most often half an event, which is none. */
function isWholeEvent(tail: Buffer): boolean {
  const sent = readEvent(tail)
  return sent !== undefined && parseEvent(sent).type !== 'broken'
}
