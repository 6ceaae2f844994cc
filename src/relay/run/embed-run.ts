import { applyEdits, type JsonScan, setMembers } from '../../lib/json/splice.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import type {
  EmbeddingCodec,
  EmbeddingContext,
  EmbeddingInput,
  EmbeddingRequest,
  EmbeddingResponse,
} from '../../sdk/embedding.ts'
import { badRequest, RouterError } from '../../sdk/errors.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { CallTrace } from '../../sdk/trace.ts'
import { renameModel } from '../answer/whole-answer.ts'
import { unreadableAnswer } from '../attempt/unreadable-answer.ts'
import { garbageFailure, next } from '../attempt/upstream-failure.ts'
import { having, requireOperation, targetsWith } from '../request/operation-targets.ts'
import { traitsOfOperation } from '../request/request-traits.ts'
import { askTarget, type TargetCall } from './ask-target.ts'
import type { ChatServices } from './chat-run.ts'
import { sideBySide } from './concurrently.ts'
import { type Delivered, overTargets } from './over-targets.ts'

/** A request for embeddings and the model it is for. */
export interface EmbeddingCall {
  dialect: Dialect
  /** The name the client asked for. */
  alias: string
  model: Model
  bytes: Buffer
  scan: JsonScan
  /** What the client sent, validated. */
  body: Record<string, unknown>
  /** Models that are known to make embeddings, for the client whose model makes none. */
  others: readonly string[]
  /** Parts of the request under way at a time; undefined: as many as {@link partsAtOnce}. */
  atOnce?: number | undefined
}

/** Parts of one request under way at once. */
const maxPartsAtOnce = 8

/** How many parts of a request with this body go upstream at a time, as far as nothing else bounds them. */
export function partsAtOnce(model: Model, { input }: Readonly<Record<string, unknown>>): number {
  const inputs = Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1
  return Math.max(1, Math.min(maxPartsAtOnce, Math.ceil(inputs / limitOf(model))))
}

/** Answers a request for embeddings: the whole answer. Throws the error to tell. */
export async function answerEmbedding(call: EmbeddingCall, services: ChatServices): Promise<Buffer | string> {
  const { exchange } = services
  const codec = codecOf(call.dialect)
  const request = codec.readRequest(call.body)
  const context: EmbeddingContext = {
    model: call.alias,
    request: call.body,
    elapsedMs: () => exchange.elapsedMs(),
  }
  const write = (response: EmbeddingResponse): string =>
    JSON.stringify(codec.writeResponse(response, context))
  if (request.inputs.length === 0) return write({ vectors: [], promptTokens: undefined })
  requireOperation(call.model, 'embedding', call.others)
  const parts = partsOf(request, limitOf(call.model))
  if (parts.length === 1) {
    const { response, bytes } = await askPart({ call, codec, request, whole: true }, services)
    return bytes ?? write(response)
  }
  const { atOnce: limit = maxPartsAtOnce } = call
  const answers = await sideBySide(parts, { limit, signal: exchange.signal }, (inputs, signal) =>
    askPart({ call, codec, request: { ...request, inputs }, whole: false }, { ...services, signal }),
  )
  return write(joined(answers.map(({ response }) => response)))
}

function codecOf(dialect: Dialect): EmbeddingCodec {
  if (!dialect.embedding) throw badRequest('This dialect has no embeddings')
  return dialect.embedding
}

function limitOf(model: Model): number {
  return Math.min(
    ...targetsWith(model, 'embedding').map(({ maxBatch }) => maxBatch ?? Number.POSITIVE_INFINITY),
  )
}

function partsOf({ inputs }: EmbeddingRequest, limit: number): (readonly EmbeddingInput[])[] {
  const parts: (readonly EmbeddingInput[])[] = []
  for (let at = 0; at < inputs.length; at += Math.min(limit, inputs.length))
    parts.push(inputs.slice(at, at + limit))
  return parts
}

function joined(answers: readonly EmbeddingResponse[]): EmbeddingResponse {
  const counts = answers.map(({ promptTokens }) => promptTokens ?? 0)
  return {
    vectors: answers.flatMap(({ vectors }) => vectors),
    promptTokens: counts.reduce((sum, count) => sum + count, 0),
  }
}

