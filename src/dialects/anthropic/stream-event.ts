import type { SseEvent } from '../../lib/bytes/sse.ts'
import { filledTextOf, isObject, type JsonObject, parseJson } from '../../lib/json/read.ts'
import type { RouterError } from '../../sdk/errors.ts'
import { isErrorShaped, reportedError, unreadable } from './errors.ts'

/** What one server-sent event of a streamed message is. `broken`: its data is not what the dialect sends. */
export type StreamEvent =
  | { type: 'event'; data: JsonObject }
  | { type: 'nothing' }
  | { type: 'error'; error: RouterError }
  | { type: 'broken'; error: RouterError }

const nothing: StreamEvent = { type: 'nothing' }

/** The member `type` of the data says the same as the name of the event, which some proxies leave out. */
export function parseEvent({ event, data }: SseEvent): StreamEvent {
  if (event === 'error') return { type: 'error', error: reportedError(parseJson(data) ?? data) }
  if (event === 'ping' || data.trim() === '' || data.trim() === '[DONE]') return nothing
  const value = parseJson(data)
  if (isErrorShaped(value)) return { type: 'error', error: reportedError(value) }
  return isObject(value) ? { type: 'event', data: value } : { type: 'broken', error: unreadable('event') }
}

/** Whether an event is worth committing to: a piece of a block, a block that has no pieces, or a reason to stop. */
export function hasContent(data: JsonObject): boolean {
  switch (data.type) {
    case 'content_block_delta':
      return (
        isObject(data.delta) &&
        Object.entries(data.delta).some(([name, value]) => name !== 'type' && value !== '')
      )
    case 'content_block_start': {
      const block = isObject(data.content_block) ? data.content_block : {}
      return block.type !== 'text' && block.type !== 'thinking'
        ? true
        : filledTextOf(block.text ?? block.thinking) !== undefined
    }
    case 'message_delta':
      return isObject(data.delta) && filledTextOf(data.delta.stop_reason) !== undefined
    default:
      return false
  }
}
