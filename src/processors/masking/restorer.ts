import { startsWord, wordContext } from './word-start.ts'

/** Length of the longest recognised spelling of a pseudonym, which bounds the hold-back, in characters. */
export const maxSpellingLength = 96

/** Values by pseudonym, for the responses to one request. */
export class Dictionary {
  readonly #values = new Map<string, string>()
  /** The pseudonyms in lower case, sorted: those with a common beginning are a range. A tree would take ten times the memory. */
  readonly #sorted: readonly string[]
  /** Matches the first character of any spelling; undefined if there are no pseudonyms. */
  readonly starts: RegExp | undefined

  constructor(entries: Iterable<[pseudonym: string, value: string]>) {
    const firsts = new Set<string>()
    for (const [pseudonym, value] of entries) {
      this.#values.set(pseudonym.toLowerCase(), value)
      const first = pseudonym.charAt(0)
      firsts.add(first.toLowerCase()).add(first.toUpperCase())
    }
    this.#sorted = [...this.#values.keys()].sort()
    const letters = [...firsts].map((each) => each.replace(/[\\\]^-]/, '\\$&')).join('')
    if (firsts.size > 0) this.starts = new RegExp(`[\\\\%&${letters}]`, 'g')
  }

  /** Reads a pseudonym at an offset. `partial`: the text ends within a possible one. */
  read(text: string, from: number, isEnd: boolean): { end: number; value: string } | 'partial' | undefined {
    let at = from
    let [low, high] = [0, this.#sorted.length]
    let found: { end: number; value: string } | undefined
    // The pseudonyms from `low` to `high` begin with what has been read.
    for (let length = 0; ; length++) {
      const first = this.#sorted[low]
      if (first?.length === length) {
        found = { end: at, value: this.#values.get(first) ?? '' }
        low++
      }
      if (low === high) return found
      const character = at < text.length ? decodedAt(text, at) : 'partial'
      if (character === 'partial') return isEnd ? found : 'partial'
      const wanted = character.text
      const range: [number, number] = [low, high]
      low = this.#firstIn(range, (pseudonym) => pseudonym.charAt(length) >= wanted)
      high = this.#firstIn(range, (pseudonym) => pseudonym.charAt(length) > wanted)
      if (low === high) return found
      at = character.end
    }
  }

  /** Binary search: all pseudonyms of the range after the first that satisfies the predicate must satisfy it, too. */
  #firstIn([from, to]: readonly [number, number], isTrue: (pseudonym: string) => boolean): number {
    let [low, high] = [from, to]
    while (low < high) {
      const middle = (low + high) >> 1
      if (isTrue(this.#sorted[middle] ?? '')) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** Decodes one character, in lower case: plain, or escaped for JSON, HTML, URLs or Markdown. */
function decodedAt(text: string, at: number): { text: string; end: number } | 'partial' {
  const plain = { text: (text[at] ?? '').toLowerCase(), end: at + 1 }
  const rest = text.slice(at, at + 12)
  switch (text[at]) {
    case '\\': {
      // Markdown's escape, as it is and within a JSON text.
      const underscore = /^\\{1,2}_/.exec(rest)
      if (underscore) return { text: '_', end: at + underscore[0].length }
      const escaped = /^\\u([0-9a-f]{4})/i.exec(rest)
      if (escaped) return decodedCharacter(escaped[1], 16, at + 6)
      return /^\\(?:\\|u[0-9a-f]{0,3})?$/i.test(rest) ? 'partial' : plain
    }
    case '%': {
      const escaped = /^%([0-9a-f]{2})/i.exec(rest)
      if (escaped) return decodedCharacter(escaped[1], 16, at + 3)
      return /^%[0-9a-f]?$/i.test(rest) ? 'partial' : plain
    }
    case '&': {
      const escaped = /^&#(?:x([0-9a-f]{1,6})|(\d{1,7}));/i.exec(rest)
      if (escaped)
        return decodedCharacter(escaped[1] ?? escaped[2], escaped[1] ? 16 : 10, at + escaped[0].length)
      if (/^&(?:lowbar|underbar);/i.test(rest)) return { text: '_', end: at + rest.indexOf(';') + 1 }
      const isBegun = /^&(?:#(?:x[0-9a-f]{0,6}|\d{0,7})?|[lu][a-z]{0,7})?$/i.test(rest)
      return isBegun ? 'partial' : plain
    }
    default:
      return plain
  }
}

function decodedCharacter(
  digits: string | undefined,
  base: number,
  end: number,
): { text: string; end: number } {
  const code = Number.parseInt(digits ?? '', base)
  return { text: code <= 0x10_ffff ? String.fromCodePoint(code).toLowerCase() : '', end }
}

/** Escaping of values for their position in a text. */
export interface Writing {
  /** Receives the whole original text, in order. */
  passed(text: string): void
  written(value: string): string
}

const plainWriting: Writing = { passed: () => undefined, written: (value) => value }

/** Range of a pseudonym in the original text, in UTF-16 units, and its replacement. */
export interface Restoration {
  readonly start: number
  readonly end: number
  readonly text: string
}

/**
 * Restores the values in one text that arrives in pieces. Holds back the end of the text while it may be the beginning of a
 * pseudonym, at most {@link maxSpellingLength} characters.
 */
export class TextRestorer {
  readonly #dictionary: Dictionary
  readonly #writing: Writing
  #held = ''
  /** The last characters of the preceding text. */
  #before = ''
  /** Length of the text read so far, without what is held back, in characters. */
  #readLength = 0
  readonly restorations: Restoration[] = []
  restored = 0

  constructor(dictionary: Dictionary, writing: Writing = plainWriting) {
    this.#dictionary = dictionary
    this.#writing = writing
  }

  /** Length of the text read so far, without what is held back, in characters. */
  get length(): number {
    return this.#readLength
  }

  get isHolding(): boolean {
    return this.#held !== ''
  }

  push(piece: string): string {
    return this.#scan(this.#held + piece, false)
  }

  /** Returns the rest of the text at its end. */
  flush(): string {
    return this.#held === '' ? '' : this.#scan(this.#held, true)
  }

  #scan(text: string, isEnd: boolean): string {
    this.#held = ''
    const { starts } = this.#dictionary
    if (!starts) {
      this.#readLength += text.length
      return text
    }
    let out = ''
    let from = 0
    starts.lastIndex = 0
    for (let found = starts.exec(text); found; found = starts.exec(text)) {
      const at = found.index
      const context = at >= wordContext ? text.slice(at - wordContext, at) : this.#before + text.slice(0, at)
      if (!startsWord(context)) continue
      const read = this.#dictionary.read(text, at, isEnd)
      if (read === undefined) continue
      if (read === 'partial') {
        if (text.length - at > maxSpellingLength) continue
        this.#pass(text.slice(from, at))
        this.#held = text.slice(at)
        this.#remember(text.slice(0, at))
        return out + text.slice(from, at)
      }
      this.#pass(text.slice(from, at))
      const written = this.#writing.written(read.value)
      out += text.slice(from, at) + written
      const start = this.#readLength
      this.#pass(text.slice(at, read.end))
      this.restorations.push({ start, end: this.#readLength, text: written })
      this.restored++
      from = read.end
      starts.lastIndex = read.end
    }
    this.#pass(text.slice(from))
    this.#remember(text)
    return out + text.slice(from)
  }

  #pass(text: string): void {
    this.#readLength += text.length
    this.#writing.passed(text)
  }

  #remember(text: string): void {
    this.#before = (this.#before + text).slice(-wordContext)
  }
}
