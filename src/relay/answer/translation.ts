import { type ChatEvent, isContent } from '../../sdk/chat.ts'
import type { ChatStreamReader, ChatStreamWriter, PassthroughState, StreamFilter } from '../../sdk/dialect.ts'
import { asRouterError } from '../../sdk/errors.ts'

/** Translation of a stream: upstream bytes to events, events to the client's bytes. */
export function createTranslation(reader: ChatStreamReader, writer: ChatStreamWriter): StreamFilter {
  const state: PassthroughState = { content: false, ended: false, failure: undefined, usage: undefined }
  let out = ''
  const onEvent = (event: ChatEvent): void => {
    if (state.failure || state.ended) return
    if (event.type === 'error') {
      state.failure = event.error
      return
    }
    if (event.type === 'usage') state.usage = event.usage
    if (event.type === 'end') state.ended = true
    if (!state.content && isContent(event)) state.content = true
    try {
      out += writer.write(event)
    } catch (error) {
      state.failure = asRouterError(error)
    }
  }
  const take = (): string | undefined => {
    if (out === '') return undefined
    const text = out
    out = ''
    return text
  }
  return {
    state,
    push(chunk) {
      reader.push(chunk, onEvent)
      return take()
    },
    end(isComplete) {
      reader.end(onEvent, isComplete)
      return take()
    },
  }
}
