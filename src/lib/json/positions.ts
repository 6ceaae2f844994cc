export interface TextPosition {
  /** Both from 1; a column is a UTF-16 unit, as editors count. */
  line: number
  column: number
}

export type JsonPath = readonly (string | number)[]

export interface JsonPositions {
  /** Where a value begins; where it is not there, where the innermost one around its position begins. */
  find(path: JsonPath): TextPosition
  /** Names that stand twice in one object, where JSON.parse keeps the last one: the positions of the earlier ones. */
  readonly duplicates: readonly { path: JsonPath; position: TextPosition }[]
}

interface Node {
  at: number
  /** By name, or by position. */
  children: Map<string | number, Node>
}

/** Finds the positions of values in a text that JSON.parse has accepted; RFC 8259. */
export function jsonPositions(text: string): JsonPositions {
  const scan = new Scan(text)
  const root = scan.value([])
  const positionOf = (at: number): TextPosition => {
    const lines = text.slice(0, at).split(/\r\n|\n|\r/)
    return { line: lines.length, column: (lines.at(-1) ?? '').length + 1 }
  }
  return {
    find(path) {
      let node = root
      for (const step of path) {
        const child = node.children.get(step)
        if (!child) break
        node = child
      }
      return positionOf(node.at)
    },
    duplicates: scan.duplicates.map(({ path, at }) => ({ path, position: positionOf(at) })),
  }
}

class Scan {
  readonly duplicates: { path: JsonPath; at: number }[] = []
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(path: JsonPath): Node {
    const node: Node = { at: this.#skip(/[\s\ufeff]*/y), children: new Map() }
    if (this.#text[this.#at] === '{') this.#members(node, path)
    else if (this.#text[this.#at] === '[') this.#items(node, path)
    else this.#skip(/"(?:[^"\\]|\\.)*"|[^\s,\]}]+/y)
    return node
  }

  #members(node: Node, path: JsonPath): void {
    while (this.#hasNext('}')) {
      const keyAt = this.#at
      const name: unknown = JSON.parse(this.#text.slice(keyAt, this.#skip(/"(?:[^"\\]|\\.)*"/y)))
      const key = String(name)
      const earlier = node.children.get(key)
      if (earlier) this.duplicates.push({ path: [...path, key], at: earlier.at })
      this.#skip(/\s*:/y)
      node.children.set(key, this.value([...path, key]))
    }
  }

  #items(node: Node, path: JsonPath): void {
    for (let index = 0; this.#hasNext(']'); index++) node.children.set(index, this.value([...path, index]))
  }

  /** Past the opening sign or the comma; false, and past the closing sign, at the end. */
  #hasNext(close: string): boolean {
    this.#skip(/\s*[[{,]?\s*/y)
    if (this.#at < this.#text.length && this.#text[this.#at] !== close) return true
    this.#at++
    return false
  }

  #skip(pattern: RegExp): number {
    pattern.lastIndex = this.#at
    if (pattern.test(this.#text)) this.#at = pattern.lastIndex
    return this.#at
  }
}
