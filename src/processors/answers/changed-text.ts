/** A part of a text and what replaces it. Offsets are in UTF-16 units of the original text. */
export interface Change {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** What an offset counts. */
export type OffsetUnit = 'utf8' | 'utf16' | 'code_points'

/** Maps offsets of a text to those after it has changed. */
export interface MovedOffsets {
  readonly isChanged: boolean
  /** Maps an offset of the original text to the changed one; undefined within a change, and beyond what is known. */
  moved(offset: number, unit: OffsetUnit): number | undefined
  /** The original text between two offsets; undefined if one of them is invalid. */
  slice(start: number, end: number, unit: OffsetUnit): string | undefined
  /** Maps offsets of the changed text to the original one. */
  readonly inverse: MovedOffsets
}

/** Applies one mapping after the other. */
export function chained(first: MovedOffsets, second: MovedOffsets): MovedOffsets {
  return {
    isChanged: first.isChanged || second.isChanged,
    moved(offset, unit) {
      const between = first.moved(offset, unit)
      return between === undefined ? undefined : second.moved(between, unit)
    },
    slice: (start, end, unit) => first.slice(start, end, unit),
    get inverse() {
      return chained(second.inverse, first.inverse)
    },
  }
}

/** A text with some of its parts replaced. */
export class ChangedText implements MovedOffsets {
  readonly original: string
  readonly changes: readonly Change[]
  /** Further changes may follow after this offset. */
  readonly #known: number
  #bytes: Buffer | undefined

  /** `changes`: in order, without overlaps. */
  constructor(original: string, changes: readonly Change[], known = original.length) {
    this.original = original
    this.changes = changes
    this.#known = known
  }

  /** The difference between two texts: one change that covers all differences. */
  static between(original: string, text: string): ChangedText {
    if (original === text) return new ChangedText(original, [])
    const maxLength = Math.min(original.length, text.length)
    let start = 0
    while (start < maxLength && original[start] === text[start]) start++
    if (splitsPair(original, start)) start--
    let rest = 0
    while (rest < maxLength - start && original.at(-1 - rest) === text.at(-1 - rest)) rest++
    if (splitsPair(original, original.length - rest)) rest--
    const end = original.length - rest
    return new ChangedText(original, [{ start, end, text: text.slice(start, text.length - rest) }])
  }

  get inverse(): ChangedText {
    let shift = 0
    const changes = this.changes.map(({ start, end, text }) => {
      const change = {
        start: start + shift,
        end: start + shift + text.length,
        text: this.original.slice(start, end),
      }
      shift += text.length - (end - start)
      return change
    })
    return new ChangedText(this.text, changes)
  }

  get isChanged(): boolean {
    return this.changes.length > 0 || this.#known < this.original.length
  }

  /** The text with its changes. */
  get text(): string {
    return this.#changed(this.original.length + 1)
  }

  moved(offset: number, unit: OffsetUnit): number | undefined {
    const at = this.#indexOf(offset, unit)
    if (at === undefined || at > this.#known) return undefined
    if (this.changes.some(({ start, end }) => start < at && at < end)) return undefined
    return lengthIn(this.#changed(at), unit)
  }

  slice(start: number, end: number, unit: OffsetUnit): string | undefined {
    const [from, to] = [this.#indexOf(start, unit), this.#indexOf(end, unit)]
    return from === undefined || to === undefined ? undefined : this.original.slice(from, to)
  }

  /** The changed text up to an offset of the original one that is not within a change. */
  #changed(until: number): string {
    let text = ''
    let from = 0
    for (const change of this.changes) {
      if (change.end > until || (change.start === until && change.end === until)) break
      text += this.original.slice(from, change.start) + change.text
      from = change.end
    }
    return text + this.original.slice(from, until)
  }

  #indexOf(offset: number, unit: OffsetUnit): number | undefined {
    const { original } = this
    if (!Number.isSafeInteger(offset) || offset < 0) return undefined
    switch (unit) {
      case 'utf16':
        return offset > original.length || splitsPair(original, offset) ? undefined : offset
      case 'utf8': {
        this.#bytes ??= Buffer.from(original)
        const isWithin = ((this.#bytes[offset] ?? 0) & 0xc0) === 0x80
        return offset > this.#bytes.length || isWithin
          ? undefined
          : this.#bytes.toString('utf8', 0, offset).length
      }
      case 'code_points':
        return indexOfCodePoint(original, offset)
    }
  }
}

function indexOfCodePoint(text: string, offset: number): number | undefined {
  if (!hasPairs(text)) return offset > text.length ? undefined : offset
  let at = 0
  for (let left = offset; left > 0; left--) {
    if (at >= text.length) return undefined
    at += splitsPair(text, at + 1) ? 2 : 1
  }
  return at
}

function lengthIn(text: string, unit: OffsetUnit): number {
  if (unit === 'utf8') return Buffer.byteLength(text)
  if (unit === 'utf16' || !hasPairs(text)) return text.length
  let length = 0
  for (const _character of text) length++
  return length
}

function hasPairs(text: string): boolean {
  return /[\ud800-\udbff]/.test(text)
}

/** Whether an offset is between the halves of a surrogate pair. */
function splitsPair(text: string, at: number): boolean {
  return at > 0 && (text.codePointAt(at - 1) ?? 0) > 0xffff
}
