import { maxLineBytes } from '../../lib/bytes/lines.ts'
import { parseObject } from '../../lib/json/read.ts'
import type { ChatPassthrough, PassthroughOptions, PassthroughState } from '../../sdk/dialect.ts'
import { type RouterError, streamTruncated } from '../../sdk/errors.ts'
import { emptyAnswer, readUsage, reportedError, saysAnything } from './answer-read.ts'
import { ModelName } from './model-name.ts'
import { Repetition } from './repetition.ts'
import { brokenLine, longLine } from './stream-read.ts'

const lineFeed = 0x0a
/** An unfinished line is held back up to this, so that a failure can be told in a line of its own. */
const maxHeldBytes = 64 * 1024
/** Enough of the last lines to see that they repeat themselves. */
const recentBytes = 8 * 1024

/**
 * The identity lane of a streamed chat. Lines are parsed until content was seen; after that only those in which the
 * bytes of a top-level `"done": true` or of `"error"` may stand, which quotes inside of JSON strings cannot fake.
 */
export function createPassthrough(options: PassthroughOptions): ChatPassthrough {
  return new Passthrough(options.model)
}

class Passthrough implements ChatPassthrough {
  readonly state: PassthroughState = { content: false, ended: false, failure: undefined, usage: undefined }
  readonly #model: ModelName
  /** The unfinished line. */
  #held: Buffer[] = []
  #heldBytes = 0
  /** The last of what came. */
  readonly #recent: Buffer[] = []
  #recentBytes = 0
  /** Whether the unfinished line has gone out as far as it came. */
  #letThrough = false

  constructor(model: string) {
    this.#model = new ModelName(model)
  }

  push(chunk: Buffer): Buffer | undefined {
    if (this.#isOver()) return undefined
    this.#keepRecent(chunk)
    const first = chunk.indexOf(lineFeed)
    if (first === -1) return this.#hold(chunk)
    const out: Buffer[] = []
    let from = 0
    if (this.#heldBytes > 0) {
      from = first + 1
      this.#endHeldLine(chunk.subarray(0, from), out)
    }
    const end = chunk.lastIndexOf(lineFeed) + 1
    if (from < end && !this.#isOver()) this.#lines(chunk.subarray(from, end), out)
    if (end < chunk.length && !this.#isOver()) {
      const rest = this.#hold(chunk.subarray(end))
      if (rest) out.push(rest)
    }
    return joined(out)
  }

  end(isComplete = false): Buffer | undefined {
    if (this.#isOver()) return undefined
    const out: Buffer[] = []
    // Some servers leave out the last line feed; a line that is whole JSON counts, a piece of one does not.
    if (this.#heldBytes > 0 && parseObject(textOf(Buffer.concat(this.#held)))) {
      this.#endHeldLine(Buffer.from('\n'), out)
    }
    if (this.#isOver()) return joined(out)
    if (isComplete && this.#heldBytes === 0 && this.#repeats()) this.state.ended = true
    else this.state.failure = streamTruncated()
    return joined(out)
  }

  /** Ends the torn line: the client's parser would take an error for a part of it. */
  endTorn(): string {
    return this.#letThrough ? '\n' : ''
  }

  /** Most lines go by unread, so the last ones are read at the end. */
  #repeats(): boolean {
    const repetition = new Repetition()
    repetition.addLines(Buffer.concat(this.#recent))
    return this.state.content && repetition.isSeen
  }

  #keepRecent(chunk: Buffer): void {
    this.#recent.push(chunk)
    this.#recentBytes += chunk.length
    for (let first = this.#recent[0]; first && this.#recentBytes - first.length >= recentBytes; ) {
      this.#recentBytes -= first.length
      this.#recent.shift()
      first = this.#recent[0]
    }
  }

  #isOver(): boolean {
    return this.state.ended || this.state.failure !== undefined
  }

  #hold(bytes: Buffer): Buffer | undefined {
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    if (this.#heldBytes > maxLineBytes) {
      this.state.failure = longLine()
      return undefined
    }
    if (this.#letThrough) return bytes
    if (this.#heldBytes <= maxHeldBytes) return undefined
    const line = Buffer.concat(this.#held)
    this.#held = [line]
    // A line that may be an error waits for its end: the client must not get both it and the router's own.
    if (line.includes('"error"')) return undefined
    this.#letThrough = true
    this.state.content = true
    return joined(this.#renamed(line))
  }

  #endHeldLine(tail: Buffer, out: Buffer[]): void {
    const line = Buffer.concat([...this.#held, tail])
    const wasLetThrough = this.#letThrough
    this.#held = []
    this.#heldBytes = 0
    this.#letThrough = false
    if (!wasLetThrough) this.#lines(line, out)
    else if (this.#inspect(line)) out.push(tail)
  }

  /** Takes whole lines, up to the one that ends the stream. */
  #lines(block: Buffer, out: Buffer[]): void {
    let at = 0
    while (at < block.length && !this.#isOver()) {
      const end = block.indexOf(lineFeed, at) + 1
      const line = block.subarray(at, end)
      at = end
      if (this.#inspect(line)) out.push(...this.#renamed(line))
    }
  }

  #renamed(line: Buffer): Buffer[] {
    return this.#model.replaceIn(line)
  }

  /** Notes what a line says in the state; false for a line that the client is not to get. */
  #inspect(line: Buffer): boolean {
    if (this.state.content && !mayBeSpecial(line)) return true
    const text = textOf(line)
    if (text.trim() === '') return true
    const answer = parseObject(text)
    const failure = answer ? this.#failureOf(answer) : brokenLine()
    if (!answer || failure) {
      this.state.failure = failure
      return false
    }
    if (saysAnything(answer)) this.state.content = true
    if (answer.done === true) {
      this.state.usage = readUsage(answer)
      this.state.content = true
      this.state.ended = true
    }
    return true
  }

  #failureOf(answer: Record<string, unknown>): RouterError | undefined {
    const stopped =
      answer.done === true && answer.done_reason === '' && !this.state.content && !saysAnything(answer)
    return reportedError(answer) ?? (stopped ? emptyAnswer(answer) : undefined)
  }
}

/** A key's closing quote and the colon after it can only be structure; how deep they stand, parsing tells. */
function mayBeSpecial(line: Buffer): boolean {
  if (line.includes('"error"')) return true
  for (let at = line.indexOf('"done"'); at !== -1; at = line.indexOf('"done"', at + 6)) {
    let next = at + 6
    while (isSpace(line[next])) next++
    if (line[next] !== 0x3a) continue
    next++
    while (isSpace(line[next])) next++
    if (line[next] === 0x74) return true
  }
  return false
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d
}

function textOf(line: Buffer): string {
  const text = line.toString('utf8')
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

function joined(pieces: Buffer[]): Buffer | undefined {
  return pieces.length > 1 ? Buffer.concat(pieces) : pieces[0]
}
