import type { EngineListing } from './engine-listings.ts'
import type { EngineKind } from './engine-signals.ts'
import type { MockSettings } from './mock-settings.ts'
import type { Operation, ToolCallFormat } from './operation.ts'
import type { Flavour } from './profile.ts'
import type { Transport } from './transport.ts'

/** Properties of a request that a path may depend on, besides the operation. */
export interface Call {
  /** The model's name at the upstream. */
  readonly model: string
  readonly form: ToolCallFormat
}

/** The members of a target that the transport of an embedded type may depend on. */
export interface TransportTarget {
  readonly id: string
  /** The model's name at the upstream. */
  readonly upstreamModel: string
  readonly token: string | undefined
  readonly mock: MockSettings
}

/** A kind of upstream, the `api_type` of the configuration. */
export interface ProviderType {
  readonly name: string
  /** Name of its dialect. */
  readonly dialect: string
  readonly flavour: Flavour
  /**
   * Standard path of an operation from the root of the host, with an optional query; undefined if unsupported. Most types
   * ignore `call`; without it, a path that depends on the model has the placeholder `{model}`.
   */
  path(operation: Operation, call?: Call): string | undefined
  /** `path`: the model name is in the path, and the body has neither `model` nor `stream`. Absent: it is in the body. */
  readonly modelIn?: 'path'
  /** Headers that carry the target's API key; none without a key. */
  authHeaders(token: string | undefined): Readonly<Record<string, string | undefined>>
  /** Whether `api_host` is required; embedded types have no address. */
  readonly needsHost: boolean
  /** Default address of its servers, if `api_host` is absent. */
  readonly defaultHost?: string
  /** Client headers that are forwarded if the client uses the same dialect, in lower case. */
  readonly forwardedHeaders?: readonly string[]
  /** Path of a cheap health check that does not call a model; absent: not checked unless configured. */
  readonly healthPath?: string
  /** Path of the engine's sleep state, polled with the health check; absent: its engines never sleep. */
  readonly sleepPath?: string
  /** Model lists of its servers; the first available one is used. Absent: none. */
  readonly listings?: readonly EngineListing[]
  /** How its servers are polled for their load and loaded models; absent: they are not polled. */
  readonly engine?: EngineKind
  /** Its servers list the models in memory, so that an unlisted one is not loaded. Absent: every model is always ready. */
  readonly loadsModels?: boolean
  /** Dialect of `count`, if it differs from `dialect`; chats are then only counted this way. */
  readonly countDialect?: string
  /** Body member with the text to tokenize; absent: `prompt`, as in vLLM. */
  readonly tokenizes?: 'content'
  /** Its servers list all models in memory, and load another one when a request names it. */
  readonly loadsOnDemand?: boolean
  /** Its servers do not notice when the client of a whole response disconnects, so whole responses are requested as streams. */
  readonly collectsWholeAnswers?: boolean
  /** Maximum inputs of one embedding request; absent: no known limit. */
  readonly maxBatch?: number
  /**
   * Meaning of `max_in_flight: "auto"`: `one` request at a time, as many as the server reports `slots`, or no further request
   * while requests wait in the server's own `queue`. A number that a server reports takes precedence. Absent: unknown.
   */
  readonly autoLimit?: 'one' | 'slots' | 'queue'
  /** For embedded types, which answer in process instead of over HTTP. */
  createTransport?(target: TransportTarget): Transport
}