interface Part {
  call: EmbeddingCall
  /** The client's codec. */
  codec: EmbeddingCodec
  request: EmbeddingRequest
  /** Whether it is the whole of what the client asked for, so that its bytes may go through. */
  whole: boolean
}

interface PartAnswer {
  response: EmbeddingResponse
  /** The upstream's own bytes, where the client may have them. */
  bytes: Buffer | undefined
}

function askPart(part: Part, services: ChatServices): Promise<PartAnswer> {
  return overTargets<PartAnswer>({
    services,
    model: part.call.model,
    traits: traitsOfOperation('embedding', part.call.bytes),
    can: having('embedding'),
    attempt: (target, revoked, trace) => attemptPart({ ...part, revoked, trace }, target, services),
  })
}

async function attemptPart(
  part: Part & { revoked: AbortSignal | undefined; trace: CallTrace | undefined },
  target: Target,
  services: ChatServices,
): Promise<Delivered<PartAnswer>> {
  const { call, codec, request, whole, revoked: leaseRevoked, trace } = part
  const same = target.type.dialect === call.dialect.name && codec.goesThrough(call.body)
  const revoked = new Map<string, string>()
  const upstream = services.dialectOf(target.type.dialect)
  const members = upstream === call.dialect ? {} : codecOf(upstream).translatedMembers
  let prepared: TargetCall['body'] = []
  try {
    prepared = same ? sameBody(part, target) : translatedBody(request, { upstream, members }, target, revoked)
    const result = await askTarget(services, target, {
      operation: 'embedding',
      body: prepared,
      revoked: leaseRevoked,
      trace,
    })
    if (result.type === 'failed') return result
    if (result.type === 'streamed') return { type: 'failed', ...garbageFailure() }
    const answer: unknown = JSON.parse(result.body.toString())
    const response = codecOf(upstream).readResponse(answer, request.inputs.length)
    if (response.promptTokens !== undefined) {
      const counts = { promptTokens: response.promptTokens, completionTokens: 0 }
      services.exchange.addUsage(counts)
      trace?.used(counts)
    }
    for (const [field, why] of revoked) services.exchange.drop(field, why)
    const through = same && whole && codec.isInWantedForm(answer, call.body)
    const bytes = through ? renameModel(result.body, call.alias, { parsed: answer }) : undefined
    return { type: 'delivered', value: { response, bytes } }
  } catch (error) {
    if (!(error instanceof RouterError || error instanceof SyntaxError)) throw error
    if (error instanceof RouterError && error.kind === 'bad_request')
      return { type: 'failed', ...next(error, 'nothing') }
    return unreadableAnswer(error, target, { body: prepared })
  }
}

const dropped = ['model_name']

/** The client's own bytes, with the least changed that the target needs; a part of them has its own inputs. */
function sameBody({ call, codec, request, whole }: Part, target: Target): Buffer {
  const removed = new Set([...target.dropParams, ...dropped])
  const values: Record<string, unknown> = { ...codec.missingDefaults?.(call.body, target.defaults) }
  for (const member of removed) delete values[member]
  values.model = target.upstreamModel
  if (!whole) values.input = request.inputs
  for (const member of Object.keys(values)) removed.delete(member)
  return applyEdits(call.bytes, setMembers(call.scan, values, removed))
}

function translatedBody(
  request: EmbeddingRequest,
  { upstream, members = {} }: { upstream: Dialect; members: EmbeddingCodec['translatedMembers'] },
  target: Target,
  revoked: Map<string, string>,
): Buffer {
  const body = codecOf(upstream).writeRequest(request, {
    model: target.upstreamModel,
    flavour: target.type.flavour,
    drop: (field, why) => revoked.set(field, why),
  })
  Object.assign(body, codecOf(upstream).missingDefaults?.(body, target.defaults))
  for (const [name, value] of Object.entries(members)) body[name] ??= value
  for (const member of target.dropParams) delete body[member]
  body.model = target.upstreamModel
  return Buffer.from(JSON.stringify(body))
}
