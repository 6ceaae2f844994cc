import { ndjsonFraming } from '../../lib/bytes/framing.ts'
import { lineMarks } from '../../lib/bytes/marks.ts'
import { filledTextOf, type JsonObject, parseObject } from '../../lib/json/read.ts'
import type { ChatPassthrough, PassthroughOptions, PassthroughState } from '../../sdk/dialect.ts'
import { parseEvent } from '../shared/stream-event.ts'
import { createStreamFilter, type StreamPolicy } from '../shared/stream-filter.ts'
import { emptyAnswer, hasContent, readUsage } from './response/fields-read.ts'
import { Repetition } from './stream/repetition.ts'

const marks = lineMarks(['done"[ \\t]*:[ \\t]*t'])
/** Enough of the last lines to detect repetition. */
const recentBytes = 8 * 1024
const nothing = Buffer.alloc(0)

export function createPassthrough({ model }: PassthroughOptions): ChatPassthrough {
  return createStreamFilter(new OllamaStream(), model)
}

class OllamaStream implements StreamPolicy {
  readonly framing = ndjsonFraming
  readonly marks = marks
  readonly parse = parseEvent
  /** The last forwarded bytes. */
  readonly #recent: Buffer[] = []
  #recentBytes = 0

  filterEvent({ data }: { data: JsonObject }, state: PassthroughState): boolean {
    state.content ||= hasContent(data)
    if (data.done !== true) return true
    if (data.done_reason === '' && !state.content) state.failure = emptyAnswer(data)
    state.usage = readUsage(data)
    state.content = true
    state.ended = true
    return true
  }

  onForwarded(bytes: Buffer): void {
    this.#recent.push(bytes)
    this.#recentBytes += bytes.length
    for (let first = this.#recent[0]; first && this.#recentBytes - first.length >= recentBytes; ) {
      this.#recentBytes -= first.length
      this.#recent.shift()
      first = this.#recent[0]
    }
  }

  /**
   * Some runners end an answer with a reason, but without `done`, which clients require; Ollama ends a repetitive answer without
   * either. Most lines are forwarded unparsed, so the last ones are parsed here.
   */
  complete(state: PassthroughState, isClean: boolean): Buffer | undefined {
    if (!state.content) return undefined
    const recent = Buffer.concat(this.#recent)
    const last = parseObject(recent.toString().trimEnd().split('\n').at(-1) ?? '')
    if (last && filledTextOf(last.done_reason) !== undefined) {
      state.usage = readUsage(last)
      const empty = 'response' in last ? { response: '' } : { message: { role: 'assistant', content: '' } }
      return Buffer.from(`${JSON.stringify(Object.assign(last, empty, { done: true }))}\n`)
    }
    const repetition = new Repetition()
    if (isClean) repetition.addLines(recent)
    return repetition.isDetected ? nothing : undefined
  }
}
