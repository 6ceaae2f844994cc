import { joined } from '../../lib/bytes/chunk-list.ts'
import type { Framing } from '../../lib/bytes/framing.ts'
import { GrowingBuffer } from '../../lib/bytes/growing-buffer.ts'
import type { Marks } from '../../lib/bytes/marks.ts'
import type { SseEvent } from '../../lib/bytes/sse.ts'
import type { JsonObject } from '../../lib/json/read.ts'
import { type Edit, setMembers } from '../../lib/json/splice.ts'
import type { Usage } from '../../sdk/chat.ts'
import type { ChatPassthrough, PassthroughRequest, PassthroughState } from '../../sdk/dialect.ts'
import { type RouterError, streamTruncated } from '../../sdk/errors.ts'
import { ModelNameRewriter } from './model-name-rewriter.ts'
import type { StreamEvent } from './stream-event.ts'
import { unreadable } from './upstream-error.ts'

/** Maximum size of an incomplete event; the same as for a whole response. */
export const maxEventBytes = 16 * 1024 * 1024
/** The part of a larger event in which marks are searched for. */
const beginningBytes = 64 * 1024
const lineFeed = 0x0a
const carriageReturn = 0x0d
const byteOrderMark = '\u00ef\u00bb\u00bf'

/** The rules of a dialect for one stream, with its state. */
export interface StreamPolicy {
  readonly framing: Framing
  readonly marks: Marks
  /** Reads token counts. Of the events that are marked only for their counts, just the last one is parsed, at the end. */
  readCounts?(data: JsonObject): Usage | undefined
  /** The member whose object contains `model`; absent if the event itself contains it. */
  readonly modelIn?: string
  parse(event: SseEvent): StreamEvent
  /**
   * Updates the state from an event: content, token counts, end, failure. Returns whether the client receives the event, or
   * the bytes to send instead.
   */
  filterEvent(event: { name: string; data: JsonObject }, state: PassthroughState): boolean | Buffer
  /**
   * Called if the upstream closed without an end marker. Returns the bytes that end the answer if it is complete nevertheless,
   * else undefined. `isClean`: HTTP's framing is complete and no event was truncated.
   */
  complete?(state: PassthroughState, isClean: boolean): Buffer | undefined
  /** Called with all forwarded bytes, in order. */
  onForwarded?(bytes: Buffer): void
  /** The in-band error that fits the forwarded bytes; undefined: the dialect's own. */
  writeError?(error: RouterError): string | undefined
}

/**
 * Filters the stream of a passthrough: whole events are forwarded, unchanged except for the model's name. Until the first
 * content every event is parsed, because another target may still take over. Afterwards, a search of the bytes finds the few
 * events that must be parsed: errors, token counts, ends, and anything that is not a JSON object.
 *
 * An event larger than {@link maxEventBytes} fails the stream if it must be parsed; otherwise it is forwarded in pieces.
 */
export function createStreamFilter(policy: StreamPolicy, model: string): ChatPassthrough {
  return new StreamFilter(policy, model)
}

class StreamFilter implements ChatPassthrough {
  readonly state: PassthroughState = { content: false, ended: false, failure: undefined, usage: undefined }
  readonly #policy: StreamPolicy
  readonly #model: ModelNameRewriter
  readonly #held = new GrowingBuffer()
  #first = true
  /** Whether the beginning of the current event has been forwarded. */
  #isPartlySent = false
  /** The last event with token counts that has not been parsed. */
  #counted: Buffer | undefined

  constructor(policy: StreamPolicy, model: string) {
    this.#policy = policy
    this.#model = new ModelNameRewriter(model, policy.modelIn, (text) => this.#marksIn(text, 0) !== 'none')
  }

