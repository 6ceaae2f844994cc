import type { Flavour } from './dialect.ts'
import type { EngineListing } from './engine-listings.ts'
import type { EngineKind } from './engine-signals.ts'
import type { Target } from './target.ts'
import type { Transport } from './transport.ts'

/**
 * What can be asked of an upstream. `completion` continues a text without a chat around it: OpenAI's older completions,
 * Ollama's generate. `responses` is OpenAI's Responses API. `count` tells the tokens of a prompt in the form of the dialect's
 * chat requests, `responses_count` in that of the Responses API. `cohere_embedding` is Cohere's `/v2/embed`, which vLLM has too.
 * `infill` is llama.cpp's completion between a prefix and a suffix.
 */
export const operations = [
  'chat',
  'completion',
  'responses',
  'embedding',
  'rerank',
  'score',
  'transcription',
  'speech',
  'image',
  'tokenize',
  'detokenize',
  'count',
  'audio_translation',
  'image_edit',
  'moderation',
  'pooling',
  'classify',
  'cohere_embedding',
  'responses_count',
  'infill',
] as const

export type Operation = (typeof operations)[number]

/** Form of a call: one whole response, a stream, or results for several inputs. */
export const callForms = ['whole', 'stream', 'batch'] as const

export type CallForm = (typeof callForms)[number]

/** Properties of a request that a path may depend on, besides the operation. */
export interface Call {
  /** The upstream's name of the model. */
  readonly model: string
  readonly form: CallForm
}

/** A kind of upstream, the `api_type` of the configuration. */
export interface ProviderType {
  readonly name: string
  /** Name of its dialect. */
  readonly dialect: string
  readonly flavour: Flavour
  /**
   * Standard path of an operation, from the root of the host; undefined where it has none. It may have a query. Most types ignore
   * `call`; without it the path is that of any call.
   */
  path(operation: Operation, call?: Call): string | undefined
  /** Location of the model name. `path`: the body has neither `model` nor `stream`. Absent: in the body. */
  readonly modelIn?: 'path'
  /** Headers that carry the target's own key; none when it has no key. */
  authHeaders(token: string | undefined): Readonly<Record<string, string | undefined>>
  /** Whether `api_host` is needed; an embedded type has no address. */
  readonly needsHost: boolean
  /** Default address of its servers, if `api_host` is absent. */
  readonly defaultHost?: string
  /** Headers of a client of the same dialect that are passed on, in lower case. */
  readonly forwardedHeaders?: readonly string[]
  /** Path of a cheap health check that does not call a model; absent: not checked unless configured. */
  readonly healthPath?: string
  /** Path of the engine's sleep state, queried with the health check; absent: its engines never sleep. */
  readonly sleepPath?: string
  /** Model lists of its servers; the first available one is used. Absent: none. */
  readonly listings?: readonly EngineListing[]
  /** How its servers are asked for their load and their loaded models; absent: they are not. */
  readonly engine?: EngineKind
  /** Its servers keep models in memory: models that they do not list are not loaded. Absent: every model is always ready. */
  readonly loadsModels?: boolean
  /** The dialect of its `count`, if not its own; chats are then only counted this way. */
  readonly countDialect?: string
  /** The member with the text to tokenize; absent: `prompt`, as in vLLM. */
  readonly tokenizes?: 'content'
  /** Its servers list all models that they have in memory, and load others when a request names them. */
  readonly loadsOnDemand?: boolean
  /** Its servers do not notice when the client of a whole response disconnects, so whole responses are requested as streams. */
  readonly collectsWholeAnswers?: boolean
  /** Most inputs that one embedding request may have; absent: no limit is known. */
  readonly maxBatch?: number
  /**
   * What `max_in_flight: "auto"` means for its servers: `one` request at a time, the `slots` that the server tells, or no
   * further one while requests wait in the server's own `queue`. A number that a server tells counts in any case. Absent:
   * nothing is known of them.
   */
  readonly autoLimit?: 'one' | 'slots' | 'queue'
  /** Answers calls itself instead of over HTTP (the mock does). */
  createTransport?(target: Target): Transport
}
