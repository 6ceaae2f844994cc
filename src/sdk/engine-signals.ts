/**
 * The kind of engine, which determines how its signals are polled. `metrics`: only `/metrics` is read, with the metric names of
 * one of the other engines or of TGI.
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
 * What the engine behind a target reported at the last poll, for the whole server rather than a single model. An absent member
 * is unknown (never zero): the engine does not report it, or did not respond.
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
  /** Number of slots (llama.cpp), the maximum concurrency. */
  readonly slots?: number
  /** Maximum concurrency (SGLang). */
  readonly maxRunning?: number
  readonly loaded?: readonly EngineLoadedModel[]
  /** It has one model, which it serves under any name. */
  readonly holdsOne?: boolean
  readonly state?: 'ready' | 'loading' | 'asleep' | 'down'
  /** Sleep mode of an engine that is `asleep`. */
  readonly sleep?: EngineSleep
  /** Start time, if reported. A change means that the engine restarted with empty caches. */
  readonly startedAt?: number
}
