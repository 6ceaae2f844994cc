import { sseFraming } from '../../lib/bytes/framing.ts'
import { sseMarks } from '../../lib/bytes/marks.ts'
import type { SseEvent } from '../../lib/bytes/sse.ts'
import { filledTextOf, isObject, type JsonObject } from '../../lib/json/read.ts'
import type { ChatPassthrough, PassthroughOptions, PassthroughState } from '../../sdk/dialect.ts'
import { abortError } from '../shared/finish-reasons.ts'
import { parseEvent as parseAny, type StreamEvent } from '../shared/stream-event.ts'
import { createStreamFilter, type StreamPolicy } from '../shared/stream-filter.ts'
import { reportedError } from './errors.ts'
import { readCounts } from './response/fields-read.ts'

/** Only `message_` events have the model's name, token counts or the end of the stream. */
const marks = sseMarks(['message_'])

export function createPassthrough({ model }: PassthroughOptions): ChatPassthrough {
  const policy: StreamPolicy = {
    framing: sseFraming,
    marks,
    modelIn: 'message',
    parse: parseEvent,
    filterEvent: note,
  }
  return createStreamFilter(policy, model)
}

/** `[DONE]`, which proxies add, does not end a stream of this dialect. */
export function parseEvent(sent: SseEvent): StreamEvent {
  const event = parseAny(sent, reportedError)
  return event.type === 'done' ? { type: 'nothing' } : event
}

function note({ name, data }: { name: string; data: JsonObject }, state: PassthroughState): boolean {
  state.content ||= hasContent(data)
  const { message, usage } = data
  if (name === 'message_start' && isObject(message)) state.usage = readCounts(message.usage, state.usage)
  if (name === 'message_delta') {
    state.usage = readCounts(usage, state.usage)
    state.failure ??= isObject(data.delta) ? abortError(data.delta.stop_reason) : undefined
  }
  if (name === 'message_stop') state.ended = true
  return true
}

/** Whether an event is content that commits the response: a delta, a block without deltas, or a stop reason. */
function hasContent(data: JsonObject): boolean {
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
