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

/** The start of the word that the offset is in. */
export function wordStartAt(text: string, offset: number): number {
  let at = offset
  while (at > 0 && !startsWord(text.slice(Math.max(0, at - wordContext), at))) {
    const last = lastCharacter(text.slice(Math.max(0, at - 2), at))
    at -= last.length
  }
  return at
}

function lastCharacter(text: string): string {
  const unit = text.charCodeAt(text.length - 1)
  const isLow = unit >= 0xdc00 && unit <= 0xdfff
  return text.slice(isLow && text.length > 1 ? -2 : -1)
}
