import { append } from '../../lib/append.ts'
import { parseCarried } from '../../lib/json/exact.ts'
import { isObject } from '../../lib/json/read.ts'
import { applyEdits, rangeOfUniqueMember, scanObject, setMembers } from '../../lib/json/splice.ts'
import type { ChatChoice, ChatEvent, ChatResponse } from '../../sdk/chat.ts'
import { addFile, addText, contentEvents } from '../../sdk/choice-pieces.ts'
import type { AnswerContext, ChatCodec } from '../../sdk/dialect.ts'
import type { UpstreamHeaders } from '../../sdk/transport.ts'
import { isFramed } from '../upstream/upstream-answer.ts'
import { wellFormedAnswer } from './well-formed.ts'

/** A buffered response. */
export interface WholeAnswer {
  headers: UpstreamHeaders
  body: Buffer
}

/** Whether a response arrived as a stream, requested or not. */
export function isStreamed({ headers }: WholeAnswer): boolean {
  return /^(?:text\/event-stream|application\/x-ndjson)/.test(String(headers['content-type'] ?? ''))
}

const markedJson = /^\u00ef\u00bb\u00bf\s*[{[]/

/** JSON without the byte order mark that some servers put before it, and that parsers may ignore (RFC 8259, section 8.1). */
export function withoutMark(answer: WholeAnswer): WholeAnswer {
  const { body } = answer
  return markedJson.test(body.toString('latin1', 0, 64)) ? { ...answer, body: body.subarray(3) } : answer
}

/** Reads a whole response in either form. Throws if it cannot be read. */
export function readAnswer(answer: WholeAnswer, upstream: ChatCodec): ChatResponse {
  const { headers, body } = answer
  const response = isStreamed(answer)
    ? collectStream(body, upstream, isFramed(headers))
    : upstream.readResponse(parseCarried(body.toString()))
  return wellFormedAnswer(response)
}

const nothing: ReadonlySet<string> = new Set()
const modelName = '"model"'
const modelKey = Buffer.from(modelName)
/** Above this size, copying bytes is cheaper than copying text. */
const maxTextBytes = 16 * 1024

/**
 * Passthrough of a whole response: the received bytes with the client's model name, and with
 * additional members of the client's surface. `parsed`: the parsed bytes, if
 * available; saves a scan.
 */
export function renameModel(
  bytes: Buffer,
  model: string,
  { members, parsed }: { members?: Record<string, unknown> | undefined; parsed?: unknown } = {},
): Buffer {
  if (members === undefined && isObject(parsed)) {
    if (!Object.hasOwn(parsed, 'model')) return bytes
    const range = rangeOfUniqueMember(bytes, modelKey)
    if (range) return applyEdits(bytes, [{ ...range, text: JSON.stringify(model) }])
  }
  const scan = scanObject(bytes)
  if (!scan) return bytes
  const named = scan.members.some(({ key }) => key === 'model') ? { model } : {}
  return applyEdits(bytes, setMembers(scan, { ...named, ...members }, nothing))
}

/**
 * As {@link renameModel}, but for a small ASCII response, which is sent as a string together with its head. Returns undefined
 * for any other response.
 * `text` and `parsed`: the decoded and parsed bytes, if they are JSON.
 */
export function renameModelInText(
  { length }: Buffer,
  model: string,
  { text, parsed }: { text: string | undefined; parsed: unknown },
): string | undefined {
  if (text === undefined || text.length !== length || length > maxTextBytes) return undefined
  const found = text.indexOf(modelName)
  const behind = found + modelName.length
  // If the name occurs only once and nothing is escaped, it can only be the key.
  if (found === -1 || text.indexOf(modelName, behind) !== -1 || text.includes('\\u')) return undefined
  if (!isObject(parsed) || !Object.hasOwn(parsed, 'model')) return undefined
  const start = text.indexOf('"', behind)
  const end = text.indexOf('"', start + 1)
  if (start === -1 || end === -1 || !/^\s*:\s*$/.test(text.slice(behind, start))) return undefined
  if (text.lastIndexOf('\\', end) > start) return undefined
  return `${text.slice(0, start)}${JSON.stringify(model)}${text.slice(end + 1)}`
}

/** A whole response for a client that requested a stream: its parts as events, one delta each. */
export function replayAsStream(response: ChatResponse, client: ChatCodec, context: AnswerContext): string {
  const writer = client.createWriter(context)
  let out = ''
  for (const event of eventsOf(response)) out += writer.write(event)
  return out
}

function* eventsOf(response: ChatResponse): Generator<ChatEvent> {
  yield {
    type: 'start',
    ...(response.id === undefined ? {} : { id: response.id }),
    ...(response.created === undefined ? {} : { created: response.created }),
    ...(response.systemFingerprint === undefined ? {} : { systemFingerprint: response.systemFingerprint }),
  }
  for (const choice of response.choices) yield* contentEvents(choice)
  if (response.usage) {
    yield { type: 'usage', usage: response.usage, ...(response.timings ? { timings: response.timings } : {}) }
  }
  for (const { index: choice, finishReason, unknownReason, stopSequence } of response.choices) {
    yield {
      type: 'finish',
      choice,
      reason: finishReason,
      ...(unknownReason === undefined ? {} : { unknownReason }),
      ...(stopSequence === undefined ? {} : { stopSequence }),
    }
  }
  yield { type: 'end' }
}

/** Throws the stream's own error. */
function collectStream(bytes: Buffer, upstream: ChatCodec, isComplete: boolean): ChatResponse {
  const reader = upstream.createReader()
  const collected = new CollectedResponse()
  const onEvent = (event: ChatEvent): void => collected.add(event)
  reader.push(bytes, onEvent)
  reader.end(onEvent, isComplete)
  return collected.response
}

/** Assembles a response from the events of its stream. */
export class CollectedResponse {
  readonly response: ChatResponse = { choices: [] }
  readonly #choices = new Map<number, ChatChoice>()

  /** Throws the error of a stream. */
  add(event: ChatEvent): void {
    const { response } = this
    switch (event.type) {
      case 'start':
        if (event.id !== undefined) response.id = event.id
        if (event.created !== undefined) response.created = event.created
        if (event.systemFingerprint !== undefined) response.systemFingerprint = event.systemFingerprint
        return
      case 'text-delta': {
        const choice = this.#choiceAt(event.choice)
        addText(choice, event.text)
        if (choice.logprobs && event.logprobs) append(choice.logprobs, event.logprobs)
        else if (event.logprobs) choice.logprobs = [...event.logprobs]
        return
      }
      case 'reasoning-delta': {
        const choice = this.#choiceAt(event.choice)
        choice.reasoning += event.text
        if (event.signature !== undefined) choice.reasoningSignature = event.signature
        return
      }
      case 'refusal-delta': {
        const choice = this.#choiceAt(event.choice)
        choice.refusal = (choice.refusal ?? '') + event.text
        return
      }
      case 'citation': {
        const choice = this.#choiceAt(event.choice)
        choice.citations ??= []
        choice.citations.push(event.citation)
        return
      }
      case 'file': {
        addFile(this.#choiceAt(event.choice), event.file)
        return
      }
      case 'tool-call-start':
        this.#choiceAt(event.choice).toolCalls[event.call] = {
          id: event.id,
          name: event.name,
          arguments: '',
          ...(event.signature === undefined ? {} : { signature: event.signature }),
        }
        return
      case 'tool-call-delta': {
        const call = this.#choiceAt(event.choice).toolCalls[event.call]
        if (call) call.arguments += event.arguments
        return
      }
      case 'block-end': {
        const call = this.#choiceAt(event.choice).toolCalls[event.call]
        if (call && call.arguments === '') call.arguments = '{}'
        return
      }
      case 'usage':
        response.usage = event.usage
        if (event.timings) response.timings = event.timings
        return
      case 'finish': {
        const choice = this.#choiceAt(event.choice)
        choice.finishReason = event.reason
        if (event.unknownReason !== undefined) choice.unknownReason = event.unknownReason
        if (event.stopSequence !== undefined) choice.stopSequence = event.stopSequence
        return
      }
      case 'end':
        return
      case 'error':
        throw event.error
    }
  }

  #choiceAt(index: number): ChatChoice {
    const known = this.#choices.get(index)
    if (known) return known
    const choice: ChatChoice = { index, text: '', reasoning: '', toolCalls: [], finishReason: 'stop' }
    this.#choices.set(index, choice)
    this.response.choices.push(choice)
    return choice
  }
}
