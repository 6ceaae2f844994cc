import { lineJson } from '../../lib/bytes/lines.ts'
import type { JsonObject } from '../../lib/json/read.ts'
import type { ErrorOptions } from '../../sdk/dialect.ts'
import type { RouterError } from '../../sdk/errors.ts'
import { messageForOllama } from '../shared/error-messages.ts'

/** `error` is always a string: the official clients print an object as `[object Object]`. */
export function writeError(error: RouterError, options: ErrorOptions): JsonObject {
  const debug = options.debug && error.causeCode !== undefined ? { debug: { cause: error.causeCode } } : {}
  return { error: messageForOllama(error), ...debug }
}

/** The last line of a stream that failed; Ollama sends no `done` line after it. */
export function writeStreamError(error: RouterError, options: ErrorOptions): string {
  return `${lineJson(writeError(error, options))}\n`
}
