import { backslash, type JsonScan, type Place } from '../../lib/json/splice.ts'

/** So much of a long text stays: enough to tell what it is, `data:image/png;base64,` for one. */
const keptBytes = 48

/**
 * The JSON text with the long strings inside of its members cut to their first characters and an ellipsis: what they say is for the model, and
 * reading megabytes of it would take the router longer than all else.
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

/** Never inside of an escape or a character of several bytes. */
function keptEnd(bytes: Buffer, from: number): number {
  let at = from
  while (at < from + keptBytes && isPlain(bytes[at])) at++
  return at
}

function isPlain(byte: number | undefined): boolean {
  return byte !== undefined && byte !== backslash && byte < 0x80
}

/** Whether more than half of the bytes are in long strings, so that cutting them is worth it. */
export function isMostlyLong(bytes: Buffer, { long }: { long: readonly Place[] }): boolean {
  let sum = 0
  for (const { start, end } of long) sum += end - start
  return sum > bytes.length / 2
}
