import { LineSplitter } from '../../../lib/bytes/lines.ts'
import { withExactIntegers } from '../../../lib/json/exact.ts'
import { isObject, type JsonObject, parseJson } from '../../../lib/json/read.ts'
import type { ChatEvent, TokenLogprob } from '../../../sdk/chat.ts'
import type { ChatStreamReader } from '../../../sdk/dialect.ts'
import { RouterError, streamTruncated } from '../../../sdk/errors.ts'
import { abortError } from '../../shared/finish-reasons.ts'
import { AnswerCallIds } from '../../shared/tools/call-ids.ts'
import { isErrorShaped, reportedError, unreadable } from '../../shared/upstream-error.ts'
import {
  emptyAnswer,
  finishReasonOf,
  readCreated,
  readLogprobs,
  readMessage,
  readTimings,
  readUsage,
} from '../response/fields-read.ts'
import { Repetition } from './repetition.ts'

type Emit = (event: ChatEvent) => void

/**
 * Reads the NDJSON of a streamed chat. Tool calls are complete, so each one is opened and closed at once. Format: Ollama API
 * reference, "Generate a chat completion" with streaming.
 */
export function createReader(newCallId: () => string): ChatStreamReader {
  return new Reader(newCallId)
}

class Reader implements ChatStreamReader {
  readonly #lines = new LineSplitter({ loneCr: false })
  readonly #ids: AnswerCallIds
  #started = false
  #over = false
  #wroteAny = false
  #calls = 0
  /** Probabilities of tokens without text yet: the engine holds back partial characters. */
  #logprobs: TokenLogprob[] = []
  readonly #repetition = new Repetition()
  /** The last line with a reason but without `done`, with which some runners end their streams. */
  #withReason: JsonObject | undefined

  constructor(newCallId: () => string) {
    this.#ids = new AnswerCallIds(newCallId)
  }

  push(chunk: Uint8Array, emit: Emit): void {
    if (this.#over) return
    try {
      this.#lines.push(chunk, (line) => this.#line(line, emit))
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#fail(unreadable('line too long', error), emit)
    }
  }

  end(emit: Emit, isComplete = false): void {
    if (this.#over) return
    const rest = this.#lines.rest() ?? ''
    if (rest.trim() !== '') {
      const answer = readLine(rest)
      if (answer) this.#answer(answer, emit)
      else this.#fail(streamTruncated(), emit)
    }
    if (this.#over) return
    if (this.#withReason) this.#finish(this.#withReason, emit)
    else if (isComplete && this.#wroteAny && this.#repetition.isDetected) this.#finish({ done: false }, emit)
    else this.#fail(streamTruncated(), emit)
  }

  #line(line: string, emit: Emit): void {
    if (this.#over || line.trim() === '') return
    const answer = readLine(line)
    if (answer) this.#answer(answer, emit)
    else this.#fail(unreadable('line'), emit)
  }

  #answer(answer: JsonObject, emit: Emit): void {
    if (isErrorShaped(answer)) {
      this.#fail(reportedError(answer), emit)
      return
    }
    try {
      this.#content(answer, emit)
    } catch (thrown) {
      if (!(thrown instanceof RouterError)) throw thrown
      this.#fail(thrown, emit)
      return
    }
    if (answer.done === true) this.#finish(answer, emit)
    else if (typeof answer.done_reason === 'string' && answer.done_reason !== '') this.#withReason = answer
  }

  #content(answer: JsonObject, emit: Emit): void {
    const { text, reasoning, toolCalls } = readMessage(answer, this.#ids)
    this.#repetition.add(answer)
    if (!this.#started) {
      this.#started = true
      const created = readCreated(answer)
      emit({ type: 'start', ...(created === undefined ? {} : { created }) })
    }
    const logprobs = readLogprobs(answer)
    // Other dialects have no probabilities for reasoning.
    if (logprobs.length > 0 && reasoning === '') this.#logprobs.push(...logprobs)
    if (reasoning !== '') emit({ type: 'reasoning-delta', choice: 0, text: reasoning })
    if (text !== '') {
      emit({
        type: 'text-delta',
        choice: 0,
        text,
        ...(this.#logprobs.length > 0 ? { logprobs: this.#logprobs } : {}),
      })
      this.#logprobs = []
    }
    for (const { id, name, arguments: json } of toolCalls) {
      const call = this.#calls++
      emit({ type: 'tool-call-start', choice: 0, call, id, name })
      emit({ type: 'tool-call-delta', choice: 0, call, arguments: json })
      emit({ type: 'block-end', choice: 0, call })
    }
    if (text !== '' || reasoning !== '' || toolCalls.length > 0) this.#wroteAny = true
  }

  #finish(answer: JsonObject, emit: Emit): void {
    const failure = abortError(answer.done_reason) ?? (this.#wroteAny ? undefined : emptyAnswer(answer))
    if (failure) {
      this.#fail(failure, emit)
      return
    }
    const usage = readUsage(answer)
    const timings = readTimings(answer)
    if (usage) emit({ type: 'usage', usage, ...(timings ? { timings } : {}) })
    emit({ type: 'finish', choice: 0, ...finishReasonOf(answer, this.#calls > 0) })
    this.#over = true
    emit({ type: 'end' })
  }

  #fail(error: RouterError, emit: Emit): void {
    this.#over = true
    emit({ type: 'error', error })
  }
}

function readLine(line: string): JsonObject | undefined {
  const answer = withExactIntegers(parseJson(line), () => line)
  return isObject(answer) ? answer : undefined
}
