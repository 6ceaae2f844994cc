import { sseFraming } from '../../lib/bytes/framing.ts'
import { filledTextOf, isObject, type JsonObject, numberOf, objectsIn } from '../../lib/json/read.ts'
import { type Edit, scanObject, setMembers } from '../../lib/json/splice.ts'
import type {
  ChatPassthrough,
  PassthroughOptions,
  PassthroughRequest,
  PassthroughState,
} from '../../sdk/dialect.ts'
import { failedBy } from '../shared/finish-reasons.ts'
import { parseEvent } from '../shared/stream-event.ts'
import { createStreamFilter, type StreamPolicy, sseMarks } from '../shared/stream-filter.ts'
import { plainChoice } from './request/tool-choice.ts'
import { readUsage } from './response/fields-read.ts'

const doneEvent = Buffer.from('data: [DONE]\n\n')
/** A reason to finish, and the chunk of the token counts, which has no choices. */
const marks = sseMarks(
  'finish_reason"[ \\t]*:[ \\t]*"[^"]|choices"[ \\t]*:[ \\t]*\\[[ \\t]*\\]',
  'usage"[ \\t]*:[ \\t]*\\{',
)
const none: ReadonlySet<string> = new Set()
/** Members that every chunk has. */
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
  /** Whether a chunk that the client got has named the configuration of the server. */
  #fingerprint = false

  constructor(options: PassthroughOptions) {
    this.#options = options
  }

  note({ data }: { data: JsonObject }, state: PassthroughState): boolean | Buffer {
    state.content ||= hasContent(data)
    state.usage = readUsage(data) ?? state.usage
    const choices = objectsIn(data.choices)
    for (const [position, choice] of choices.entries()) {
      if (filledTextOf(choice.finish_reason) === undefined) continue
      this.#finished.add(numberOf(choice.index) ?? position)
      state.failure ??= failedBy(choice.finish_reason)
    }
    const isPlain = choices.length > 0 || !this.#options.stripUsage || !isObject(data.usage)
    if (isPlain) this.#fingerprint ||= filledTextOf(data.system_fingerprint) !== undefined
    return isPlain || this.#withoutUsage(data)
  }

  /**
   * What engines put beside the token counts that only the router asked for: llama.cpp its `timings`. The chunk gets a choice
   * that says nothing, because clients that asked for no counts look at the first choice of every chunk.
   */
  #withoutUsage({ usage: _usage, choices: _choices, ...rest }: JsonObject): boolean | Buffer {
    const isNews = Object.entries(rest).some(
      ([name, value]) =>
        value !== null && !headMembers.has(name) && !(name === 'system_fingerprint' && this.#fingerprint),
    )
    if (!isNews) return false
    const said = rest.object === 'text_completion' ? { text: '' } : { delta: {} }
    const choices = [{ index: 0, ...said, logprobs: null, finish_reason: null }]
    const named = 'model' in rest ? { model: this.#options.model } : {}
    return Buffer.from(`data: ${JSON.stringify({ ...rest, ...named, choices })}\n\n`)
  }

  /** Some servers never send the end mark. */
  complete(): Buffer | undefined {
    return this.#finished.size < this.#options.choices ? undefined : doneEvent
  }
}

/** Whether a chunk has content to commit to: any delta, or a finish reason. */
export function hasContent(chunk: JsonObject): boolean {
  return objectsIn(chunk.choices).some((choice) => {
    if (filledTextOf(choice.finish_reason) !== undefined || filledTextOf(choice.text) !== undefined)
      return true
    const said = isObject(choice.delta) ? choice.delta : choice.message
    return isObject(said) && Object.entries(said).some(([name, value]) => name !== 'role' && says(value))
  })
}

function says(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return false
  return typeof value === 'object' ? Object.keys(value).length > 0 : true
}

/**
 * The least changes that make the sent bytes say what is meant: `stream` as a boolean, the choice among tools in OpenAI's own
 * form, and token counts asked for where only the router wants them. Members that are not named here stay byte for byte.
 */
export function passthroughEdits(request: PassthroughRequest): { edits: Edit[]; stripUsage: boolean } {
  const { bytes, scan, body, stream, wantUsage } = request
  const options = body.stream_options
  const stripUsage = stream && wantUsage && !(isObject(options) && options.include_usage === true)
  const choice = isObject(body.tool_choice) ? plainChoice(body.tool_choice) : body.tool_choice
  const members: Record<string, unknown> = {}
  if ((body.stream ?? false) !== stream) members.stream = stream
  if (choice !== body.tool_choice && !isSame(choice, body.tool_choice)) members.tool_choice = choice
  if (!stripUsage) return { edits: setMembers(scan, members, none), stripUsage }
  // Of repeated members the last one counts for every parser in use.
  const member = scan.members.findLast(({ key }) => key === 'stream_options')
  const inner = member && scanObject(bytes.subarray(0, member.valueEnd), member.valueStart)
  if (!inner) {
    members.stream_options = { include_usage: true }
    return { edits: setMembers(scan, members, none), stripUsage }
  }
  const asked = setMembers(inner, { include_usage: true }, none)
  return { edits: [...setMembers(scan, members, none), ...asked], stripUsage }
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
