import type { JsonScan } from '../../lib/json/splice.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import type {
  EmbeddingCodec,
  EmbeddingContext,
  EmbeddingInput,
  EmbeddingRequest,
  EmbeddingResponse,
} from '../../sdk/embedding.ts'
import { badRequest, RouterError } from '../../sdk/errors.ts'
import type { ToolCallFormat } from '../../sdk/operation.ts'
import { allTargets, type Model, type Target } from '../../sdk/target.ts'
import { renameModel } from '../answer/whole-answer.ts'
import type { PreparedAttempt } from '../attempt/prepared-attempt.ts'
import { requireOperation, supporting, targetsWith } from '../request/operation-targets.ts'
import {
  type PassthroughChanges,
  type PreparedBody,
  passthroughBody,
  translatedBody,
  writeOptions,
} from '../request/prepare-body.ts'
import { traitsOfOperation } from '../request/request-traits.ts'
import { routingOfOperation } from '../request/routing-request.ts'
import type { RelayServices } from '../services.ts'
import { wholeWithFailover } from './failover.ts'
import { promptUsage, readOpaque } from './opaque-answer.ts'

/** An embedding request and its model. */
export interface ClientEmbedding {
  dialect: Dialect
  /** The model name in the request. */
  alias: string
  model: Model
  bytes: Buffer
  scan: JsonScan
  /** The client's validated body. */
  body: Record<string, unknown>
  /** Models known to support embeddings, for the error if this one does not. */
  others: readonly string[]
  /** Maximum number of concurrent parts of the request; undefined: see {@link maxConcurrentParts}. */
  concurrency?: number | undefined
}

/** Maximum number of concurrent parts of one request. */
const maxConcurrency = 8

/** How many parts of a request with this body may be sent upstream concurrently, if nothing else limits them. */
export function maxConcurrentParts(model: Model, { input }: Readonly<Record<string, unknown>>): number {
  const inputs = Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1
  return Math.max(1, Math.min(maxConcurrency, Math.ceil(inputs / limitOf(model))))
}

/** An answer for the client: JSON, unless its headers say otherwise. */
export interface EmbeddingAnswer {
  body: Buffer | string
  headers?: Readonly<Record<string, string>>
}

/** The whole answer to a request for embeddings. Throws the client's error. */
export async function answerEmbedding(
  client: ClientEmbedding,
  services: RelayServices,
): Promise<EmbeddingAnswer> {
  const codec = codecOf(client.dialect)
  let request: EmbeddingRequest
  try {
    request = codec.readRequest(client.body)
  } catch (error) {
    return forwardUnparsed(client, error, services)
  }
  return { body: await answerParsed(client, request, services) }
}

/**
 * A server of the client's dialect may accept what the router cannot read: vLLM embeds chats, and responds with bytes. Throws the
 * reason why it cannot be read if no target is such a server.
 */
function forwardUnparsed(
  client: ClientEmbedding,
  unread: unknown,
  services: RelayServices,
): Promise<EmbeddingAnswer> {
  const { model, alias, bytes, dialect } = client
  const canServe = (target: Target): boolean =>
    target.type.dialect === dialect.name && supporting('embedding')(target)
  const isKnown = allTargets(model).some(canServe)
  if (!isKnown || !codecOf(dialect).canPassThrough(client.body)) throw unread
  const prepare = (target: Target): PreparedAttempt<EmbeddingAnswer> => ({
    operation: 'embedding',
    body: clientBytes(client, target, { drop: (field, why) => services.exchange.drop(field, why) }),
    form: formOf(codecOf(dialect), client.body),
    read: (answer) => readOpaque(answer, alias),
  })
  const traits = traitsOfOperation('embedding', bytes)
  const request = routingOfOperation(bytes.length, services)
  return wholeWithFailover({ model, traits, request, canServe, prepare }, services)
}

async function answerParsed(
  client: ClientEmbedding,
  request: EmbeddingRequest,
  services: RelayServices,
): Promise<Buffer | string> {
  const { exchange, signal = exchange.signal } = services
  const codec = codecOf(client.dialect)
  const context: EmbeddingContext = {
    model: client.alias,
    request: client.body,
    elapsedMs: () => exchange.elapsedMs(),
  }
  const write = (response: EmbeddingResponse): string =>
    JSON.stringify(codec.writeResponse(response, context))
  if (request.inputs.length === 0) return write({ vectors: [], promptTokens: undefined })
  requireOperation(client.model, 'embedding', client.others)
  const parts = partsOf(request, limitOf(client.model))
  if (parts.length === 1) {
    const { response, bytes } = await requestPart({ client, codec, request, whole: true }, services)
    return bytes ?? write(response)
  }
  const { concurrency = maxConcurrency } = client
  const answers = await mapConcurrently(parts, { concurrency, signal }, (inputs, partSignal) =>
    requestPart(
      { client, codec, request: { ...request, inputs }, whole: false },
      { ...services, signal: partSignal },
    ),
  )
  return write(joined(answers.map(({ response }) => response)))
}

