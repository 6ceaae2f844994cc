import {
  applyEdits,
  type Edit,
  editedPieces,
  type JsonScan,
  scanObject,
  setMembers,
} from '../../lib/json/splice.ts'
import type { ChatRequest } from '../../sdk/chat.ts'
import type { AnswerCollector, AnswerContext, ChatCodec, Dialect } from '../../sdk/dialect.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/provider.ts'
import type { Target } from '../../sdk/target.ts'
import type { StreamLane } from '../answer/stream-lane.ts'
import { createTranslation } from '../answer/translation.ts'
import type { ChatCall } from './chat-request.ts'

type PreparedBody = Buffer | readonly Buffer[]

/** The request for one target, and the ways back to the client. */
export interface PreparedChat {
  body: PreparedBody
  /** For a streamed answer. */
  createLane(context: AnswerContext): StreamLane
  /** What the target speaks. */
  readonly upstream: ChatCodec
  /** Whether client and target speak the same dialect. */
  readonly identity: boolean
  readonly operation: Operation
  /** Set where a whole answer is asked for as a stream. */
  readonly collector: (() => AnswerCollector) | undefined
}

/** What is known of the targets of a request beside their configuration. */
export interface TargetTraits {
  /** Whether the target's server declined the operation. */
  isDeclined(target: Target, operation: Operation): boolean
  /** Whether whole answers of the target are asked for as streams. */
  collects(target: Target): boolean
}

/** From here on a copy of a body costs more than sending it in pieces. */
const largeBytes = 32 * 1024

const toolMembers = ['tools', 'tool_choice', 'parallel_tool_calls', 'functions', 'function_call']

/**
 * Prepares the same call for target after target. The client's request is read into the canonical form once, and only
 * when a target speaks another dialect.
 */
export function createChatPreparer(
  call: ChatCall,
  dialectOf: (name: string) => Dialect,
  drop: (field: string, why: string) => void,
  traits: TargetTraits,
): (target: Target) => PreparedChat {
  let request: ChatRequest | undefined
  const { source } = call
  const read = (): ChatRequest => {
    try {
      request ??=
        source.from === 'router'
          ? source.request
          : call.dialect.chat.readRequest(call.readBody(), call.stream)
      return request
    } catch (error) {
      throw new UnreadableRequest(error)
    }
  }
  return (target) => {
    const native = source.from === 'client' ? nativeOperation(call.dialect, target) : undefined
    const collects = !call.stream && traits.collects(target)
    if (source.from === 'client' && native && !traits.isDeclined(target, native))
      return prepareIdentity(call, source, target, { operation: native, collects })
    const request = read()
    const { dialect, operation } = upstreamSurface(request, target, dialectOf)
    const prepared = prepareTranslated(request, dialect, target, { drop, collects })
    return { ...forClient(prepared, call), operation }
  }
}

/** The client's request cannot be read, whatever the target; the cause says why. */
export class UnreadableRequest extends Error {
  constructor(cause: unknown) {
    super('the request cannot be read', { cause })
  }
}

/** The operation of the target that takes the client's bytes as they are; undefined where there is none. */
function nativeOperation({ name, native }: Dialect, { type, paths }: Target): Operation | undefined {
  const { dialect, operation } = native ?? { dialect: name, operation: 'chat' }
  return type.dialect === dialect && paths[operation] !== undefined ? operation : undefined
}

/** What a request that no chat can say is asked in. Throws `bad_request` for a target that has only chats. */
function upstreamSurface(
  request: ChatRequest,
  target: Target,
  dialectOf: (name: string) => Dialect,
): { dialect: Dialect; operation: Operation } {
  const dialect = dialectOf(target.type.dialect)
  if (request.completion === undefined) {
    if (target.paths.chat === undefined) throw badRequest('The upstream of this model has no chats', 'model')
    return { dialect, operation: 'chat' }
  }
  const field = request.completion.raw ? 'raw' : 'suffix'
  if (dialect.completions === undefined || target.paths.completion === undefined) {
    throw badRequest(
      `The upstream of this model has only chats; '${field}' needs one that continues texts`,
      field,
    )
  }
  return { dialect: dialectOf(dialect.completions), operation: 'completion' }
}

