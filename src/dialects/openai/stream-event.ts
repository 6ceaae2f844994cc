import type { SseEvent } from '../../lib/bytes/sse.ts'
import { filledTextOf, isObject, type JsonObject, objectsIn, parseJson } from '../../lib/json/read.ts'
import type { RouterError } from '../../sdk/errors.ts'
import { isErrorShaped, reportedError, unreadable } from './errors.ts'

/** What one server-sent event of a streamed answer is. `broken`: its data is not what the dialect sends. */
export type StreamEvent =
  | { type: 'chunk'; chunk: JsonObject }
  | { type: 'done' }
  | { type: 'nothing' }
  | { type: 'error'; error: RouterError }
  | { type: 'broken'; error: RouterError }

/** Events that proxies send to keep a connection alive; the dialect has none. */
const keepAliveEvents: ReadonlySet<string> = new Set(['ping', 'keepalive', 'keep-alive', 'heartbeat'])

const nothing: StreamEvent = { type: 'nothing' }
const done: StreamEvent = { type: 'done' }

/** Looks at an event once, and parses its JSON once. */
export function parseEvent({ event, data }: SseEvent): StreamEvent {
  const short = data.length < 64 ? data.trim() : data
  if (short === '[DONE]') return done
  if (event === 'error') return { type: 'error', error: reportedError(parseJson(data) ?? data) }
  if (short === '' || keepAliveEvents.has(event)) return nothing
  const chunk = parseJson(data)
  // llama.cpp begins the stream of several prompts with it.
  if (chunk === null) return nothing
  if (isErrorShaped(chunk)) return { type: 'error', error: reportedError(chunk) }
  return isObject(chunk) ? { type: 'chunk', chunk } : { type: 'broken', error: unreadable('event') }
}

/** Whether a chunk is worth committing to: it says something, whatever that is, or finishes a choice. */
export function hasContent(chunk: JsonObject): boolean {
  return objectsIn(chunk.choices).some((choice) => {
    if (filledTextOf(choice.finish_reason) !== undefined || filledTextOf(choice.text) !== undefined)
      return true
    const said = isObject(choice.delta) ? choice.delta : choice.message
    return isObject(said) && Object.entries(said).some(([name, value]) => name !== 'role' && says(value))
  })
}

function says(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return false
  return typeof value === 'object' ? Object.keys(value).length > 0 : true
}