function codecOf(dialect: Dialect): EmbeddingCodec {
  if (!dialect.embedding) throw badRequest('This dialect does not support embeddings')
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
  client: ClientEmbedding
  /** The client's codec. */
  codec: EmbeddingCodec
  request: EmbeddingRequest
  /** Whether it covers the whole request, so that its bytes may be passed through. */
  whole: boolean
}

interface PartAnswer {
  response: EmbeddingResponse
  /** The upstream's bytes, if the client may get them unchanged. */
  bytes: Buffer | undefined
}

function requestPart(part: Part, services: RelayServices): Promise<PartAnswer> {
  const { model, bytes } = part.client
  return wholeWithFailover<PartAnswer>(
    {
      model,
      traits: traitsOfOperation('embedding', bytes),
      request: routingOfOperation(bytes.length, services),
      canServe: supporting('embedding'),
      prepare: (target) => preparePart(part, target, services),
    },
    services,
  )
}

function preparePart(part: Part, target: Target, services: RelayServices): PreparedAttempt<PartAnswer> {
  const { client, codec, request, whole } = part
  const upstream = services.dialectOf(target.type.dialect)
  // `input` holds the inputs of a body that names its model; bodies of other clients are rewritten for each part.
  const isCut = !whole && target.type.modelIn === 'path'
  const same = upstream === client.dialect && codec.canPassThrough(client.body) && !isCut
  const dropped = new Map<string, string>()
  const prepared = same
    ? passthroughPart(part, target, dropped)
    : translatedPart(part, target, { upstream, dropped })
  return {
    operation: 'embedding',
    ...prepared,
    read({ body }) {
      const answer: unknown = JSON.parse(body.toString())
      const response = codecOf(upstream).readResponse(answer, request.inputs.length)
      for (const [field, why] of dropped) services.exchange.drop(field, why)
      const through = same && whole && codec.hasRequestedEncoding(answer, client.body)
      const bytes = through ? renameModel(body, client.alias, { parsed: answer }) : undefined
      return { answer: { response, bytes }, usage: promptUsage(response.promptTokens) }
    },
  }
}

/** The client's bytes; a part of the request has its own inputs. */
function passthroughPart(
  { client, request, whole }: Part,
  target: Target,
  dropped: Map<string, string>,
): PartBody {
  const drop = (field: string, why: string): void => void dropped.set(field, why)
  const codec = codecOf(client.dialect)
  const body = clientBytes(client, target, { drop, ...(whole ? {} : { set: { input: request.inputs } }) })
  return { body, form: formOf(codec, client.body) }
}

function clientBytes(client: ClientEmbedding, target: Target, changes: PassthroughChanges): PreparedBody {
  const { missingDefaults, modelMembers } = codecOf(client.dialect)
  const defaults = missingDefaults?.(client.body, target.defaults)
  return passthroughBody(client, target, {
    ...(defaults && { defaults }),
    ...changes,
    set: { ...modelMembers?.(client.body, target.upstreamModel), ...changes.set },
    removed: ['model_name'],
  })
}

interface PartBody {
  body: PreparedBody
  form: ToolCallFormat
}

function formOf(codec: EmbeddingCodec, body: Readonly<Record<string, unknown>>): ToolCallFormat {
  return codec.isBatch?.(body) ? 'batch' : 'whole'
}

function translatedPart(
  { client, request }: Part,
  target: Target,
  { upstream, dropped }: { upstream: Dialect; dropped: Map<string, string> },
): PartBody {
  const codec = codecOf(upstream)
  const drop = (field: string, why: string): void => void dropped.set(field, why)
  const written = codec.writeRequest(request, writeOptions(target, drop))
  const changes = upstream === client.dialect ? { members: {}, drop } : { drop }
  return { form: formOf(codec, written), body: translatedBody(written, target, codec, changes) }
}

/**
 * Processes up to `concurrency` items at once, and returns the results in the order of the items. The first failure
 * cancels the others and is thrown when none of them is running any more.
 */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  options: { concurrency: number; signal: AbortSignal },
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  const controller = new AbortController()
  const signal = AbortSignal.any([options.signal, controller.signal])
  const results: Result[] = []
  const failures: unknown[] = []
  const queue = items.entries()
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) {
      if (failures.length > 0) return
      try {
        results[index] = await work(item, signal)
      } catch (error) {
        failures.push(error)
        // Treated like a client that disconnected, so it does not count against the target.
        controller.abort(new RouterError('client_gone', 'Another part of the request failed'))
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(options.concurrency, items.length) }, worker))
  if (failures.length > 0) throw failures[0]
  return results
}
