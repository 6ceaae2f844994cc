import { HeldBytes } from '../../lib/bytes/held.ts'
import { maxLineBytes } from '../../lib/bytes/lines.ts'
import { eventEnd, hasLineEnd, readEvent, withModelIn } from '../../lib/bytes/sse-search.ts'
import { isObject, type JsonObject } from '../../lib/json/read.ts'
import type { ChatPassthrough, PassthroughOptions, PassthroughState } from '../../sdk/dialect.ts'
import { type RouterError, streamTruncated } from '../../sdk/errors.ts'
import { readCounts } from './answer-read.ts'
import { unreadable } from './errors.ts'
import { hasContent, parseEvent } from './stream-event.ts'

/** An event longer than this goes out in pieces: memory per stream stays bounded. */
const maxHeldBytes = 64 * 1024

/** Events whose data has to be read say so in these bytes. Inside a JSON string the quotes would be escaped. */
const marks = /"message_|"error"|event: ?error/
const dataField = Buffer.from('data:')
const byteOrderMark = Buffer.from('\ufeff')

/**
 * The stream half of the identity lane: whole events go through as they came, only the model's name in `message_start`
 * is replaced. Once content was seen no event is parsed but those around the message as a whole, and errors.
 */
export function createPassthrough(options: PassthroughOptions): ChatPassthrough {
  return new Passthrough(options.model)
}

class Passthrough implements ChatPassthrough {
  readonly state: PassthroughState = { content: false, ended: false, failure: undefined, usage: undefined }
  readonly #model: string
  readonly #held = new HeldBytes()
  #first = true
  /** Whether the beginning of the event being held has gone out. */
  #torn = false

  constructor(model: string) {
    this.#model = model
  }

  push(chunk: Buffer): Buffer | undefined {
    if (this.#isOver()) return undefined
    this.#held.add(chunk)
    if (hasLineEnd(chunk)) {
      const out = this.#relay(this.#take())
      if (out.length > 0 || this.#isOver()) return joined(out)
    }
    return this.#held.length > maxHeldBytes ? this.#letThrough() : undefined
  }

  end(): Buffer | undefined {
    if (this.#isOver()) return undefined
    const rest = this.#take()
    const sent = this.#torn ? undefined : readEvent(rest)
    const event = sent && parseEvent(sent)
    // Some servers leave out the last empty line; an event that was cut in two was never sent.
    const whole = event?.type === 'event' || event?.type === 'error'
    const out = whole ? this.#relay(Buffer.concat([rest, Buffer.from('\n\n')])) : []
    if (!this.#isOver()) this.state.failure = streamTruncated()
    return joined(out)
  }

  /** Ends the torn line, and the event that it belongs to: the client's parser would take an error for a part of it. */
  endTorn(): string {
    return this.#torn ? '\n\n' : ''
  }

  #isOver(): boolean {
    return this.state.ended || this.state.failure !== undefined
  }

  #take(): Buffer {
    const bytes = this.#held.take()
    if (!this.#first || bytes.length < byteOrderMark.length) return bytes
    this.#first = false
    // It is no part of the events, and clients that do not know it lose the first one.
    return bytes.indexOf(byteOrderMark) === 0 ? bytes.subarray(byteOrderMark.length) : bytes
  }

  /** Gives the whole events that are the client's, and holds what is left. */
  #relay(bytes: Buffer): Buffer[] {
    const out: Buffer[] = []
    let sent = 0
    let at = 0
    while (!this.#isOver()) {
      const end = eventEnd(bytes, at)
      if (end === -1) break
      const event = bytes.subarray(at, end)
      const kept = this.#torn ? event : this.#inspect(event)
      this.#torn = false
      if (kept !== event) {
        out.push(bytes.subarray(sent, at))
        if (kept) out.push(kept)
        sent = end
      }
      at = end
    }
    out.push(bytes.subarray(sent, at))
    if (!this.#isOver()) this.#held.add(bytes.subarray(at))
    return out.filter((piece) => piece.length > 0)
  }

  /** An event that has to be read waits for its end: the client must not get both it and the router's own error. */
  #letThrough(): Buffer | undefined {
    const bytes = this.#take()
    if (!this.#torn && mayConcernAll(bytes)) {
      if (bytes.length > maxLineBytes) this.state.failure = unreadable('event too long')
      else this.#held.add(bytes)
      return undefined
    }
    this.#torn = true
    this.state.content = true
    return bytes
  }

  /** Notes what a whole event says; gives it as the client gets it, or undefined. */
  #inspect(bytes: Buffer): Buffer | undefined {
    if (this.state.content && !mayConcernAll(bytes)) return bytes
    const sent = readEvent(bytes)
    const event = sent && parseEvent(sent)
    switch (event?.type) {
      case 'error':
        return this.#fail(event.error)
      case 'broken':
        return this.state.content ? bytes : this.#fail(event.error)
      case 'event':
        return this.#note(event.data, bytes)
      default:
        return bytes
    }
  }

  #fail(error: RouterError): undefined {
    this.state.failure = error
    return undefined
  }

  #note(data: JsonObject, bytes: Buffer): Buffer | undefined {
    if (hasContent(data)) this.state.content = true
    switch (data.type) {
      case 'message_start':
        if (isObject(data.message)) this.state.usage = readCounts(data.message.usage, this.state.usage)
        return withModelIn(bytes, { from: dataStart(bytes), outer: 'message', model: this.#model })
      case 'message_delta':
        this.state.usage = readCounts(data.usage, this.state.usage)
        return bytes
      case 'message_stop':
        if (!this.state.content) return this.#fail(streamTruncated())
        this.state.ended = true
        return bytes
      default:
        return bytes
    }
  }
}

/** Where the value of its first `data` field may begin. */
function dataStart(event: Buffer): number {
  return event.indexOf(dataField) + dataField.length
}

/** The beginning and the end of the message, its counts, and errors. */
function mayConcernAll(event: Buffer): boolean {
  return marks.test(event.toString('latin1'))
}

function joined(pieces: Buffer[]): Buffer | undefined {
  return pieces.length > 1 ? Buffer.concat(pieces) : pieces[0]
}
