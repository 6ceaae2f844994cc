import { sseFraming } from '../../lib/bytes/framing.ts'
import { sseMarks } from '../../lib/bytes/marks.ts'
import { filledTextOf, isObject, type JsonObject, numberOf, objectsIn } from '../../lib/json/read.ts'
import { type Edit, scanObject, setMembers } from '../../lib/json/splice.ts'
import type {
  ChatPassthrough,
  PassthroughOptions,
  PassthroughRequest,
  PassthroughState,
} from '../../sdk/dialect.ts'
import { abortError } from '../shared/finish-reasons.ts'
import { parseEvent } from '../shared/stream-event.ts'
import { createStreamFilter, type StreamPolicy } from '../shared/stream-filter.ts'
import { normalizedChoice } from './request/tool-choice.ts'
import { readUsage } from './response/fields-read.ts'

const doneEvent = Buffer.from('data: [DONE]\n\n')
/** Finish reasons, and the usage chunk, which has no choices. */
const marks = sseMarks(
  ['finish_reason"[ \\t]*:[ \\t]*"[^"]', 'choices"[ \\t]*:[ \\t]*\\[[ \\t]*\\]'],
  ['usage"[ \\t]*:[ \\t]*\\{'],
)
/** Members that every chunk may have. */
const headMembers: ReadonlySet<string> = new Set([
  'id',
  'object',
  'created',
  'model',
  'service_tier',
  'obfuscation',
])

export function createPassthrough(options: PassthroughOptions): ChatPassthrough {
  return createStreamFilter(new OpenaiStream(options), options.model)
}

class OpenaiStream implements StreamPolicy {
  readonly framing = sseFraming
  readonly marks = marks
  readonly readCounts = readUsage
  readonly parse = parseEvent
  readonly #options: PassthroughOptions
  readonly #finished = new Set<number>()
  /** Whether a forwarded chunk had a `system_fingerprint`. */
  #hasFingerprint = false

  constructor(options: PassthroughOptions) {
    this.#options = options
  }

  filterEvent({ data }: { data: JsonObject }, state: PassthroughState): boolean | Buffer {
    state.content ||= hasContent(data)
    state.usage = readUsage(data) ?? state.usage
    const choices = objectsIn(data.choices)
    for (const [position, choice] of choices.entries()) {
      if (filledTextOf(choice.finish_reason) === undefined) continue
      this.#finished.add(numberOf(choice.index) ?? position)
      state.failure ??= abortError(choice.finish_reason)
    }
    const isPlain = choices.length > 0 || !this.#options.stripUsage || !isObject(data.usage)
    if (isPlain) this.#hasFingerprint ||= filledTextOf(data.system_fingerprint) !== undefined
    return isPlain || this.#withoutUsage(data)
  }

  /**
   * The usage chunk that only the router asked for, without the usage. Engines put more into it (llama.cpp: `timings`). It
   * gets an empty choice, because clients that did not ask for usage read the first choice of every chunk. False if nothing is
   * left.
   */
  #withoutUsage({ usage: _usage, choices: _choices, ...rest }: JsonObject): boolean | Buffer {
    const hasMore = Object.entries(rest).some(
      ([name, value]) =>
        value !== null && !headMembers.has(name) && !(name === 'system_fingerprint' && this.#hasFingerprint),
    )
    if (!hasMore) return false
    const content = rest.object === 'text_completion' ? { text: '' } : { delta: {} }
    const choices = [{ index: 0, ...content, logprobs: null, finish_reason: null }]
    const modelMember = 'model' in rest ? { model: this.#options.model } : {}
    return Buffer.from(`data: ${JSON.stringify({ ...rest, ...modelMember, choices })}\n\n`)
  }

  /** Some servers never send `[DONE]`. */
  complete(): Buffer | undefined {
    return this.#finished.size < this.#options.choices ? undefined : doneEvent
  }
}

/** Whether a chunk is content that commits the response: any delta, or a finish reason. */
export function hasContent(chunk: JsonObject): boolean {
  return objectsIn(chunk.choices).some((choice) => {
    if (filledTextOf(choice.finish_reason) !== undefined || filledTextOf(choice.text) !== undefined)
      return true
    const message = isObject(choice.delta) ? choice.delta : choice.message
    return (
      isObject(message) && Object.entries(message).some(([name, value]) => name !== 'role' && isFilled(value))
    )
  })
}

function isFilled(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return false
  return typeof value === 'object' ? Object.keys(value).length > 0 : true
}

/**
 * The edits of a forwarded request: `stream` as a boolean, `tool_choice` in OpenAI's own form, and a request for usage if only
 * the router wants it. All other bytes are forwarded unchanged.
 */
export function passthroughEdits(request: PassthroughRequest): { edits: Edit[]; stripUsage: boolean } {
  const { bytes, scan, body, stream, wantUsage } = request
  const options = body.stream_options
  const stripUsage = stream && wantUsage && !(isObject(options) && options.include_usage === true)
  const toolChoice = isObject(body.tool_choice) ? normalizedChoice(body.tool_choice) : body.tool_choice
  const members: JsonObject = {}
  if ((body.stream ?? false) !== stream) members.stream = stream
  if (toolChoice !== body.tool_choice && !isSame(toolChoice, body.tool_choice))
    members.tool_choice = toolChoice
  if (!stripUsage) return { edits: setMembers(scan, members), stripUsage }
  // All common parsers use the last of duplicate members.
  const member = scan.members.findLast(({ key }) => key === 'stream_options')
  const inner = member && scanObject(bytes.subarray(0, member.valueEnd), member.valueStart)
  if (!inner) {
    members.stream_options = { include_usage: true }
    return { edits: setMembers(scan, members), stripUsage }
  }
  const usageEdits = setMembers(inner, { include_usage: true })
  return { edits: [...setMembers(scan, members), ...usageEdits], stripUsage }
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
