import type { Framing } from '../../lib/bytes/framing.ts'
import { GrowingBuffer } from '../../lib/bytes/growing-buffer.ts'
import type { SseEvent } from '../../lib/bytes/sse.ts'
import type { JsonObject } from '../../lib/json/read.ts'
import { type Edit, setMembers } from '../../lib/json/splice.ts'
import type { Usage } from '../../sdk/chat.ts'
import type { ChatPassthrough, PassthroughRequest, PassthroughState } from '../../sdk/dialect.ts'
import { type RouterError, streamTruncated } from '../../sdk/errors.ts'
import { ModelName } from './model-name.ts'
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
  note(event: { name: string; data: JsonObject }, state: PassthroughState): boolean | Buffer
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

/** Patterns that are searched for in the bytes of events, to find the few that must be parsed. */
export interface Marks {
  /** Matches anything that an ordinary content event does not contain. */
  readonly any: RegExp
  /** Matches what must be parsed at once; other matches of `any` are token counts. */
  readonly read: RegExp
}

/**
 * The marks of server-sent events: errors, data that does not begin or end like an object, and the keys of a dialect. `own`
 * and `counts` are sources of expressions that follow an opening quote, which generated text could only contain escaped.
 */
export function sseMarks(own: string, counts?: string): Marks {
  const field = 'event: *error|data: *[^\\s{]'
  const ends = `\\n(?:${field}|\\r?\\n(?<!\\}\\r?\\n\\r?\\n))|\\r(?:${field}|\\r(?<!\\}\\r\\r))`
  return marksOf(`^(?:${field})|${ends}`, own, counts)
}

/** The same for JSON lines. After a known beginning, the text continues with a comma. */
export function lineMarks(own: string): Marks {
  return marksOf('^[^{,]|\\n(?:[^{]|(?<!\\}\\r?\\n))', own)
}

function marksOf(framing: string, own: string, counts?: string): Marks {
  const keys = `${own}|error"(?![ \\t]*:[ \\t]*(?:null|false))`
  const read = new RegExp(`"(?:${keys})|${framing}`)
  return { any: counts === undefined ? read : new RegExp(`"(?:${keys}|${counts})|${framing}`), read }
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
  readonly #model: ModelName
  readonly #held = new GrowingBuffer()
  #first = true
  /** Whether the beginning of the current event has been forwarded. */
  #isPartlySent = false
  /** The last event with token counts that has not been parsed. */
  #counted: Buffer | undefined

  constructor(policy: StreamPolicy, model: string) {
    this.#policy = policy
    this.#model = new ModelName(model, policy.modelIn, policy.marks.any)
  }

  push(chunk: Buffer): Buffer | undefined {
    if (this.#isOver()) return undefined
    return this.#forwarded(this.#unparsed(chunk) ?? this.#wholeEvents(chunk))
  }

  end(isComplete = false): Buffer | undefined {
    if (this.#isOver()) return undefined
    const tail = this.#withoutMark(this.#held.take())
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

  /** The fast path of most chunks: whole events that need neither parsing nor a scan for the model. Undefined for others. */
  #unparsed(chunk: Buffer): Buffer | undefined {
    if (!this.state.content || this.#held.length > 0 || this.#isPartlySent) return undefined
    const text = chunk.toString('latin1')
    if (!this.#policy.framing.isWhole(text)) return undefined
    const known = this.#model.knownLength(text)
    if (this.#marksIn(text, known) !== 'none') return undefined
    return this.#model.replaceKnown(chunk, text, known)
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
    for (const found of this.#policy.framing.ends(text)) {
      const end = searched + found
      const event = bytes.subarray(at, end)
      const isInText = at >= searched
      const kept = this.#event(event, isInText ? text.slice(at - searched, found) : event.toString('latin1'))
      if (kept !== event) {
        out.push(bytes.subarray(sent, at), kept)
        sent = end
      }
      at = end
      if (this.#isOver()) break
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
    const bytes = this.#withoutMark(this.#held.take())
    let end = bytes.length
    while (end > 0 && (bytes[end - 1] === lineFeed || bytes[end - 1] === carriageReturn)) end--
    this.#held.add(bytes.subarray(end))
    const piece = bytes.subarray(0, end)
    if (this.#isPartlySent) return piece
    const beginning = piece.toString('latin1', 0, beginningBytes)
    if (this.#policy.marks.read.test(beginning)) {
      this.state.failure = unreadable('event too long')
      return undefined
    }
    this.#isPartlySent = true
    this.state.content = true
    const known = this.#model.knownLength(beginning)
    const named = this.#model.replaceKnown(piece.subarray(0, beginningBytes), beginning, known)
    return named ? Buffer.concat([named, piece.subarray(beginningBytes)]) : piece
  }

  /** An event as the client receives it; undefined if it is not forwarded. */
  #event(sent: Buffer, sentText: string): Buffer | undefined {
    if (this.#isPartlySent) {
      this.#isPartlySent = false
      return sent
    }
    const event = this.#withoutMark(sent)
    const text = event === sent ? sentText : event.toString('latin1')
    const known = this.#model.knownLength(text)
    const marks = this.#marksIn(text, known)
    if (!this.state.content || marks === 'read') {
      const kept = this.#read(event)
      if (typeof kept !== 'boolean') return kept
      if (!kept) return undefined
    } else if (marks === 'counts') {
      // Copied, because a view would keep the whole network chunk in memory.
      this.#counted = Buffer.from(event)
    }
    const replaced = this.#model.replaceKnown(event, text, known)
    return replaced ?? this.#model.replace(event, text, this.#policy.framing.dataStart(text))
  }

  /**
   * Whether an event must be parsed: at once, or at the end of the stream for its token counts. A known beginning has no
   * marks.
   */
  #marksIn(text: string, known: number): 'read' | 'counts' | 'none' {
    const { any, read } = this.#policy.marks
    const rest = known === 0 ? text : text.slice(known)
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
          const kept = this.#policy.note(parsed, state)
          if (kept !== true) return kept
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

  #withoutMark(bytes: Buffer): Buffer {
    const hasMark = this.#first && bytes.toString('latin1', 0, 3) === byteOrderMark
    this.#first = false
    return hasMark ? bytes.subarray(3) : bytes
  }
}

function joined(pieces: readonly (Buffer | undefined)[]): Buffer | undefined {
  const filled = pieces.filter((piece): piece is Buffer => piece !== undefined && piece.length > 0)
  return filled.length > 1 ? Buffer.concat(filled) : filled[0]
}

/** Sets `stream` as a boolean, if the server would otherwise understand it differently. */
export function streamEdits({ body, scan, stream }: PassthroughRequest, streamsByDefault: boolean): Edit[] {
  return (body.stream ?? streamsByDefault) === stream ? [] : setMembers(scan, { stream })
}
