import type { ChatPassthrough, PassthroughOptions, PassthroughState } from '../../core/dialect.ts'
import { type RouterError, streamTruncated } from '../../core/errors.ts'
import { maxLineBytes } from '../../core/lines.ts'
import { readCounts } from './answer-read.ts'
import { unreadable } from './errors.ts'
import { eventEnd, readEvent, withModel } from './event-bytes.ts'
import { isObject, type JsonObject } from './json.ts'
import { hasContent, parseEvent } from './stream-event.ts'

/** An event longer than this goes out in pieces: memory per stream stays bounded. */
const maxHeldBytes = 64 * 1024

/** Events whose data has to be read say so in these bytes. Inside a JSON string the quotes would be escaped. */
const marks = [
  Buffer.from('"message_'),
  Buffer.from('"error"'),
  Buffer.from('event: error'),
  Buffer.from('event:error'),
]
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
  #held: Buffer[] = []
  #heldBytes = 0
  #first = true
  /** Whether the beginning of the event being held has gone out. */
  #torn = false

  constructor(model: string) {
    this.#model = model
  }

  push(chunk: Buffer): Buffer | undefined {
    if (this.#isOver()) return undefined
    this.#hold(chunk)
    if (chunk.includes(0x0a) || chunk.includes(0x0d)) {
      const out = this.#relay(this.#take())
      if (out.length > 0 || this.#isOver()) return joined(out)
    }
    return this.#heldBytes > maxHeldBytes ? this.#letThrough() : undefined
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

  #isOver(): boolean {
    return this.state.ended || this.state.failure !== undefined
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
  }

  #take(): Buffer {
    const [only] = this.#held
    const bytes = this.#held.length === 1 && only ? only : Buffer.concat(this.#held)
    this.#held = []
    this.#heldBytes = 0
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
    if (!this.#isOver()) this.#hold(bytes.subarray(at))
    return out.filter((piece) => piece.length > 0)
  }

  /** An event that has to be read waits for its end: the client must not get both it and the router's own error. */
  #letThrough(): Buffer | undefined {
    const bytes = this.#take()
    if (!this.#torn && mayConcernAll(bytes)) {
      if (bytes.length > maxLineBytes) this.state.failure = unreadable('event too long')
      else this.#hold(bytes)
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
        return withModel(bytes, this.#model)
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

/** The beginning and the end of the message, its counts, and errors. */
function mayConcernAll(event: Buffer): boolean {
  return marks.some((mark) => event.includes(mark))
}

function joined(pieces: Buffer[]): Buffer | undefined {
  return pieces.length > 1 ? Buffer.concat(pieces) : pieces[0]
}
