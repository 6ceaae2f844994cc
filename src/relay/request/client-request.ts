import type { JsonScan } from '../../lib/json/splice.ts'
import type { ChatRequest, Sampling } from '../../sdk/chat.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import { badRequest, modelNotFound } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/provider.ts'
import type { Model, Target } from '../../sdk/target.ts'

/** Sampling of an endpoint of the router's own, for what neither the client nor the configuration says. */
export type EndpointDefaults = (target: Target) => Sampling

/** A chat request as it came in, read once, and the model it is for. */
export interface ClientRequest {
  dialect: Dialect
  /** The model name that the client asked for; the only one that an answer shows. */
  alias: string
  model: Model
  /** The client's bytes, which a target of the same dialect gets; or a request that the router made itself. */
  source:
    | { from: 'client'; bytes: Buffer; scan: JsonScan }
    | { from: 'router'; request: ChatRequest; defaults?: EndpointDefaults }
  /** What the client sent; long texts in it may be cut. */
  outline: Record<string, unknown>
  /** All that the client sent. Throws `bad_request` where that turns out to be no JSON. */
  readBody(): Record<string, unknown>
  stream: boolean
  /** Whether the client asked for token counts in the stream. */
  includeUsage: boolean
  /** Whether the dialect reads more into the request than its body says: what an earlier request left here. */
  remembers?: boolean
  /** Random part of the answer's id, where it has to be known before the answer; see AnswerContext. */
  answerId?: string
  /** Only targets with this operation can answer. */
  only?: Operation
  /** What the end of the answer waits for, once there is something; never rejects. */
  beforeEnd?: () => Promise<void> | undefined
}

export interface ClientRequestInput {
  dialect: Dialect
  body: Record<string, unknown>
  rawBody: { bytes: Buffer; scan: JsonScan; whole(): Record<string, unknown> } | undefined
  findModel(name: string): Model | undefined
  streamDefault: 'dialect' | 'true' | 'false'
  /** Where the path says it and not the body. */
  named: NamedCall | undefined
}

/** What the path of a request says, in dialects whose bodies do not. */
export interface NamedCall {
  /** The model name that the client asked for. */
  model: string
  stream: boolean
}

/** Reads what the router itself must know of a validated chat body. Throws what is wrong with its model. */
export function readClientRequest({
  dialect,
  body,
  rawBody,
  findModel,
  streamDefault,
  named,
}: ClientRequestInput): ClientRequest {
  if (!rawBody) throw badRequest('The request has no body')
  const alias = named?.model ?? aliasOf(body)
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
    stream: named?.stream ?? streamOf(body.stream, dialect.chat.streamsByDefault, streamDefault),
    includeUsage:
      typeof options === 'object' &&
      options !== null &&
      'include_usage' in options &&
      options.include_usage === true,
  }
}

/** The name of the model in a body. `model_name` is the older member; where both stand, `model` is meant. Throws `bad_request`. */
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

/** Some clients write the word instead of the value. */
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
