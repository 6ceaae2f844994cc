import type { Flavour } from './dialect.ts'
import type { EngineListing } from './engine-listings.ts'
import type { EngineKind } from './engine-signals.ts'
import type { Target } from './target.ts'
import type { Transport } from './transport.ts'

/**
 * What can be asked of an upstream. `completion` continues a text without a chat around it: OpenAI's older completions,
 * Ollama's generate. `responses` is OpenAI's Responses API. `count` tells the tokens of a prompt in the form of the dialect's chat requests,
 * `responses_count` in that of the Responses API. `cohere_embedding` is Cohere's `/v2/embed`, which vLLM has too.
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

/** How one request asks for something: one answer as a whole or as a stream, or answers to several inputs. */
export const callForms = ['whole', 'stream', 'batch'] as const

export type CallForm = (typeof callForms)[number]

/** What a path may depend on beside its operation. */
export interface Call {
  /** The upstream's name of the model. */
  readonly model: string
  readonly form: CallForm
}

/** A kind of upstream, the `api_type` of the configuration. */
export interface ProviderType {
  readonly name: string
  /** Name of the dialect that it speaks. */
  readonly dialect: string
  readonly flavour: Flavour
  /**
   * Standard path of an operation, from the root of the host; undefined where it has none. It may have a query. Most types ignore
   * `call`; without it the path is that of any call.
   */
  path(operation: Operation, call?: Call): string | undefined
  /** Where a request names the model. `path`: its body has neither `model` nor `stream`. Absent: in the body. */
  readonly modelIn?: 'path'
  /** Headers that carry the target's own key; none when it has no key. */
  authHeaders(token: string | undefined): Readonly<Record<string, string | undefined>>
  /** Whether `api_host` is needed; an embedded type has no address. */
  readonly needsHost: boolean
  /** The address of its servers where `api_host` is absent: that of a vendor. */
  readonly defaultHost?: string
  /** Headers of a client of the same dialect that go through, in lower case. */
  readonly forwardedHeaders?: readonly string[]
  /** Path of a cheap sign of life that costs no model call; absent: the type is not checked unless asked to. */
  readonly healthPath?: string
  /** Path that tells whether the engine sleeps, asked with the health check; absent: its engines never do. */
  readonly sleepPath?: string
  /** Where its servers list their models; the first that gives a list counts. Absent: they have none. */
  readonly listings?: readonly EngineListing[]
  /** How its servers are asked for their load and their loaded models; absent: they are not. */
  readonly engine?: EngineKind
  /** Its servers hold models in memory: what they do not list is not loaded. Absent: any model is always ready. */
  readonly loadsModels?: boolean
  /** The dialect of its `count`, where that is not its own; chats are then counted in no other way. */
  readonly countDialect?: string
  /** The member that holds the text to tokenize; absent: `prompt`, as vLLM has it. */
  readonly tokenizes?: 'content'
  /** Its servers list all models that they have in memory, and load others when a request names them. */
  readonly loadsOnDemand?: boolean
  /** A server does not notice that the client of a whole answer has left, so such answers are asked for as streams. */
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
