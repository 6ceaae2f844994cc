import {
  backslash,
  closeBrace,
  closeBracket,
  colon,
  comma,
  isSpace,
  openBrace,
  openBracket,
  quote,
} from './splice.ts'

/** A value in JSON text with its byte range, so that it can be replaced in place. */
export type JsonNode =
  | { type: 'object'; start: number; end: number; members: JsonMember[] }
  | { type: 'array'; start: number; end: number; items: JsonNode[] }
  | { type: 'string' | 'number' | 'word'; start: number; end: number }

export interface JsonMember {
  key: string
  /** Byte range of the key, including its quotes. */
  keyStart: number
  keyEnd: number
  value: JsonNode
}

/** Maximum nesting depth; the router does not accept bodies this deep. */
const maxDepth = 256

/**
 * Parses JSON text that is known to be valid. Returns undefined if it is truncated, followed by other text, or nested too
 * deeply.
 */
export function readTree(bytes: Buffer): JsonNode | undefined {
  const reader = new TreeReader(bytes)
  return reader.whole()
}

/** Decodes the string at a node. */
export function stringAt(bytes: Buffer, { start, end }: Pick<JsonNode, 'start' | 'end'>): string {
  const text = bytes.toString('utf8', start + 1, end - 1)
  if (!text.includes('\\')) return text
  const value: unknown = JSON.parse(`"${text}"`)
  return String(value)
}

/** Returns the value of the last member with the name; earlier duplicates have no effect in JSON.parse. */
export function memberOf(node: JsonNode, key: string): JsonNode | undefined {
  if (node.type !== 'object') return undefined
  return node.members.findLast((member) => member.key === key)?.value
}

class TreeReader {
  readonly #bytes: Buffer
  #at = 0
  #depth = 0
  #failed = false

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  whole(): JsonNode | undefined {
    this.#space()
    const node = this.#value()
    this.#space()
    return this.#failed || this.#at !== this.#bytes.length ? undefined : node
  }

  #value(): JsonNode | undefined {
    switch (this.#bytes[this.#at]) {
      case openBrace:
        return this.#nested(() => this.#object())
      case openBracket:
        return this.#nested(() => this.#array())
      case quote:
        return this.#string()
      default:
        return this.#plain()
    }
  }

  #nested(read: () => JsonNode | undefined): JsonNode | undefined {
    if (++this.#depth > maxDepth) return this.#fail()
    const node = read()
    this.#depth--
    return node
  }

  #object(): JsonNode | undefined {
    const start = this.#at++
    const members: JsonMember[] = []
    this.#space()
    if (this.#bytes[this.#at] === closeBrace) return { type: 'object', start, end: ++this.#at, members }
    for (;;) {
      this.#space()
      const name = this.#bytes[this.#at] === quote ? this.#string() : undefined
      if (!name) return this.#fail()
      this.#space()
      if (this.#bytes[this.#at] !== colon) return this.#fail()
      this.#at++
      this.#space()
      const value = this.#value()
      if (!value) return this.#fail()
      const { start: keyStart, end: keyEnd } = name
      members.push({ key: stringAt(this.#bytes, name), keyStart, keyEnd, value })
      this.#space()
      const next = this.#bytes[this.#at++]
      if (next === closeBrace) return { type: 'object', start, end: this.#at, members: compact(members) }
      if (next !== comma) return this.#fail()
    }
  }

  #array(): JsonNode | undefined {
    const start = this.#at++
    const items: JsonNode[] = []
    this.#space()
    if (this.#bytes[this.#at] === closeBracket) return { type: 'array', start, end: ++this.#at, items }
    for (;;) {
      this.#space()
      const value = this.#value()
      if (!value) return this.#fail()
      items.push(value)
      this.#space()
      const next = this.#bytes[this.#at++]
      if (next === closeBracket) return { type: 'array', start, end: this.#at, items: compact(items) }
      if (next !== comma) return this.#fail()
    }
  }

  #string(): JsonNode | undefined {
    const start = this.#at
    let from = start + 1
    for (;;) {
      const found = this.#bytes.indexOf(quote, from)
      if (found === -1) return this.#fail()
      let slashes = 0
      while (found - slashes - 1 > start && this.#bytes[found - slashes - 1] === backslash) slashes++
      if (slashes % 2 === 0) {
        this.#at = found + 1
        return { type: 'string', start, end: this.#at }
      }
      from = found + 1
    }
  }

  #plain(): JsonNode | undefined {
    const start = this.#at
    while (this.#at < this.#bytes.length && isPlain(this.#bytes[this.#at])) this.#at++
    if (this.#at === start) return this.#fail()
    const first = this.#bytes[start] ?? 0
    const isNumber = first === 0x2d || (first >= 0x30 && first <= 0x39)
    return { type: isNumber ? 'number' : 'word', start, end: this.#at }
  }

  #space(): void {
    while (isSpace(this.#bytes[this.#at])) this.#at++
  }

  #fail(): undefined {
    this.#failed = true
    return undefined
  }
}

/** V8 reserves 17 elements when the first one is pushed: most lists are shorter, and a tree of them would be several times as large. */
function compact<Item>(list: Item[]): Item[] {
  return list.length < 12 ? list.slice() : list
}

/** Whether a byte occurs in numbers, true, false or null. */
function isPlain(byte: number | undefined): boolean {
  if (byte === undefined) return false
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x2d ||
    byte === 0x2b ||
    byte === 0x2e ||
    byte === 0x45
  )
}
