import type { RouterError } from '../../sdk/errors.ts'
import { describeForOpenai } from '../shared/openai-error.ts'

/** The in-band error: the official clients throw on it, and only on this form (an object with a message). */
export function writeStreamError(error: RouterError, debug: boolean): string {
  return `data: ${JSON.stringify({ error: describeForOpenai(error, debug) })}\n\n`
}
