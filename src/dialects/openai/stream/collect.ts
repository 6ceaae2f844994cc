import { append } from '../../../lib/append.ts'
import { type SseEvent, SseReader } from '../../../lib/bytes/sse.ts'
import { filledTextOf, isObject, type JsonObject, numberOf, objectsIn } from '../../../lib/json/read.ts'
import type { AnswerCollector, WholeAsStream } from '../../../sdk/dialect.ts'
import { type RouterError, streamTruncated } from '../../../sdk/errors.ts'
import { parseEvent } from '../../shared/stream-event.ts'
import { unreadable } from '../../shared/upstream-error.ts'
import { hasContent } from '../passthrough.ts'

/** Maximum size of a collected response, in bytes of its stream. */
const maxBytes = 64 * 1024 * 1024

/**
 * Requests whole responses as streams, except with token probabilities or `verbose`: llama.cpp's streams omit the
 * probabilities of tokens without text of their own (part of a character, a reasoning marker, part of a stop sequence), reject
 * them together with tools, and contain less with `verbose`.
 */
export const wholeAsStream: WholeAsStream = {
  fits: ({ logprobs, n_probs: probabilities, verbose }) => !logprobs && !probabilities && verbose !== true,
  createCollector,
}

/**
 * Assembles the chunks of a stream into the response that the server would have sent without `stream`. Every member is kept,
 * known or not: text is concatenated, lists of token probabilities are appended, and any other member keeps its last value.
 * Source: OpenAI API reference, "The chat completion object", "The chat completion chunk object" and "The completion object".
 */
function createCollector(): AnswerCollector {
  return new Collector()
}

interface CollectedChoice {
  index: number
  members: JsonObject
  /** Undefined for legacy completions, which have `text` instead. */
  message: JsonObject | undefined
  /** By index, which a server may choose freely. */
  calls: Map<number, JsonObject>
  /** The JSON of each token's probabilities: strings take a fraction of the memory of objects. */
  logprobs: string[]
  /** Parallel lists, as in legacy completions. */
  listed: JsonObject | undefined
  finished: boolean
}

class Collector implements AnswerCollector {
  content = false
  done = false
  failure: RouterError | undefined
  readonly #events = new SseReader()
  readonly #choices = new Map<number, CollectedChoice>()
  readonly #head: JsonObject = {}
  /** Index of the most recent choice. */
  #choiceIndex = 0
  #bytes = 0

  push(chunk: Buffer): void {
    if (this.done || this.failure) return
    this.#bytes += chunk.length
    if (this.#bytes > maxBytes) {
      this.failure = unreadable('answer too large')
      return
    }
    try {
      this.#events.push(chunk, (event) => this.#event(event))
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.failure = unreadable('line too long', error)
    }
  }

  end(): Buffer | undefined {
    if (!this.done && !this.failure) this.#events.end((event) => this.#event(event))
    const choices = [...this.#choices.values()]
    const complete = choices.length > 0 && (this.done || choices.every(({ finished }) => finished))
    if (!complete) this.failure ??= streamTruncated()
    return this.failure ? undefined : Buffer.from(this.#answer(choices))
  }

  #event(sent: SseEvent): void {
    if (this.done || this.failure) return
    const event = parseEvent(sent)
    if (event.type === 'data') this.#chunk(event.data)
    else if (event.type === 'done') this.done = true
    else if (event.type !== 'nothing') this.failure = event.error
  }

  #chunk({ choices, ...head }: JsonObject): void {
    for (const [position, choice] of objectsIn(choices).entries()) this.#choice(choice, position)
    // Only streams report the progress of prompt processing.
    const { prompt_progress: _progress, ...members } = head
    for (const [name, value] of Object.entries(members)) {
      // Each of several choices has its own token counts and timings; a whole response has those of the first.
      if (value !== null && (this.#choiceIndex === 0 || this.#head[name] === undefined))
        this.#head[name] = value
    }
    this.content ||= hasContent({ choices })
  }

  #choice(sent: JsonObject, position: number): void {
    const { index: sentIndex, delta, text, logprobs, finish_reason: reason, ...members } = sent
    this.#choiceIndex = numberOf(sentIndex) ?? position
    const choice = this.#choiceAt(this.#choiceIndex, isObject(delta))
    Object.assign(choice.members, members)
    if (typeof text === 'string') choice.members.text = (filledTextOf(choice.members.text) ?? '') + text
    if (isObject(delta)) addDelta(choice, delta)
    addLogprobs(choice, logprobs)
    if (filledTextOf(reason) === undefined) return
    choice.members.finish_reason = reason
    choice.finished = true
  }

  #choiceAt(index: number, isChat: boolean): CollectedChoice {
    const existing = this.#choices.get(index)
    if (existing) {
      if (isChat) existing.message ??= { role: 'assistant', content: '' }
      return existing
    }
    const choice: CollectedChoice = {
      index,
      members: {},
      message: isChat ? { role: 'assistant', content: '' } : undefined,
      calls: new Map(),
      logprobs: [],
      listed: undefined,
      finished: false,
    }
    this.#choices.set(index, choice)
    return choice
  }

