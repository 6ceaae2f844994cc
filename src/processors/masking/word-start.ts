/** A character within a word, in scripts with spaces between words. */
const wordCharacter = /[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}\p{N}_]/u
/** Number of characters before an offset that determine whether a word starts there. */
export const wordContext = 8

/**
 * Whether a word starts after these characters. Escapes count as the characters that they stand for: a word starts in `\nEMAIL`,
 * `%20EMAIL`, and after Markdown's marks in `__EMAIL`.
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

/** Start of the word that contains the offset; not before `min`. */
export function wordStartAt(text: string, offset: number, min = 0): number {
  let at = offset
  // Known number of consecutive ASCII letters and digits before `at`.
  let plain = 0
  while (at > min) {
    while (plain < minPlainLength && isPlain(text.charCodeAt(at - 1 - plain))) plain++
    if (plain >= minPlainLength) {
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

/** No escape has this many consecutive letters and digits. */
const minPlainLength = 6

/** ASCII letters and digits only: most words contain nothing else, and some are long. */
function isPlain(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122)
}

function lastCharacter(text: string): string {
  const unit = text.charCodeAt(text.length - 1)
  const isLow = unit >= 0xdc00 && unit <= 0xdfff
  return text.slice(isLow && text.length > 1 ? -2 : -1)
}
