import { comma, openBrace, openBracket } from './json-marks.ts'
/** No JSON text takes more than this many times its size once it is read; `[[[[` comes closest. Measured on Node 24. */
export const mostPerByte = 32

/** What the heap keeps for an element or member (with its place in the text), and for a list or object; in bytes. */
const perComma = 96
const perOpening = 128
/** The text itself while it is read, and its strings after it; in UTF-16 both are as long again, and much shorter in bytes. */
const perByte = 2

/**
 * How many bytes of memory a JSON text may take once it is read: rather too many than too few. Lists and objects without
 * content take twenty times their text, long strings twice. Takes a nanosecond for each byte.
 */
export function jsonMemoryBytes(json: Buffer): number {
  let commas = 0
  let openings = 0
  for (const byte of json) {
    if (byte === comma) commas++
    else if (byte === openBracket || byte === openBrace) openings++
  }
  const counted = json.length * perByte + commas * perComma + openings * perOpening
  return Math.min(counted, json.length * mostPerByte)
}
