export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The JSON object that a text says; undefined for anything else. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined // not JSON; the caller knows what that means
  }
}

/**
 * Tool arguments as an object: Ollama takes and gives nothing else. Clients and models say "no arguments" as an empty
 * text or as null too. Undefined for what is no JSON object.
 */
export function parseArguments(text: string): Record<string, unknown> | undefined {
  const trimmed = text.trim()
  return trimmed === '' || trimmed === 'null' ? {} : parseObject(trimmed)
}

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
