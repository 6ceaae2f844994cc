import { createHmac } from 'node:crypto'
import { type ShapedKind, shapedKinds } from '../../sdk/masked-kinds.ts'

/** Digits and consonants without look-alikes; they form no words. */
const alphabet = '23456789bcdfghjkmnpqrstvwxyz'
const usualLength = 8
const longLength = 12

/** Style of a pseudonym: a word, or a value that passes format validation. */
export type PseudonymStyle = 'word' | 'shaped'

/**
 * The pseudonyms of one request and their values. The same value has the same pseudonym in every request with the same key; nothing is
 * kept after the request.
 */
export class Pseudonyms {
  readonly #key: Buffer
  readonly #styleOf: (kind: string) => PseudonymStyle
  /** By kind and value as written. */
  readonly #byValue = new Map<string, string>()
  /** By pseudonym. */
  readonly #values = new Map<string, string>()

  constructor(key: Buffer, styleOf: (kind: string) => PseudonymStyle) {
    this.#key = key
    this.#styleOf = styleOf
  }

  get size(): number {
    return this.#values.size
  }

  entries(): Iterable<[pseudonym: string, value: string]> {
    return this.#values
  }

  has(pseudonym: string): boolean {
    return this.#values.has(pseudonym)
  }

  /** `normal`: equal for all spellings of the value. Different values with the same pseudonym get longer ones. */
  of(kind: string, value: string, normal: string): string {
    const key = `${kind}\0${value}`
    const known = this.#byValue.get(key)
    if (known !== undefined) return known
    let pseudonym = this.#written(kind, this.#code(kind, normal, usualLength))
    for (let round = 0; this.#values.has(pseudonym); round++)
      pseudonym = this.#written(kind, this.#code(kind, `${normal}\0${value}\0${round}`, longLength))
    this.#byValue.set(key, pseudonym)
    this.#values.set(pseudonym, value)
    return pseudonym
  }

  #code(kind: string, normal: string, length: number): string {
    const digest = createHmac('sha256', this.#key).update(`${kind}\0${normal}`).digest()
    // 40 bits for each 8 characters.
    let code = ''
    for (let at = 0; code.length < length; at += 5) {
      let bits = digest.readUIntBE(at, 5)
      for (let count = 0; count < usualLength && code.length < length; count++) {
        code += alphabet[bits % alphabet.length]
        bits = Math.floor(bits / alphabet.length)
      }
    }
    return code
  }

  #written(kind: string, code: string): string {
    const shape = this.#styleOf(kind) === 'shaped' ? shapedKinds.find((each) => each === kind) : undefined
    return shape === undefined ? `${kind}_${code}` : shaped(shape, code)
  }
}

/** Reserved names and numbers that nobody owns (RFC 2606, RFC 3849, ITU-T E.164 spare code 999). */
function shaped(kind: ShapedKind, code: string): string {
  const number = [...code].reduce(
    (sum, character) => (sum * alphabet.length + alphabet.indexOf(character)) % 0xff_ffff_ffff,
    0,
  )
  switch (kind) {
    case 'EMAIL':
      return `${code}@masked.invalid`
    case 'URL':
      return `https://${code}.masked.invalid/`
    case 'IP': {
      const hex = number.toString(16).padStart(10, '0')
      return `2001:db8::${hex.slice(0, 2)}:${hex.slice(2, 6)}:${hex.slice(6)}`
    }
    case 'PHONE':
      return `+999${String(number % 1e11).padStart(11, '0')}`
  }
}

const escaped = '\\\\u00[0-9a-fA-F]{2}|%[0-9a-fA-F]{2}|&#(?:[xX][0-9a-fA-F]{2}|\\d{2,3});'
const character = '[2-9b-df-hj-km-np-tv-zB-DF-HJ-KM-NP-TV-Z]'
const lookAlike = new RegExp(
  `(?:[A-Za-z]|${escaped}){2,7}(?:\\\\{0,2}_|&(?:lowbar|UnderBar);|${escaped})(?:${character}|${escaped}){8}(?:(?:${character}|${escaped}){4})?` +
    `|(?:https?://)?(?:${character}){8,12}(?:\\.|@)masked\\.invalid/?|\\+999\\d{11}|2001:db8::[0-9a-f]{1,2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}`,
  'g',
)

/** Ranges of a text that look like pseudonyms, in any spelling that would be restored. */
export function* lookAlikes(text: string): Generator<{ start: number; end: number }> {
  for (const { 0: found, index } of text.matchAll(lookAlike))
    yield { start: index, end: index + found.length }
}
