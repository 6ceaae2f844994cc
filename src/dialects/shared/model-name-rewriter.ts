import { lineJson } from '../../lib/bytes/lines.ts'
import { type JsonScan, type Member, scanObject } from '../../lib/json/splice.ts'

/** Maximum length of a learned prefix; a longer one contains part of the response. */
const maxPrefixBytes = 1024
/** After so many different prefixes, no further one is learned. */
const maxMisses = 16

interface LearnedText {
  /** Text that ends with the upstream's model name, in latin1: one character per byte. */
  sent: string
  /** The same bytes with the client's name; undefined if both names are equal. */
  renamed: Buffer | undefined
}

/**
 * Replaces the upstream's model name with the client's. Most events of a stream begin with the same bytes, up to and including
 * that name: once they are learned, a comparison is enough. All other events are scanned.
 */
export class ModelNameRewriter {
  readonly #json: Buffer
  readonly #outer: string | undefined
  readonly #isMarked: (text: string) => boolean
  /** The prefix that most events share. */
  #prefix: LearnedText | undefined
  /** The member `model` as events write it. */
  #member: LearnedText | undefined
  #misses = 0

  /**
   * `outer`: the member whose object contains `model`; undefined if the event itself contains it. `isMarked`: whether a
   * prefix has marks; it is then not learned.
   */
  constructor(name: string, outer: string | undefined, isMarked: (text: string) => boolean) {
    this.#json = Buffer.from(lineJson(name))
    this.#outer = outer
    this.#isMarked = isMarked
  }

  /** Length of the learned prefix; 0 if the text begins differently. */
  prefixLength(text: string): number {
    const sent = this.#prefix?.sent
    return sent !== undefined && text.startsWith(sent) ? sent.length : 0
  }

  /** The bytes with the client's name; undefined if they must be scanned. `prefixLength`: of this text. */
  replaceLearned(bytes: Buffer, text: string, prefixLength: number): Buffer | undefined {
    const at = modelKeyAt(text, prefixLength)
    if (prefixLength > 0 && this.#prefix) {
      this.#misses = 0
      return at === -1 ? spliced(bytes, 0, this.#prefix) : this.#replacePrefixes(bytes, text, at)
    }
    if (at === -1) return bytes
    // A single occurrence, written like the member that was learned, is that member, not one of a nested object.
    const member = this.#member
    if (!member || !text.startsWith(member.sent, at) || modelKeyAt(text, at + 1) !== -1) return undefined
    return spliced(bytes, at, member)
  }

  /** The same for several events, if each has the learned prefix and no other model name. */
  #replacePrefixes(bytes: Buffer, text: string, second: number): Buffer | undefined {
    const { sent, renamed } = this.#prefix ?? {}
    if (sent === undefined) return undefined
    const keyAt = sent.lastIndexOf('"model"')
    for (let at = second; at !== -1; at = modelKeyAt(text, at + sent.length - keyAt)) {
      const start = at - keyAt
      if (text[start - 1] !== '\n' || text.slice(start, start + sent.length) !== sent) return undefined
    }
    const name = renamed?.toString('latin1')
    return name === undefined
      ? bytes
      : Buffer.from(
          text.replaceAll(sent, () => name),
          'latin1',
        )
  }

  /** Scans a single event, whose JSON begins at `dataStart`. An empty name (Azure's first chunk) is kept. */
  replace(event: Buffer, text: string, dataStart: number): Buffer {
    const members = this.#modelsIn(scanData(event, text, dataStart), event, text)
    const [first] = members
    if (!first) return event
    if (this.#outer === undefined) this.#learn(event, text, first)
    const pieces: Buffer[] = []
    let from = 0
    for (const { valueStart, valueEnd } of members) {
      pieces.push(event.subarray(from, valueStart), this.#json)
      from = valueEnd
    }
    const out = Buffer.concat([...pieces, event.subarray(from)])
    return out.equals(event) ? event : out
  }

  #modelsIn(scan: JsonScan | undefined, event: Buffer, text: string): Member[] {
    if (this.#outer === undefined) return namedIn(scan, text)
    return (scan?.members ?? [])
      .filter(({ key }) => key === this.#outer)
      .flatMap(({ valueStart }) => namedIn(scanData(event, text, valueStart), text))
  }

  #learn(event: Buffer, text: string, { keyStart, valueStart, valueEnd }: Member): void {
    const isSame = this.#json.equals(event.subarray(valueStart, valueEnd))
    const learned = (from: number): LearnedText => ({
      sent: text.slice(from, valueEnd),
      renamed: isSame ? undefined : Buffer.concat([event.subarray(from, valueStart), this.#json]),
    })
    this.#member = learned(keyStart)
    if (valueEnd > maxPrefixBytes || this.#misses++ >= maxMisses) return
    if (!this.#isMarked(text.slice(0, valueEnd))) this.#prefix = learned(0)
  }
}

/** Offset of the next `"model"`; -1 if there is none. Searches for a letter first, because quotes are frequent. */
function modelKeyAt(text: string, from: number): number {
  let at = text.indexOf('model"', from + 1)
  while (at !== -1 && text[at - 1] !== '"') at = text.indexOf('model"', at + 1)
  return at === -1 ? -1 : at - 1
}

/** The members `model` whose value is a non-empty string. */
function namedIn(scan: JsonScan | undefined, text: string): Member[] {
  const members = scan?.members ?? []
  return members.filter(
    ({ key, valueStart }) => key === 'model' && text[valueStart] === '"' && text[valueStart + 1] !== '"',
  )
}

/** For JSON in several `data` lines, everything between them (line ends, field names, other fields) is replaced by spaces. */
function scanData(event: Buffer, text: string, start: number): JsonScan | undefined {
  const scan = scanObject(event, start)
  if (scan || !/[\r\n]data:/.test(text.slice(start))) return scan
  const blank = (piece: string): string => ' '.repeat(piece.length)
  const json = text.slice(start).replaceAll(/[\r\n]+(?:data:|(?!data:)[^\r\n]*)/g, blank)
  return scanObject(Buffer.from(' '.repeat(start) + json, 'latin1'), start)
}

function spliced(bytes: Buffer, at: number, { sent, renamed }: LearnedText): Buffer {
  if (renamed === undefined) return bytes
  const out = Buffer.allocUnsafe(bytes.length - sent.length + renamed.length)
  bytes.copy(out, 0, 0, at)
  out.set(renamed, at)
  bytes.copy(out, at + renamed.length, at + sent.length)
  return out
}
