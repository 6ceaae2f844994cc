import type { SseEvent } from '../../lib/bytes/sse.ts'
import { isObject, type JsonObject, parseJson, textOf } from '../../lib/json/read.ts'
import type { RouterError } from '../../sdk/errors.ts'
import { isErrorShaped, reportedError, unreadable } from './upstream-error.ts'

/** Kind of an event in a streamed response. `broken`: its data is not a JSON object. */
export type StreamEvent =
  | { type: 'data'; name: string; data: JsonObject }
  | { type: 'done' }
  | { type: 'nothing' }
  | { type: 'error' | 'broken'; error: RouterError }

/** Events by which servers and proxies keep a connection alive. */
const keepAliveEvents: ReadonlySet<string> = new Set(['ping', 'keepalive', 'keep-alive', 'heartbeat'])

const nothing: StreamEvent = { type: 'nothing' }
const done: StreamEvent = { type: 'done' }

/**
 * Reads an event of any dialect, its JSON once. Its name is the `type` in the data; some proxies leave out the `event`
 * field, which says the same. `readError`: the dialect's own reading of what an upstream reports.
 */
export function parseEvent({ event, data }: SseEvent, readError = reportedError): StreamEvent {
  const short = data.length < 64 ? data.trim() : data
  if (short === '[DONE]') return done
  if (event === 'error') return { type: 'error', error: readError(parseJson(data) ?? data) }
  // llama.cpp begins the stream of several prompts with `null`.
  if (short === '' || short === 'null' || keepAliveEvents.has(event)) return nothing
  const value = parseJson(data)
  if (isErrorShaped(value)) return { type: 'error', error: readError(value) }
  if (!isObject(value)) return { type: 'broken', error: unreadable('event') }
  const name = textOf(value.type) ?? event
  return keepAliveEvents.has(name) ? nothing : { type: 'data', name, data: value }
}
