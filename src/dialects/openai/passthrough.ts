import { HeldBytes } from '../../lib/bytes/held.ts'
import { hasLineEnd, lastEventEnd, nextEventEnd, readEvent } from '../../lib/bytes/sse-search.ts'
import { filledTextOf, numberOf, objectsIn } from '../../lib/json/read.ts'
import type { ChatPassthrough, PassthroughOptions, PassthroughState } from '../../sdk/dialect.ts'
import { streamTruncated } from '../../sdk/errors.ts'
import { ModelRenamer } from './model-renamer.ts'
import { isFilledString, valueAfter } from './stream-bytes.ts'
import { hasContent, parseEvent } from './stream-event.ts'
import { completedEvent, findDone, findError, hasEmptyChoices, readUsageObject } from './stream-search.ts'

const doneEvent = Buffer.from('data: [DONE]\n\n')
const finishKey = Buffer.from('"finish_reason"')
const usageKey = Buffer.from('"usage"')
const openBrace = 0x7b

/** An event longer than this goes out in pieces: memory per stream stays bounded. */
const maxHeldBytes = 64 * 1024

/**
 * The stream half of the identity lane: whole events go through as they came. Once content was seen no event is parsed
 * but the few that a search singles out: an error, a finish among several choices.
 */
export function createPassthrough(options: PassthroughOptions): ChatPassthrough {
  return new Passthrough(options)
}

class Passthrough implements ChatPassthrough {
  readonly state: PassthroughState = { content: false, ended: false, failure: undefined, usage: undefined }
  readonly #options: PassthroughOptions
  readonly #model: ModelRenamer
  readonly #finished = new Set<number>()
  readonly #held = new HeldBytes()
  #first = true
  /** Whether the beginning of an event too long to be held has gone out. */
  #torn = false
  /** The last usage object, with what follows it in its event. */
  #usage: Buffer | undefined

  constructor(options: PassthroughOptions) {
    this.#options = options
    this.#model = new ModelRenamer(options.model)
  }

  push(chunk: Buffer): Buffer | undefined {
    if (this.#isOver()) return undefined
    if (this.state.content && this.#held.length === 0 && !this.#torn) {
      const plain = this.#model.renamePlain(chunk)
      if (plain) return plain
    }
    this.#held.add(chunk)
    if (hasLineEnd(chunk)) {
      const bytes = this.#held.take()
      const end = lastEventEnd(bytes)
      this.#held.add(bytes.subarray(end))
      if (end > 0) {
        this.#torn = false
        return this.#relay(bytes.subarray(0, end))
      }
    }
    return this.#held.length > maxHeldBytes ? this.#letThrough() : undefined
  }

  end(): Buffer | undefined {
    if (this.#isOver()) return undefined
    const tail = completedEvent(this.#held.take())
    const out = tail && !this.#torn ? this.#relay(tail) : undefined
    if (this.#isOver()) return this.state.ended ? out : undefined
    if (this.#torn || this.#finished.size < this.#options.choices) {
      this.state.failure = streamTruncated()
      return undefined
    }
    this.#complete()
    return out ? Buffer.concat([out, doneEvent]) : doneEvent
  }

  /** Ends the torn line, and the event that it belongs to: the client's parser would take an error for a part of it. */
  endTorn(): string {
    return this.#torn ? '\n\n' : ''
  }

  #isOver(): boolean {
    return this.state.ended || this.state.failure !== undefined
  }

  #letThrough(): Buffer | undefined {
    const bytes = this.#held.take()
    const wasTorn = this.#torn
    this.#torn = true
    const out = this.#relay(bytes)
    if (this.state.failure === undefined) this.state.content = true
    // A failure is found at the beginning of an event, and nothing of that one goes out.
    else this.#torn = wasTorn
    return out
  }

  /** Takes whole events; gives those that are the client's, and notes what they say. */
  #relay(region: Buffer): Buffer | undefined {
    const bytes = this.#withoutMark(region)
    const done = findDone(bytes)
    const failed = findError(bytes.subarray(0, done?.start))
    let good = bytes.subarray(0, failed?.start ?? done?.start)
    if (!this.state.content && !this.#torn) good = this.#lookForContent(good)
    this.state.failure ??= failed?.error ?? (done && !this.state.content ? streamTruncated() : undefined)
    this.#noteFinishes(good)
    const complete = done !== undefined && this.state.failure === undefined
    const kept = this.#noteUsage(complete ? bytes.subarray(0, done.end) : good)
    if (complete) this.#complete()
    const out = this.#model.rename(kept)
    return out.length > 0 ? out : undefined
  }

  #complete(): void {
    this.state.ended = true
    this.state.content = true
    this.state.usage = this.#usage && readUsageObject(this.#usage)
  }

  /** A byte order mark is no part of the events, and clients that do not know it lose the first one. */
  #withoutMark(bytes: Buffer): Buffer {
    if (!this.#first) return bytes
    this.#first = false
    return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes
  }

  /**
   * Before the answer is committed another target may still take over, so each event is looked at. Gives the bytes as
   * far as they can be read.
   */
  #lookForContent(bytes: Buffer): Buffer {
    for (let at = 0; at < bytes.length && !this.state.content; ) {
      const end = nextEventEnd(bytes, at)
      const sent = readEvent(bytes.subarray(at, end))
      const event = sent && parseEvent(sent)
      if (event?.type === 'broken') {
        this.state.failure = event.error
        return bytes.subarray(0, at)
      }
      if (event?.type === 'chunk') this.state.content = hasContent(event.chunk)
      at = end
    }
    return bytes
  }

  /** Only a stream without end marker is judged by them. */
  #noteFinishes(bytes: Buffer): void {
    const { choices } = this.#options
    let at = 0
    while (this.#finished.size < choices) {
      at = bytes.indexOf(finishKey, at) + 1
      if (at === 0) return
      const value = valueAfter(bytes, at - 1 + finishKey.length)
      if (value === undefined || !isFilledString(bytes, value)) continue
      if (choices > 1)
        this.#noteFinishedChoices(bytes.subarray(lastEventEnd(bytes, at), nextEventEnd(bytes, at)))
      else this.#finished.add(0)
    }
  }

  #noteFinishedChoices(bytes: Buffer): void {
    const sent = readEvent(bytes)
    const event = sent && parseEvent(sent)
    if (event?.type !== 'chunk') return
    for (const [position, choice] of objectsIn(event.chunk.choices).entries()) {
      if (filledTextOf(choice.finish_reason) !== undefined)
        this.#finished.add(numberOf(choice.index) ?? position)
    }
  }

  /** Remembers the last usage object; gives the bytes without the chunk that only the router asked for. */
  #noteUsage(bytes: Buffer): Buffer {
    const pieces: Buffer[] = []
    let from = 0
    for (let at = bytes.indexOf(usageKey); at !== -1; at = bytes.indexOf(usageKey, at + 1)) {
      const value = valueAfter(bytes, at + usageKey.length)
      if (value === undefined || bytes[value] !== openBrace) continue
      const end = nextEventEnd(bytes, at)
      // Copied: a slice would keep the whole network chunk for the length of the stream.
      this.#usage = Buffer.from(bytes.subarray(value, end))
      if (!this.#options.stripUsage) continue
      const start = Math.max(lastEventEnd(bytes, at), from)
      if (!hasEmptyChoices(bytes.subarray(start, end))) continue
      pieces.push(bytes.subarray(from, start))
      from = end
    }
    if (from === 0) return bytes
    return Buffer.concat([...pieces, bytes.subarray(from)])
  }
}
