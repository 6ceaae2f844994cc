import { sseFraming } from '../../lib/bytes/framing.ts'
import { sseMarks } from '../../lib/bytes/marks.ts'
import type { SseEvent } from '../../lib/bytes/sse.ts'
import { filledTextOf, type JsonObject, objectsIn } from '../../lib/json/read.ts'
import type { ChatPassthrough, PassthroughOptions, PassthroughState } from '../../sdk/dialect.ts'
import { parseEvent as parseAny, type StreamEvent } from '../shared/stream-event.ts'
import { createStreamFilter, type StreamPolicy } from '../shared/stream-filter.ts'
import { reportedError } from './errors.ts'
import { memberOf } from './members.ts'
import { isBlocked, partsIn, readUsage } from './response/fields-read.ts'

const marks = sseMarks(
  ['finishReason', 'finish_reason', 'promptFeedback', 'prompt_feedback'],
  ['usageMetadata', 'usage_metadata'],
)
const nothing = Buffer.alloc(0)

/** Bytes are forwarded unchanged: responses do not contain the requested model name. */
export function createPassthrough({ model }: PassthroughOptions): ChatPassthrough {
  const finished = new Set<number>()
  const started = new Set<number>()
  let isPromptBlocked = false
  const policy: StreamPolicy = {
    framing: sseFraming,
    marks,
    parse: parseEvent,
    readCounts: readUsage,
    filterEvent({ data }, state) {
      updateState(data, state)
      isPromptBlocked ||= isBlocked(data)
      for (const [position, candidate] of objectsIn(data.candidates).entries()) {
        const index = typeof candidate.index === 'number' ? candidate.index : position
        started.add(index)
        if (filledTextOf(memberOf(candidate, 'finishReason')) !== undefined) finished.add(index)
      }
      return true
    },
    // There is no end marker: a stream is complete if every candidate has a finish reason.
    complete: () =>
      isPromptBlocked || (finished.size > 0 && finished.size >= started.size) ? nothing : undefined,
  }
  return createStreamFilter(policy, model)
}

/** Reads an event of a stream. Proxies may add `[DONE]`. */
export function parseEvent(sent: SseEvent): StreamEvent {
  return parseAny(sent, reportedError)
}

function updateState(data: JsonObject, state: PassthroughState): void {
  state.usage = readUsage(data) ?? state.usage
  state.content ||= isBlocked(data) || objectsIn(data.candidates).some(hasContent)
}

/** Whether a candidate has content that commits the response: a non-empty part or a finish reason. */
function hasContent(candidate: JsonObject): boolean {
  if (filledTextOf(memberOf(candidate, 'finishReason')) !== undefined) return true
  return partsIn(candidate).some((part) =>
    Object.entries(part).some(([name, value]) => name !== 'thought' && value !== ''),
  )
}
