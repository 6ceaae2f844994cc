import type { JsonObject } from '../../lib/json/read.ts'
import type { ChatStreamWriter, Dialect } from '../../sdk/dialect.ts'
import { writeResponse } from './answer-write.ts'
import type { Remembered } from './input-items.ts'
import { readRequest } from './request-read.ts'
import { createWriter } from './stream-write.ts'

export interface OneCall {
  /** What the request's `previous_response_id` and item references stand for. */
  remembered: Remembered
  /** Gets the final object of a complete answer, before the client does. */
  onAnswer: (answer: JsonObject) => void
}

/**
 * The dialect for a single call, where it must know more than one message: the history that a request goes on from, and
 * the stream that a failure breaks off. `response.failed` carries the answer's id, its items so far and the next
 * sequence number, which only the writer of that stream knows.
 */
export function forOneCall(dialect: Dialect, { remembered, onAnswer }: OneCall): Dialect {
  let writer: ChatStreamWriter | undefined
  const { native, ...own } = dialect
  // What was kept here no upstream knows: such a request is translated for every target.
  const keptHere = remembered.history !== undefined || remembered.referenced.size > 0
  return {
    ...own,
    ...(native && !keptHere ? { native } : {}),
    chat: {
      ...dialect.chat,
      readRequest: (body, stream) => readRequest(body, stream, remembered),
      writeResponse(response, context) {
        const answer = writeResponse(response, context)
        onAnswer(answer)
        return answer
      },
      // Each attempt has its own; only the last one's events can have reached the client.
      createWriter(context) {
        writer = createWriter(context, onAnswer)
        return writer
      },
    },
    writeStreamError: (error, options) =>
      writer?.write({ type: 'error', error }) || dialect.writeStreamError(error, options),
  }
}
