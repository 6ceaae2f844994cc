import {
  filledTextOf,
  type JsonObject,
  numberOf,
  objectsIn,
  present,
  textOf,
} from '../../../lib/json/read.ts'
import type { FinishReason, GeneratedFile, Usage } from '../../../sdk/chat.ts'
import { tagSignature } from '../../shared/signatures.ts'
import type { Emit } from '../../shared/sse-stream-reader.ts'
import { AnswerCallIds, randomCallId } from '../../shared/tools/call-ids.ts'
import { wholeArgumentText } from '../../shared/tools/tool-arguments.ts'
import { readGrounding } from '../grounding.ts'
import { memberOf, objectIn } from '../members.ts'
import { isBlocked, partsIn, readFinish, readLogprobs, readUsage } from './fields-read.ts'

interface Candidate {
  calls: number
  text: string
  grounding: JsonObject | undefined
  finish: FinishReason | undefined
}

/**
 * Converts the chunks of an answer to events; a whole answer is a single chunk. The format does not mark the end, so the
 * caller determines it.
 */
export class CandidateReader {
  readonly #ids = new AnswerCallIds(() => randomCallId())
  readonly #candidates = new Map<number, Candidate>()
  #usage: Usage | undefined

  /** Whether every candidate has a finish reason. */
  get finished(): boolean {
    const all = [...this.#candidates.values()]
    return all.length > 0 && all.every(({ finish }) => finish !== undefined)
  }

  read(chunk: JsonObject, emit: Emit): void {
    this.#usage = readUsage(chunk) ?? this.#usage
    const candidates = objectsIn(chunk.candidates)
    if (candidates.length === 0 && isBlocked(chunk)) this.#candidateAt(0).finish ??= 'content_filter'
    for (const [position, candidate] of candidates.entries())
      this.#candidate(numberOf(candidate.index) ?? position, candidate, emit)
  }

  /** Emits token counts and finish reasons. A whole answer may lack a finish reason. */
  end(emit: Emit): void {
    if (this.#usage) emit({ type: 'usage', usage: this.#usage })
    for (const [choice, { finish, calls, text, grounding }] of this.#candidates) {
      if (grounding)
        for (const citation of readGrounding(grounding, text)) emit({ type: 'citation', choice, citation })
      emit({ type: 'finish', choice, reason: finish ?? (calls > 0 ? 'tool_calls' : 'stop') })
    }
  }

  #candidateAt(index: number): Candidate {
    const state = this.#candidates.get(index) ?? {
      calls: 0,
      text: '',
      grounding: undefined,
      finish: undefined,
    }
    this.#candidates.set(index, state)
    return state
  }

  #candidate(choice: number, candidate: JsonObject, emit: Emit): void {
    const state = this.#candidateAt(choice)
    let unsentLogprobs = readLogprobs(candidate)
    for (const part of partsIn(candidate)) {
      const text = textOf(part.text) ?? ''
      const signature = filledTextOf(memberOf(part, 'thoughtSignature'))
      const call = objectIn(part, 'functionCall')
      if (call) this.#call(choice, state, { call, signature, emit })
      else if (part.thought === true || (signature !== undefined && state.text === ''))
        this.#emitReasoning(choice, { text: part.thought === true ? text : '', signature, emit })
      const file = fileIn(part)
      if (file && part.thought !== true) emit({ type: 'file', choice, file })
      if (call || part.thought === true || text === '') continue
      state.text += text
      emit({ type: 'text-delta', choice, text, ...present({ logprobs: unsentLogprobs }) })
      unsentLogprobs = undefined
    }
    state.grounding = objectIn(candidate, 'groundingMetadata') ?? state.grounding
    state.finish = readFinish(candidate, state.calls > 0) ?? state.finish
  }

  #emitReasoning(
    choice: number,
    { text, signature, emit }: { text: string; signature: string | undefined; emit: Emit },
  ): void {
    if (text === '' && signature === undefined) return
    const signed = signature === undefined ? {} : { signature: tagSignature('gemini', signature) }
    emit({ type: 'reasoning-delta', choice, text, ...signed })
  }

  #call(
    choice: number,
    state: Candidate,
    { call, signature, emit }: { call: JsonObject; signature: string | undefined; emit: Emit },
  ): void {
    const name = filledTextOf(call.name)
    // A call without a name is dropped: it would be an error in the next turn.
    if (name === undefined) return
    const number = state.calls++
    const id = this.#ids.claim(filledTextOf(call.id))
    emit({ type: 'tool-call-start', choice, call: number, id, name, ...present({ signature }) })
    emit({ type: 'tool-call-delta', choice, call: number, arguments: wholeArgumentText(call.args) })
    emit({ type: 'block-end', choice, call: number })
  }
}

/** Files that the model generated are inline, unlike those of code execution, which has parts of its own. */
function fileIn(part: JsonObject): GeneratedFile | undefined {
  const inline = objectIn(part, 'inlineData')
  const data = filledTextOf(inline?.data)
  const mediaType = inline && filledTextOf(memberOf(inline, 'mimeType'))
  return data === undefined || mediaType === undefined ? undefined : { mediaType, data }
}
