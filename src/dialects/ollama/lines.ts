import type { ErrorOptions } from '../../sdk/dialect.ts'
import type { RouterError } from '../../sdk/errors.ts'

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

/** `error` is always a string: the official clients print an object as `[object Object]`. */
export function writeError(error: RouterError, options: ErrorOptions): Record<string, unknown> {
  const debug = options.debug && error.causeCode !== undefined ? { debug: { cause: error.causeCode } } : {}
  return { error: error.message, ...debug }
}

/** The last line of a stream that failed; Ollama sends no `done` line after it. */
export function writeStreamError(error: RouterError, options: ErrorOptions): string {
  return `${lineJson(writeError(error, options))}\n`
}
