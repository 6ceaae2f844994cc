import { withExactIntegers } from '../../lib/json/exact.ts'
import { isObject } from '../../lib/json/read.ts'
import type { JsonScan } from '../../lib/json/splice.ts'
import type { ChatRequest, Sampling } from '../../sdk/chat.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import { badRequest, modelNotFound } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/operation.ts'
import type { Model, Target } from '../../sdk/target.ts'

/** Default sampling of a text endpoint, used where neither the client nor the configuration sets a value. */
export type EndpointDefaults = (target: Target) => Sampling

/** A chat request, read once, and its model. */
export interface ClientRequest {
  dialect: Dialect
  /** The model name in the request; the only one that responses contain. */
  alias: string
  model: Model
  /** The client's bytes, for targets of the same dialect; or a request made by the router itself. */
  source:
    | { from: 'client'; bytes: Buffer; scan: JsonScan }
    | { from: 'router'; request: ChatRequest; defaults?: EndpointDefaults }
  /** The client's body; long strings may be truncated. */
  outline: Record<string, unknown>
  /** The complete body. Throws `bad_request` if it is invalid JSON. */
  readBody(): Record<string, unknown>
  stream: boolean
  /** Whether the client requested token counts in the stream. */
  includeUsage: boolean
  /** Whether the request depends on state of an earlier request that is stored here. */
  remembers?: boolean
  /** Random part of the response id, if it must be known in advance; see AnswerContext. */
  answerId?: string
  /** Only targets with this operation can answer. */
  only?: Operation
  /** Called before each write to the client, which waits for the returned promise. Never rejects. */
  beforeWrite?: () => Promise<void> | undefined
}

export interface ClientRequestInput {
  dialect: Dialect
  body: Record<string, unknown>
  rawBody: { bytes: Buffer; scan: JsonScan; whole(): Record<string, unknown> } | undefined
  findModel(name: string): Model | undefined
  streamDefault: 'dialect' | 'true' | 'false'
  /** Set if the path contains it instead of the body. */
  fromPath: PathRequest | undefined
}

/** What the path contains, in dialects whose bodies lack it. */
export interface PathRequest {
  /** The model name in the request. */
  model: string
  stream: boolean
}

/** Reads the parts of a validated chat body that the router itself needs. Throws if its model is invalid. */
export function readClientRequest({
  dialect,
  body,
  rawBody,
  findModel,
  streamDefault,
  fromPath,
}: ClientRequestInput): ClientRequest {
  if (!rawBody) throw badRequest('The request has no body')
  const alias = fromPath?.model ?? aliasOf(body)
  const model = findModel(alias)
  if (!model) throw modelNotFound(alias.slice(0, 256))
  const options: unknown = body.stream_options
  return {
    dialect,
    alias,
    model,
    source: { from: 'client', bytes: rawBody.bytes, scan: rawBody.scan },
    outline: body,
    readBody: once(rawBody.whole),
    stream: fromPath?.stream ?? streamOf(body.stream, dialect.chat.streamsByDefault, streamDefault),
    includeUsage:
      typeof options === 'object' &&
      options !== null &&
      'include_usage' in options &&
      options.include_usage === true,
  }
}

/** The body for a translation: the integers of tools and schemas have all their digits. */
export function exactBody({ source, readBody }: ClientRequest): Record<string, unknown> {
  const body = readBody()
  if (source.from !== 'client') return body
  const exact = withExactIntegers(body, () => source.bytes.toString())
  return isObject(exact) ? exact : body
}

/** The model name in a body. `model_name` is the legacy member; `model` takes precedence. Throws `bad_request`. */
export function aliasOf(body: Record<string, unknown>): string {
  const name = body.model ?? body.model_name
  if (name === undefined || name === null) {
    throw badRequest("'model' is required: the name of a model", 'model', 'missing_required_parameter')
  }
  if (typeof name !== 'string' || name === '') {
    throw badRequest("'model' must be a non-empty string", 'model', 'invalid_value')
  }
  return name
}

/** Some clients send the string instead of the boolean. */
function streamOf(
  stream: unknown,
  dialectDefault: boolean,
  configured: 'dialect' | 'true' | 'false',
): boolean {
  if (stream === true || stream === 'true') return true
  if (stream === false || stream === 'false') return false
  return configured === 'dialect' ? dialectDefault : configured === 'true'
}

function once<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}
