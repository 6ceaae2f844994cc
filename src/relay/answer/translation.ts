import { type ChatEvent, isContent } from '../../sdk/chat.ts'
import type {
  ChatPassthrough,
  ChatStreamReader,
  ChatStreamWriter,
  PassthroughState,
} from '../../sdk/dialect.ts'
import { asRouterError } from '../../sdk/errors.ts'
import { WellFormedTexts } from './well-formed.ts'

/** Translation: upstream bytes to events, events to the client's bytes. */
export function createTranslation(reader: ChatStreamReader, writer: ChatStreamWriter): AnswerFilter {
  const state: PassthroughState = { content: false, ended: false, failure: undefined, usage: undefined }
  let out = ''
  const write = (event: ChatEvent): void => {
    if (state.failure || state.ended) return
    if (event.type === 'error') {
      state.failure = event.error
      return
    }
    if (event.type === 'usage') state.usage = event.usage
    if (event.type === 'finish') state.unknownReason ??= event.unknownReason
    if (event.type === 'end') state.ended = true
    if (!state.content && isContent(event)) state.content = true
    try {
      out += writer.write(event)
    } catch (error) {
      state.failure = asRouterError(error)
    }
  }
  const texts = new WellFormedTexts(write)
  const onEvent = (event: ChatEvent): void => texts.add(event)
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

/**
 * Converts the bytes of an upstream's stream into the client's, by passthrough or translation. Emits complete events, except
 * those that are too long to be buffered.
 */
export interface AnswerFilter extends Omit<ChatPassthrough, 'push' | 'end'> {
  push(chunk: Buffer): Buffer | string | undefined
  end(isComplete?: boolean): Buffer | string | undefined
}
