import type { Writing } from './restorer.ts'

/**
 * Writes values into a JSON text that comes in pieces, so that it stays valid: with the escapes of the level where they stand.
 * A string that is itself the text of a JSON value is one level deeper. Outside of strings a value gets quotes. A text that does
 * not begin like an object or a list is none: values stand in it as they are.
 */
export class JsonWriting implements Writing {
  #begun = false
  #isJson = false
  #inString = false
  #isEscape = false
  /** Of the string that is open: whether it begins like JSON, and whether a string within it is open. */
  #isNested: boolean | undefined
  #inInner = false

  passed(text: string): void {
    for (const character of text) {
      if (!this.#begun) {
        if (/\s/.test(character)) continue
        this.#begun = true
        this.#isJson = character === '{' || character === '[' || character === '"'
      }
      if (!this.#isJson) return
      if (this.#inString) this.#stringCharacter(character)
      else if (character === '"') {
        this.#inString = true
        this.#isNested = undefined
        this.#inInner = false
      }
    }
  }

  written(value: string): string {
    // Nothing has come before it, so it is the whole text, or begins it.
    if (!this.#begun || !this.#isJson) return value
    if (!this.#inString) return JSON.stringify(value)
    const escaped = inner(value)
    return this.#isNested && this.#inInner ? inner(escaped) : escaped
  }

  #stringCharacter(character: string): void {
    if (this.#isEscape) {
      this.#isEscape = false
      if (character === '"') this.#inInner = !this.#inInner
      return
    }
    if (character === '\\') {
      this.#isEscape = true
      return
    }
    if (character === '"') {
      this.#inString = false
      return
    }
    if (this.#isNested === undefined && !/\s/.test(character))
      this.#isNested = character === '{' || character === '['
  }
}

function inner(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}
