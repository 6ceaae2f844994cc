import { type JsonNode, stringAt } from '../../lib/json/tree.ts'
import { itemPath } from './json-values.ts'

export interface UnchangedText {
  readonly text: string
  readonly path: string
}

/** Bytes in base64, hexadecimal digits, or an id. */
const encoded = /^[A-Za-z0-9+/=_-]*$/

/** Texts of a JSON body that are passed on unchanged, including names of members, with their paths. */
export class UnchangedTexts {
  readonly #bytes: Buffer
  readonly #opaque: { node: JsonNode; path: string }[] = []
  readonly list: UnchangedText[] = []

  /** `bytes`: the body that all nodes belong to. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Adds all strings and member names of a value. */
  add(node: JsonNode, path: string): void {
    for (const text of this.#textsOf(node, path)) this.list.push(text)
  }

  /** Adds a value that only its server can interpret. */
  addOpaque(node: JsonNode, path: string): void {
    this.#opaque.push({ node, path })
  }

  /** Texts in opaque values that are not encoded data. */
  opaqueTexts(): UnchangedText[] {
    return this.#opaque
      .flatMap(({ node, path }) => [...this.#textsOf(node, path)])
      .filter(({ text }) => !encoded.test(text))
  }

  *#textsOf(node: JsonNode, path: string): Generator<UnchangedText> {
    switch (node.type) {
      case 'string':
        yield { text: stringAt(this.#bytes, node), path }
        return
      case 'array':
        for (const [index, item] of node.items.entries())
          yield* this.#textsOf(item, itemPath(path, index, item))
        return
      case 'object':
        for (const { key, value } of node.members) {
          yield { text: key, path }
          yield* this.#textsOf(value, path === '' ? key : `${path}.${key}`)
        }
        return
      case 'number':
      case 'word':
        return
    }
  }
}
