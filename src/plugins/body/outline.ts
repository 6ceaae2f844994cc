import { type ByteRange, backslash, type JsonScan } from '../../lib/json/splice.ts'

/** Bytes kept of a long string: enough to recognize it, such as by `data:image/png;base64,`. */
const keptBytes = 48

/**
 * The JSON text with its long strings truncated to their first characters and an ellipsis. Their content is for the
 * model only, and parsing megabytes of it would dominate the router's own time.
 */
export function outlineOf(bytes: Buffer, { long }: JsonScan): string {
  let text = ''
  let at = 0
  for (const { start, end } of long) {
    text += `${bytes.toString('utf8', at, keptEnd(bytes, start + 1))}…`
    at = end - 1
  }
  return text + bytes.toString('utf8', at)
}

/** Never cuts inside an escape sequence or a multi-byte character. */
function keptEnd(bytes: Buffer, from: number): number {
  let at = from
  while (at < from + keptBytes && isPlain(bytes[at])) at++
  return at
}

function isPlain(byte: number | undefined): boolean {
  return byte !== undefined && byte !== backslash && byte < 0x80
}

/** Whether long strings make up more than half of the body, so that truncating them pays off. */
export function isMostlyLong(bytes: Buffer, { long }: { long: readonly ByteRange[] }): boolean {
  let sum = 0
  for (const { start, end } of long) sum += end - start
  return sum > bytes.length / 2
}
