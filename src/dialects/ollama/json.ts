/**
 * JSON for one NDJSON line. U+0085, U+2028 and U+2029 are legal inside JSON strings, but line readers that follow
 * Python's `str.splitlines` cut there, the official Python client's among them; so they are written as escapes.
 */
export function lineJson(value: unknown): string {
  return escapeLineBreaks(JSON.stringify(value))
}

/** The same for JSON text that exists already; its own line breaks can only be white space between values. */
export function escapeLineBreaks(json: string): string {
  if (!/[\n\r\u0085\u2028\u2029]/.test(json)) return json
  return json.replace(/[\n\r\u0085\u2028\u2029]/g, (character) =>
    character === '\n' || character === '\r'
      ? ' '
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
