import type { Writing } from './restorer.ts'

/** Characters of JSON's two-character escapes (RFC 8259, section 7). */
const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

/**
 * Writes values into a JSON text that arrives in pieces, so that it stays valid: escaped for each level of nesting. A string can
 * itself be a JSON text, and so on. Outside of strings a value is quoted. A text that does not begin like JSON is plain: values
 * are written as they are.
 */
export class JsonWriting implements Writing {
  /** The content of a string of an outer JSON text, in which values are never quoted again. */
  readonly #isInner: boolean
  #begun = false
  #isJson = false
  /** The open string. */
  #string: JsonWriting | undefined
  /** An incomplete escape sequence, with its backslash. */
  #escape = ''

  constructor(isInner = false) {
    this.#isInner = isInner
  }

  passed(text: string): void {
    for (const character of text) {
      if (!this.#begun) {
        if (/\s/.test(character)) continue
        this.#begun = true
        this.#isJson = character === '{' || character === '[' || (character === '"' && !this.#isInner)
      }
      if (!this.#isJson) return
      if (this.#string) this.#stringCharacter(this.#string, character)
      else if (character === '"') this.#string = new JsonWriting(true)
    }
  }

  written(value: string): string {
    // The value is the whole text, or its beginning.
    if (!this.#begun || !this.#isJson) return value
    if (this.#string) return JSON.stringify(this.#string.written(value)).slice(1, -1)
    return this.#isInner ? value : JSON.stringify(value)
  }

  #stringCharacter(string: JsonWriting, character: string): void {
    if (this.#escape !== '') {
      this.#escape += character
      if (this.#escape.startsWith('\\u') && this.#escape.length < 6) return
      const code = this.#escape.slice(1)
      this.#escape = ''
      string.passed(
        code.length === 5 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (escapes[code] ?? code),
      )
    } else if (character === '\\') this.#escape = character
    else if (character === '"') this.#string = undefined
    else string.passed(character)
  }
}
