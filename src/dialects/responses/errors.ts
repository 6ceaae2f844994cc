import type { JsonObject } from '../../lib/json/read.ts'
import type { ErrorOptions } from '../../sdk/dialect.ts'
import type { RouterError } from '../../sdk/errors.ts'
import { messageForOpenai } from '../shared/error-messages.ts'
import { answerObject } from './response/object.ts'

/** The `error` of a response object. Agents act on its code: they wait, shorten the conversation, or retry. */
export function answerError(error: RouterError): JsonObject {
  const { kind, code } = error
  const message = messageForOpenai(error)
  if (kind === 'rate_limit') return { code: code ?? 'rate_limit_exceeded', message }
  if (kind === 'context_overflow') return { code: 'context_length_exceeded', message }
  if (kind === 'bad_request' || kind === 'unprocessable') return { code: 'invalid_prompt', message }
  return { code: 'server_error', message }
}

/**
 * The error event of a stream of which nothing is known. A stream's writer knows its id, sequence number and items, so its own
 * error event is preferred.
 */
export function writeStreamError(error: RouterError, { requestId }: ErrorOptions): string {
  const now = new Date()
  const created = Math.floor(now.getTime() / 1000)
  const context = { model: '', includeUsage: true, elapsedMs: () => 0, now: () => now }
  const response = answerObject(
    { ...context, id: requestId, created },
    { status: 'failed', output: [], error: answerError(error) },
  )
  return serverEvent('response.failed', { sequence_number: 0, response })
}

/** A server-sent event. Clients read either `type` in the data or the event's name, so both are set. */
export function serverEvent(type: string, members: JsonObject): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`
}
