import { SseReader } from '../../../lib/bytes/sse.ts'
import type { ChatPassthrough, Dialect, PassthroughOptions } from '../../../sdk/dialect.ts'
import { maxEventBytes } from '../../shared/stream-filter.ts'
import { writeError } from '../errors.ts'
import { type ChunkFraming, createWriter } from './write.ts'

/**
 * The dialect for a single request without `alt=sse`, as Google's older SDKs send it: the stream is one JSON array, with a
 * chunk as each element. Source: Gemini API reference, "streamGenerateContent".
 */
export function withArrayStream(dialect: Dialect): Dialect {
  const { ping: _comment, ...rest } = dialect
  let array = new ArrayChunks()
  const begin = (): ArrayChunks => {
    array = new ArrayChunks()
    return array
  }
  return {
    ...rest,
    streamMediaType: 'application/json',
    chat: {
      ...dialect.chat,
      createWriter: (context) => createWriter(context, begin()),
      createPassthrough: (options) => arrayPassthrough(dialect, options, begin()),
    },
    writeStreamError: (error, options) =>
      array.chunk(JSON.stringify(writeError(error, options))) + array.end(),
  }
}

class ArrayChunks implements ChunkFraming {
  #begun = false

  chunk(json: string): string {
    const before = this.#begun ? ',\r\n' : '['
    this.#begun = true
    return before + json
  }

  end(): string {
    return this.#begun ? '\n]' : '[]'
  }
}

/** The events of the upstream's stream as elements of the array, otherwise unchanged. */
function arrayPassthrough(
  dialect: Dialect,
  options: PassthroughOptions,
  array: ArrayChunks,
): ChatPassthrough {
  const events = dialect.chat.createPassthrough(options)
  const reader = new SseReader(2 * maxEventBytes)
  const elements = (bytes: Buffer | undefined): string => {
    let out = ''
    if (bytes) reader.push(bytes, ({ data }) => (out += isElement(data) ? array.chunk(data) : ''))
    return out
  }
  const asBytes = (text: string): Buffer | undefined => (text === '' ? undefined : Buffer.from(text))
  return {
    state: events.state,
    push: (chunk) => {
      const out = elements(events.push(chunk))
      return asBytes(events.state.ended ? out + array.end() : out)
    },
    end: (isComplete) => {
      const out = elements(events.end(isComplete))
      return asBytes(events.state.ended ? out + array.end() : out)
    },
  }
}

function isElement(data: string): boolean {
  return data.trimStart().startsWith('{')
}
