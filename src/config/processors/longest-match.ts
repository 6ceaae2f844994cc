/**
 * Returns the maximum length of a match of a valid RE2 expression, in characters; Infinity if it is unbounded. Source:
 * https://github.com/google/re2/wiki/Syntax
 */
export function longestMatch(expression: string): number {
  return new Reader(expression).whole()
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(): number {
    return this.#choices()
  }

  #choices(): number {
    let longest = 0
    let length = 0
    while (this.#at < this.#text.length && this.#text[this.#at] !== ')') {
      if (this.#text[this.#at] === '|') {
        this.#at++
        longest = Math.max(longest, length)
        length = 0
      } else length += this.#repeated(this.#one())
    }
    return Math.max(longest, length)
  }

  /** Reads one character, class, group or anchor. */
  #one(): number {
    const character = this.#text[this.#at++]
    switch (character) {
      case '(':
        return this.#group()
      case '[':
        this.#class()
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
    const [head = '', end] = /^\?(?:P?<[^>]*>|[a-zA-Z-]*([:)]))/.exec(this.#text.slice(this.#at)) ?? []
    this.#at += head.length
    // A group of flags matches no characters.
    if (end === ')') return 0
    const length = this.#choices()
    this.#at++
    return length
  }

  #class(): void {
    if (this.#text[this.#at] === '^') this.#at++
    // The first bracket in a class is a literal.
    if (this.#text[this.#at] === ']') this.#at++
    while (this.#at < this.#text.length && this.#text[this.#at] !== ']') {
      const named = /^\[:\^?\w+:\]/.exec(this.#text.slice(this.#at))
      if (named) this.#at += named[0].length
      else this.#at += this.#text[this.#at] === '\\' ? 2 : 1
    }
    this.#at++
  }

  #escape(): number {
    const rest = this.#text.slice(this.#at)
    if (rest.startsWith('Q')) {
      const end = rest.indexOf('\\E')
      const quoted = end === -1 ? rest.length - 1 : end - 1
      this.#at += end === -1 ? rest.length : end + 2
      return quoted
    }
    const [whole = ''] = /^(?:[pP](?:\{[^}]*\}|.)|x(?:\{[^}]*\}|..)|[0-7]{1,3}|.)/s.exec(rest) ?? []
    this.#at += whole.length
    return /^[AbBzZ]$/.test(whole) ? 0 : 1
  }

  #repeated(length: number): number {
    const [head = '', sign, min, comma, max] =
      /^(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/.exec(this.#text.slice(this.#at)) ?? []
    if (head === '') return length
    this.#at += head.length
    const isUnbounded = sign === '*' || sign === '+' || (comma === ',' && max === '')
    const times = isUnbounded ? Number.POSITIVE_INFINITY : Number(sign === '?' ? 1 : max || min)
    return this.#repeated(length === 0 ? 0 : length * times)
  }
}