/** The identity lane: the received bytes, with the least changed that the target needs. */
function prepareIdentity(
  call: ChatCall,
  { bytes, scan: members }: { bytes: Buffer; scan: JsonScan },
  target: Target,
  { operation, collects }: { operation: Operation; collects: boolean },
): PreparedChat {
  const { chat } = call.dialect
  const asStream = collects && chat.wholeAsStream?.fits({ ...target.defaults, ...call.outline }) === true
  const { edits, stripUsage } = chat.passthroughEdits({
    bytes,
    scan: members,
    body: call.outline,
    stream: call.stream || asStream,
    wantUsage: asStream || target.streamUsage,
  })
  const removed = removedMembers(call, target)
  const values = { ...defaultMembers(call, target, removed), model: target.upstreamModel }
  const body =
    removed.size === 0
      ? edited(bytes, [...edits, ...setMembers(members, values, removed)])
      : withoutMembers(applyEdits(bytes, edits), values, removed)
  return {
    body,
    upstream: chat,
    identity: true,
    operation,
    collector: collects ? chat.wholeAsStream?.createCollector : undefined,
    createLane: () =>
      chat.createPassthrough({
        model: call.alias,
        stripUsage: stripUsage && !removed.has('stream_options'),
        choices: chat.answersOf?.(call.outline) ?? (typeof call.outline.n === 'number' ? call.outline.n : 1),
      }),
  }
}

/** Members of the client's body that this target does not get. */
function removedMembers({ outline }: ChatCall, { dropParams, toolCalling }: Target): ReadonlySet<string> {
  const hasOldName = 'model_name' in outline
  if (dropParams.length === 0 && toolCalling && !hasOldName) return none
  const removed = new Set(dropParams)
  if (!toolCalling) for (const member of toolMembers) removed.add(member)
  if (hasOldName) removed.add('model_name')
  removed.delete('model')
  return removed
}

const none: ReadonlySet<string> = new Set()
/** What a request says of itself, which no default can. */
const requestMembers = ['model', 'messages', 'stream', 'stream_options']

/** The operator's defaults for what the client left out. */
function defaultMembers(
  call: ChatCall,
  target: Target,
  removed: ReadonlySet<string>,
): Record<string, unknown> {
  const { chat } = call.dialect
  // What is written back must be whole.
  const known = hasNone(target.defaults) ? call.outline : call.readBody()
  const defaults = chat.missingDefaults(known, target.defaults, target.type.flavour)
  if (!hasNone(defaults)) for (const member of requestMembers) delete defaults[member]
  if (chat.fitContext) Object.assign(defaults, chat.fitContext({ ...call.readBody(), ...defaults }, target))
  if (!hasNone(defaults)) for (const member of removed) delete defaults[member]
  return defaults
}

function edited(bytes: Buffer, edits: readonly Edit[]): PreparedBody {
  return bytes.length < largeBytes ? applyEdits(bytes, edits) : editedPieces(bytes, edits)
}

function hasNone(members: Readonly<Record<string, unknown>>): boolean {
  for (const _name in members) return false
  return true
}

/** Removals reach over members that were just edited, so the places are looked up anew. */
function withoutMembers(
  bytes: Buffer,
  values: Record<string, unknown>,
  removed: ReadonlySet<string>,
): Buffer {
  const scan = scanObject(bytes)
  return scan ? applyEdits(bytes, setMembers(scan, values, removed)) : bytes
}

/** The request of a target that speaks another dialect than the client, or that the router itself asks. */
export function prepareTranslated(
  request: ChatRequest,
  dialect: Dialect,
  target: Target,
  { drop, collects }: { drop: (field: string, why: string) => void; collects: boolean },
): Pick<PreparedChat, 'upstream' | 'collector'> & { body: Buffer } {
  const upstream = dialect.chat
  const body = upstream.writeRequest(withTools(request, target), {
    model: target.upstreamModel,
    flavour: target.type.flavour,
    drop,
  })
  Object.assign(body, upstream.missingDefaults(body, target.defaults, target.type.flavour))
  for (const [name, value] of Object.entries(upstream.translatedMembers ?? {})) body[name] ??= value
  if (!target.streamUsage) delete body.stream_options
  Object.assign(body, upstream.fitContext?.(body, target))
  const wholeAsStream = collects && !request.stream ? upstream.wholeAsStream : undefined
  if (wholeAsStream?.fits(body))
    Object.assign(body, { stream: true, stream_options: { include_usage: true } })
  for (const member of target.dropParams) delete body[member]
  body.model = target.upstreamModel
  return { body: Buffer.from(JSON.stringify(body)), upstream, collector: wholeAsStream?.createCollector }
}

function forClient(
  { body, upstream, collector }: ReturnType<typeof prepareTranslated>,
  call: ChatCall,
): Omit<PreparedChat, 'operation'> {
  return {
    body,
    upstream,
    identity: false,
    collector,
    createLane: (context) =>
      createTranslation(upstream.createReader(), call.dialect.chat.createWriter(context)),
  }
}

function withTools(request: ChatRequest, target: Target): ChatRequest {
  if (target.toolCalling || request.tools.length === 0) return request
  const { toolChoice: _choice, parallelToolCalls: _parallel, ...rest } = request
  return { ...rest, tools: [] }
}
