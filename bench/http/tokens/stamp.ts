const stamp = /@(\d{11}\.\d{3})/g

/** A token that contains its send time, in milliseconds of the machine's clock; all have the same length. */
export function tokenText(sentMs: number): string {
  return `@${sentMs.toFixed(3).padStart(15, '0')}`
}

/** When the tokens in a piece of a stream were sent, and the rest after the last complete one. */
export function readTokens(text: string): { sentMs: number[]; rest: string } {
  const sentMs: number[] = []
  let end = 0
  for (const match of text.matchAll(stamp)) {
    sentMs.push(Number(match[1]))
    end = match.index + match[0].length
  }
  return { sentMs, rest: text.slice(end) }
}
