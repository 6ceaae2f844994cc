/** A character that goes on a word of a script with spaces between words. */
const wordCharacter = /[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}\p{N}_]/u
/** As many characters before an offset decide whether a word starts there. */
export const wordContext = 8

/**
 * Whether a word starts behind these characters. Escapes count as what they stand for: in `\nEMAIL` and `%20EMAIL` it does, and so
 * does it behind the marks of Markdown in `__EMAIL`.
 */
export function startsWord(before: string): boolean {
  const trimmed = before.replace(/_{1,3}$/, '')
  const tail = trimmed.slice(-6)
  const escaped = /(?:\\u([0-9a-f]{4})|%([0-9a-f]{2}))$/i.exec(tail)
  if (escaped) {
    const [, unicode, percent] = escaped
    const code = Number.parseInt(unicode ?? percent ?? '', 16)
    return !wordCharacter.test(String.fromCharCode(code))
  }
  if (/\\[bfnrt]$/.test(tail)) return true
  const last = lastCharacter(tail)
  return last === '' || !wordCharacter.test(last)
}

/** The start of the word that the offset is in; no less than `least`. */
export function wordStartAt(text: string, offset: number, least = 0): number {
  let at = offset
  // How many letters and digits alone stand before `at`, as far as is known.
  let plain = 0
  while (at > least) {
    while (plain < longestEscape && isPlain(text.charCodeAt(at - 1 - plain))) plain++
    if (plain >= longestEscape) {
      at--
      plain--
      continue
    }
    if (startsWord(text.slice(Math.max(0, at - wordContext), at))) return at
    const { length } = lastCharacter(text.slice(Math.max(0, at - 2), at))
    at -= length
    plain = Math.max(0, plain - length)
  }
  return at
}

/** No escape has as many letters and digits in a row. */
const longestEscape = 6

/** Of ASCII: most words are nothing else, and some are long. */
function isPlain(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122)
}

function lastCharacter(text: string): string {
  const unit = text.charCodeAt(text.length - 1)
  const isLow = unit >= 0xdc00 && unit <= 0xdfff
  return text.slice(isLow && text.length > 1 ? -2 : -1)
}
