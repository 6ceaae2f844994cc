/**
 * Returns the maximum length of a match of a valid RE2 expression, in characters; Infinity if it is unbounded. Source:
 * https://github.com/google/re2/wiki/Syntax
 */
export function longestMatch(expression: string): number {
  return new LengthParser(expression).parse()
}

/** A recursive descent parser: each method consumes its part and returns the maximum length of a match of it. */
class LengthParser {
  readonly #text: string
  #position = 0

  constructor(text: string) {
    this.#text = text
  }

  parse(): number {
    return this.#alternation()
  }

  #alternation(): number {
    let longest = 0
    let length = 0
    while (this.#position < this.#text.length && this.#text[this.#position] !== ')') {
      if (this.#text[this.#position] === '|') {
        this.#position++
        longest = Math.max(longest, length)
        length = 0
      } else length += this.#quantified(this.#positionom())
    }
    return Math.max(longest, length)
  }

  /** Reads one character, class, group or anchor. */
  #positionom(): number {
    const character = this.#text[this.#position++]
    switch (character) {
      case '(':
        return this.#group()
      case '[':
        this.#skipClass()
        return 1
      case '\\':
        return this.#escape()
      case '^':
      case '$':
        return 0
      default:
        return 1
    }
  }

  #group(): number {
    const [head = '', end] = /^\?(?:P?<[^>]*>|[a-zA-Z-]*([:)]))/.exec(this.#text.slice(this.#position)) ?? []
    this.#position += head.length
    // A group of flags matches no characters.
    if (end === ')') return 0
    const length = this.#alternation()
    this.#position++
    return length
  }

  #skipClass(): void {
    if (this.#text[this.#position] === '^') this.#position++
    // The first bracket in a class is a literal.
    if (this.#text[this.#position] === ']') this.#position++
    while (this.#position < this.#text.length && this.#text[this.#position] !== ']') {
      const named = /^\[:\^?\w+:\]/.exec(this.#text.slice(this.#position))
      if (named) this.#position += named[0].length
      else this.#position += this.#text[this.#position] === '\\' ? 2 : 1
    }
    this.#position++
  }

  #escape(): number {
    const rest = this.#text.slice(this.#position)
    if (rest.startsWith('Q')) {
      const end = rest.indexOf('\\E')
      const literalLength = end === -1 ? rest.length - 1 : end - 1
      this.#position += end === -1 ? rest.length : end + 2
      return literalLength
    }
    const [whole = ''] = /^(?:[pP](?:\{[^}]*\}|.)|x(?:\{[^}]*\}|..)|[0-7]{1,3}|.)/s.exec(rest) ?? []
    this.#position += whole.length
    return /^[AbBzZ]$/.test(whole) ? 0 : 1
  }

  #quantified(length: number): number {
    const [head = '', sign, min, comma, max] =
      /^(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/.exec(this.#text.slice(this.#position)) ?? []
    if (head === '') return length
    this.#position += head.length
    const isUnbounded = sign === '*' || sign === '+' || (comma === ',' && max === '')
    const times = isUnbounded ? Number.POSITIVE_INFINITY : Number(sign === '?' ? 1 : max || min)
    return this.#quantified(length === 0 ? 0 : length * times)
  }
}