  #answer(choices: readonly CollectedChoice[]): string {
    const { object, ...head } = this.#head
    const written = choices.toSorted((one, other) => one.index - other.index).map(choiceJson)
    const name = typeof object === 'string' ? { object: object.replace(/\.chunk$/, '') } : {}
    const rest = JSON.stringify({ ...name, ...head }).slice(1)
    return `{"choices":[${written.join(',')}]${rest === '}' ? '' : ','}${rest}`
  }
}

function addDelta(choice: CollectedChoice, delta: JsonObject): void {
  const message = choice.message ?? {}
  choice.message = message
  for (const [name, value] of Object.entries(delta)) {
    const before = message[name]
    if (name === 'tool_calls') addCalls(choice.calls, value)
    else if (name === 'role') message.role = filledTextOf(value) ?? message.role
    else if (typeof value === 'string') message[name] = typeof before === 'string' ? before + value : value
    else if (value !== null) message[name] = value
  }
}

/** Fragments of one call carry its index; the first has its id and name. */
function addCalls(calls: Map<number, JsonObject>, fragments: unknown): void {
  for (const { index, function: functionMember, ...members } of objectsIn(fragments)) {
    const isContinuation = isObject(functionMember) && filledTextOf(functionMember.name) === undefined
    const at = numberOf(index) ?? Math.max(calls.size - (isContinuation ? 1 : 0), 0)
    const call = calls.get(at) ?? { function: {} }
    calls.set(at, call)
    for (const [name, value] of Object.entries(members))
      if (value !== null && value !== '') call[name] = value
    const assembled = isObject(call.function) ? call.function : {}
    call.function = assembled
    for (const [name, value] of Object.entries(isObject(functionMember) ? functionMember : {})) {
      const before = assembled[name]
      if (name === 'arguments' && typeof before === 'string' && typeof value === 'string')
        assembled[name] = before + value
      else if (value !== null && (before === undefined || value !== '')) assembled[name] = value
    }
  }
}

function addLogprobs(choice: CollectedChoice, logprobs: unknown): void {
  if (!isObject(logprobs)) return
  const { content, ...listed } = logprobs
  if (Array.isArray(content)) for (const entry of content) choice.logprobs.push(JSON.stringify(entry))
  for (const [name, value] of Object.entries(listed)) {
    choice.listed ??= {}
    const before = choice.listed[name]
    if (Array.isArray(before) && Array.isArray(value)) append(before, value)
    else choice.listed[name] = value
  }
}

function choiceJson({ index, members, message, calls, logprobs, listed }: CollectedChoice): string {
  const { finish_reason: reason = null, ...rest } = members
  const ordered = [...calls].toSorted(([one], [other]) => one - other).map(([, call]) => call)
  const content = message && {
    message: { ...message, ...(ordered.length === 0 ? {} : { tool_calls: ordered }) },
  }
  const json = JSON.stringify({ finish_reason: reason, index, ...content, ...rest })
  if (logprobs.length === 0 && !listed) return message ? json : `${json.slice(0, -1)},"logprobs":null}`
  const tokens = logprobs.length === 0 ? [] : [`"content":[${logprobs.join(',')}]`]
  const lists = listed ? [JSON.stringify(listed).slice(1, -1)] : []
  return `${json.slice(0, -1)},"logprobs":{${[...tokens, ...lists].join(',')}}}`
}