  push(chunk: Buffer): Buffer | undefined {
    if (this.#isOver()) return undefined
    return this.#forwarded(this.#unparsed(chunk) ?? this.#wholeEvents(chunk))
  }

  end(isComplete = false): Buffer | undefined {
    if (this.#isOver()) return undefined
    const tail = this.#withoutByteOrderMark(this.#held.take())
    const type = this.#isPartlySent ? undefined : this.#parse(tail)?.type
    // Some servers omit the last line end. A truncated event counts as not sent.
    const isWhole = type !== undefined && type !== 'broken' && type !== 'nothing'
    const text = tail.toString('latin1')
    const close = this.#policy.framing.close(text)
    const out = isWhole ? [this.#event(Buffer.concat([tail, Buffer.from(close)]), text + close)] : []
    if (!this.#isOver()) {
      const isClean = isComplete && !this.#isPartlySent && (isWhole || tail.length === 0)
      const last = this.#policy.complete?.(this.state, isClean)
      if (last) this.#finish()
      else this.state.failure = streamTruncated()
      out.push(last)
    }
    return this.#forwarded(joined(out))
  }

  /** Otherwise the client's parser would read a following error as part of the incomplete event. */
  closeEvent(): string {
    return this.#isPartlySent ? this.#policy.framing.close('') : ''
  }

  writeError(error: RouterError): string | undefined {
    return this.#policy.writeError?.(error)
  }

  #isOver(): boolean {
    return this.state.ended || this.state.failure !== undefined
  }

  #forwarded(out: Buffer | undefined): Buffer | undefined {
    if (out) this.#policy.onForwarded?.(out)
    return out
  }

  /** The fast path of most chunks: whole events, none of which must be parsed. Undefined for others. */
  #unparsed(chunk: Buffer): Buffer | undefined {
    if (!this.#canForwardUnparsed || this.#held.length > 0) return undefined
    const text = chunk.toString('latin1')
    if (!this.#policy.framing.isWhole(text)) return undefined
    const prefixLength = this.#model.prefixLength(text)
    return this.#marksIn(text, prefixLength) === 'none' ? this.#renamed(chunk, text, prefixLength) : undefined
  }

  /** Whether events without marks are forwarded unparsed. */
  get #canForwardUnparsed(): boolean {
    return this.state.content && !this.#isPartlySent
  }

  /** Returns the events that the chunk completes, and holds the rest. */
  #wholeEvents(chunk: Buffer): Buffer | undefined {
    const isHeld = this.#held.length > 0
    // The end of an event may have begun in the held bytes.
    const searched = Math.max(0, this.#held.length - 2)
    if (isHeld) this.#held.add(chunk)
    const bytes = isHeld ? this.#held.bytes : chunk
    const text = bytes.toString('latin1', searched)
    const out: (Buffer | undefined)[] = []
    let sent = 0
    let at = 0
    const ends = this.#policy.framing.ends(text)
    for (let index = 0; index < ends.length && !this.#isOver(); index++) {
      const from = at - searched
      const mark = this.#canForwardUnparsed && from >= 0 ? this.#nextMark(text, from) : from
      // Events before the next mark are forwarded together.
      while ((ends[index + 1] ?? Number.POSITIVE_INFINITY) <= mark) index++
      const found = ends[index] ?? text.length
      const events = bytes.subarray(at, searched + found)
      const eventsText = from >= 0 ? text.slice(from, found) : events.toString('latin1')
      const forwarded = found <= mark ? this.#renamed(events, eventsText) : this.#event(events, eventsText)
      if (forwarded !== events) {
        out.push(bytes.subarray(sent, at), forwarded)
        sent = searched + found
      }
      at = searched + found
    }
    out.push(bytes.subarray(sent, at))
    if (!this.#isOver()) {
      if (isHeld && at > 0) this.#held.take()
      if (!isHeld || at > 0) this.#held.add(bytes.subarray(at))
      if (this.#isPartlySent || this.#held.length > maxEventBytes) out.push(this.#piece())
    }
    return joined(out)
  }

  /** The received piece of an event that is too large to hold, without trailing line ends, which may belong to its end. */
  #piece(): Buffer | undefined {
    const bytes = this.#withoutByteOrderMark(this.#held.take())
    let end = bytes.length
    while (end > 0 && (bytes[end - 1] === lineFeed || bytes[end - 1] === carriageReturn)) end--
    this.#held.add(bytes.subarray(end))
    const piece = bytes.subarray(0, end)
    if (this.#isPartlySent) return piece
    const beginning = piece.toString('latin1', 0, beginningBytes)
    if (this.#marksIn(beginning, 0) === 'read') {
      this.state.failure = unreadable('event too long')
      return undefined
    }
    this.#isPartlySent = true
    this.state.content = true
    const prefixLength = this.#model.prefixLength(beginning)
    const named = this.#model.replaceLearned(piece.subarray(0, beginningBytes), beginning, prefixLength)
    return named ? Buffer.concat([named, piece.subarray(beginningBytes)]) : piece
  }

  /** An event as the client receives it; undefined if it is not forwarded. */
  #event(sent: Buffer, sentText: string): Buffer | undefined {
    if (this.#isPartlySent) {
      this.#isPartlySent = false
      return sent
    }
    const event = this.#withoutByteOrderMark(sent)
    const text = event === sent ? sentText : event.toString('latin1')
    const prefixLength = this.#model.prefixLength(text)
    const marks = this.#marksIn(text, prefixLength)
    if (!this.state.content || marks === 'read') {
      const forwarded = this.#read(event)
      if (typeof forwarded !== 'boolean') return forwarded
      if (!forwarded) return undefined
    } else if (marks === 'counts') {
      // Copied, because a view would keep the whole network chunk in memory.
      this.#counted = Buffer.from(event)
    }
    return this.#renamed(event, text, prefixLength)
  }

  /** Whole events with the client's model name. `prefixLength`: of the learned prefix. */
  #renamed(events: Buffer, text: string, prefixLength = this.#model.prefixLength(text)): Buffer {
    const { framing } = this.#policy
    const replaced = this.#model.replaceLearned(events, text, prefixLength)
    if (replaced) return replaced
    const starts = [0, ...framing.ends(text).filter((end) => end < text.length)]
    if (starts.length === 1) return this.#model.replace(events, text, framing.dataStart(text))
    const renamed = starts.map((start, index) => {
      const end = starts[index + 1]
      return this.#renamed(events.subarray(start, end), text.slice(start, end))
    })
    return Buffer.concat(renamed)
  }

