/**
 * A kind of engine: how it is asked for its signals. `metrics`: a server that reports them only under `/metrics`, with the names
 * of one of the others or of TGI.
 */
export type EngineKind = 'vllm' | 'sglang' | 'llamacpp' | 'ollama' | 'lmstudio' | 'metrics'

/** A model loaded in an engine. */
export interface EngineLoadedModel {
  /** Its name at the engine; an engine may list one model under several names. */
  readonly name: string
  /** Context length in use, in tokens. */
  readonly context?: number
  /** When the engine will unload it, ISO 8601; absent: never, or unknown. */
  readonly expiresAt?: string
}

/** `weights_offloaded` can be woken quickly; after `discard_all` the weights have to be loaded again. */
export type EngineSleep = 'weights_offloaded' | 'discard_all'

/**
 * What the engine behind a target reported at the last poll. It covers the whole server, not a single model. An
 * absent member is unknown: the engine does not report it, or did not respond. It is never zero instead.
 */
export interface EngineSignals {
  /** Running requests, from all of its users. */
  readonly running?: number
  /** Requests in the engine's own queue, from all of its users. */
  readonly waiting?: number
  /** `running` and `waiting` without those of this process, as they were at the poll. */
  readonly others?: number
  /** Share of the KV cache in use, 0 to 1. */
  readonly kvUse?: number
  /** Size of the KV cache in tokens. */
  readonly kvTokens?: number
  /** Hits and queries of the prefix cache since the engine started, in prompt tokens. */
  readonly cacheHitTokens?: number
  readonly cacheQueryTokens?: number
  /** Share of prompt tokens that the prefix cache serves, 0 to 1. */
  readonly cacheHitRate?: number
  /** Concurrency: slots of llama.cpp. */
  readonly slots?: number
  /** Maximum concurrency: SGLang. */
  readonly maxRunning?: number
  readonly loaded?: readonly EngineLoadedModel[]
  /** It has one model, which answers to every name. */
  readonly holdsOne?: boolean
  readonly state?: 'ready' | 'loading' | 'asleep' | 'down'
  /** How an engine that is `asleep` sleeps. */
  readonly sleep?: EngineSleep
  /** Changes after a restart of the engine, if reported: its caches are then empty. */
  readonly startedAt?: number
}
