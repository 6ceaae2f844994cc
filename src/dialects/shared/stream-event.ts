import type { SseEvent } from '../../lib/bytes/sse.ts'
import { withExactIntegers } from '../../lib/json/exact.ts'
import { isObject, type JsonObject, parseJson, textOf } from '../../lib/json/read.ts'
import type { RouterError } from '../../sdk/errors.ts'
import { isErrorShaped, reportedError, unreadable } from './upstream-error.ts'

/** An event of a streamed response. `nothing`: it only keeps the connection alive; `broken`: its data is not a JSON object. */
export type StreamEvent =
  | { type: 'data'; name: string; data: JsonObject }
  | { type: 'done' }
  | { type: 'nothing' }
  | { type: 'error' | 'broken'; error: RouterError }

/** Names of the events that servers and proxies send to keep a connection alive. */
const keepAliveEvents: ReadonlySet<string> = new Set(['ping', 'keepalive', 'keep-alive', 'heartbeat'])

const nothing: StreamEvent = { type: 'nothing' }
const done: StreamEvent = { type: 'done' }

/**
 * Reads an event of any dialect. Its name is the `type` in the data, because some proxies omit the `event` field with the same
 * name. `readError`: converts an error reported by the upstream.
 */
export function parseEvent({ event, data }: SseEvent, readError = reportedError): StreamEvent {
  const trimmed = data.length < 64 ? data.trim() : data
  if (trimmed === '[DONE]') return done
  if (event === 'error') return { type: 'error', error: readError(parseJson(data) ?? data) }
  // llama.cpp begins the stream of several prompts with `null`.
  if (trimmed === '' || trimmed === 'null' || keepAliveEvents.has(event)) return nothing
  const value = withExactIntegers(parseJson(data), () => data)
  if (isErrorShaped(value)) return { type: 'error', error: readError(value) }
  if (!isObject(value)) return { type: 'broken', error: unreadable('event') }
  const name = textOf(value.type) ?? event
  return keepAliveEvents.has(name) ? nothing : { type: 'data', name, data: value }
}