  /** Offset of the first mark from the beginning of an event on. */
  #nextMark(text: string, from: number): number {
    const { begin, any } = this.#policy.marks
    const rest = text.slice(from)
    if (begin.test(rest)) return from
    const at = rest.search(any)
    return at === -1 ? text.length : from + at
  }

  /**
   * Whether an event must be parsed: at once, or at the end of the stream for its token counts. A learned prefix has no
   * marks.
   */
  #marksIn(text: string, prefixLength: number): 'read' | 'counts' | 'none' {
    const { begin, any, read } = this.#policy.marks
    if (prefixLength === 0 && begin.test(text)) return 'read'
    const rest = prefixLength === 0 ? text : text.slice(prefixLength)
    if (!any.test(rest)) return 'none'
    return any === read || read.test(rest) ? 'read' : 'counts'
  }

  /** Parses an event. Returns whether the client receives it, or the bytes to send instead. */
  #read(event: Buffer): boolean | Buffer {
    const { state } = this
    const parsed = this.#parse(event)
    switch (parsed?.type) {
      case 'error':
      case 'broken':
        state.failure = parsed.error
        return false
      case 'done':
        state.ended = true
        break
      case 'data':
        if (this.#policy.readCounts?.(parsed.data)) this.#counted = undefined
        {
          const forwarded = this.#policy.filterEvent(parsed, state)
          if (forwarded !== true) return forwarded
        }
        break
    }
    if (!state.ended) return state.failure === undefined
    // An end before any content is useless to a client, and another target may still answer.
    if (state.content) this.#finish()
    else state.failure = streamTruncated()
    state.ended = state.failure === undefined
    return state.ended
  }

  #finish(): void {
    this.state.ended = true
    this.state.content = true
    const counted = this.#counted && this.#parse(this.#counted)
    if (counted?.type === 'data')
      this.state.usage = this.#policy.readCounts?.(counted.data) ?? this.state.usage
  }

  #parse(event: Buffer): StreamEvent | undefined {
    const sent = this.#policy.framing.read(event)
    return sent && this.#policy.parse(sent)
  }

  #withoutByteOrderMark(bytes: Buffer): Buffer {
    const hasMark = this.#first && bytes.toString('latin1', 0, 3) === byteOrderMark
    this.#first = false
    return hasMark ? bytes.subarray(3) : bytes
  }
}

/** Sets `stream` as a boolean, if the server would otherwise understand it differently. */
export function streamEdits({ body, scan, stream }: PassthroughRequest, streamsByDefault: boolean): Edit[] {
  return (body.stream ?? streamsByDefault) === stream ? [] : setMembers(scan, { stream })
}
