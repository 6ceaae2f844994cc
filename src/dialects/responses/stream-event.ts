import type { SseEvent } from '../../lib/bytes/sse.ts'
import { isObject, type JsonObject, parseJson, textOf } from '../../lib/json/read.ts'
import type { RouterError } from '../../sdk/errors.ts'
import { isErrorShaped, reportedError, unreadable } from './errors.ts'

/** What one server-sent event of a streamed answer is. `broken`: its data is not what the dialect sends. */
export type StreamEvent =
  | { type: 'event'; name: string; data: JsonObject }
  | { type: 'nothing' }
  | { type: 'error'; error: RouterError }
  | { type: 'broken'; error: RouterError }

const keepAlives: ReadonlySet<string> = new Set(['ping', 'keepalive', 'keep-alive', 'heartbeat'])

export function parseEvent({ event, data }: SseEvent): StreamEvent {
  const short = data.length < 64 ? data.trim() : data
  // `[DONE]` is no end of its own here: the terminal event is.
  if (short === '' || short === '[DONE]' || keepAlives.has(event)) return { type: 'nothing' }
  const value = parseJson(data)
  if (event === 'error' || isErrorShaped(value)) return { type: 'error', error: reportedError(value ?? data) }
  if (!isObject(value)) return { type: 'broken', error: unreadable('event') }
  const name = textOf(value.type) ?? event
  if (name === 'response.failed' || name === 'response.cancelled') {
    return { type: 'error', error: reportedError(value.response) }
  }
  return keepAlives.has(name) ? { type: 'nothing' } : { type: 'event', name, data: value }
}

/** The events after which there is nothing more. */
export function isTerminal(name: string): boolean {
  return name === 'response.completed' || name === 'response.incomplete'
}
