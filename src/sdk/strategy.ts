import type { Usage } from './chat.ts'
import type { EngineSignals } from './engine-signals.ts'
import type { Target } from './target.ts'

/** Current signals of a target, maintained by the balancer for strategies and the status page. */
export interface TargetSignals {
  readonly target: Target
  /** Weight set at runtime by an operator; overrides the configured one. */
  readonly weight?: number | undefined
  /** Number of times it was picked since startup. */
  readonly uses: number
  /** Requests that it was picked for and that have not ended. */
  readonly inFlight: number
  /** Moving average of the time to the first content, in ms; undefined before the first. Failures do not change it. */
  readonly firstContentMs: number | undefined
  /** Moving average of the time per token after the first content, in ms; undefined before the first. */
  readonly perTokenMs: number | undefined
  /** Moving average of failures among settled requests, 0 to 1; a disconnected client does not count as one. */
  readonly failureRate: number
  /** When the target was last added or recovered from a failure, on the clock of `StrategyContext.now`. */
  readonly returnedAt: number
  /** What its engine reported at the last poll, for the whole server; absent if unknown. */
  readonly engine?: EngineSignals | undefined
}

/** A prefix of a prompt. A key covers everything from the beginning, so equal keys mean equal prefixes. */
export interface PrefixKey {
  /** Non-cryptographic hash, equal for equal bytes in every router; for routing only. */
  readonly key: number
  /** Estimated length of the prefix in tokens. */
  readonly tokens: number
}

/** Priorities of requests, highest first. */
export const priorities = ['high', 'normal', 'low'] as const

/** `normal` unless the client's key or request says otherwise. */
export type Priority = (typeof priorities)[number]

/** The request that a target is picked for. Members are computed on first use. */
export interface RoutingRequest {
  /** Id of the conversation; undefined if the client sent none. */
  readonly session: string | undefined
  /**
   * Prefixes of the prompt, shortest first: tools, system prompt, messages, in this order wherever they are in the body. Empty
   * if the router cannot read the prompt from this kind of request.
   */
  readonly prefixKeys: readonly PrefixKey[]
  /** Another id by which the client groups its requests (`prompt_cache_key`, `user`); undefined if absent. */
  readonly group: string | undefined
  /** Estimated tokens of the prompt; 0 if unknown. */
  readonly promptTokens: number
  /** Id of the client's key; the client's address if no key is required. */
  readonly client: string
  readonly priority: Priority
  /** Whether the request must go to a canary (true) or must not (false); undefined: the weights decide. */
  readonly canary?: boolean | undefined
  /** The `session` that a request continuing this response will have; undefined if none, or not yet known. */
  readonly answerId?: string | undefined
}

export interface StrategyContext {
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** From 0 (inclusive) to 1 (exclusive). */
  random(): number
}

/** How a lease ended, for strategies that learn from it. */
export interface Outcome {
  result: 'success' | 'failure' | 'cancelled'
  /** Milliseconds from the pick to the end. */
  durationMs: number
  /** Milliseconds from the pick to the first content; undefined if there was none. */
  firstContentMs: number | undefined
  /** Token counts reported by the target; undefined if it reported none. */
  usage?: Usage | undefined
}

/**
 * Why a target was picked, as a short phrase for the log, such as `least loaded`. A function is only called if the reason is
 * read.
 */
export type PickReason = string | (() => string)

interface Settling {
  /**
   * Why the preceding `pick` or `order` chose `target`. Called right after it and before `taken`, so the values it compared may
   * be kept until then. Absent: the reason is the strategy's name.
   */
  reason?(target: Target, request: RoutingRequest): PickReason
  /** Called once for every target that a request gets, right after it was picked or, for a waiting request, became free. */
  taken?(target: Target, request: RoutingRequest): void
  /** Called once for every `taken` target, with the same `request` object, when its lease is settled. */
  settled?(target: Target, outcome: Outcome, request: RoutingRequest): void
  /** Called after a reload with the model's targets; discard the state of all others. */
  retain?(targets: readonly Target[]): void
}

/**
 * Picks a target for a request; a target may serve several requests at a time. There is one instance per model, so its state is
 * never shared between models. `pick` is synchronous, so that choice and reservation are atomic.
 */
export interface SharingInstance extends Settling {
  /**
   * Returns one of `candidates`: a non-empty subset of the model's targets in the order of the configuration, without those
   * that failed this request or are down. Every pick is used.
   */
  pick(candidates: readonly TargetSignals[], request: RoutingRequest): TargetSignals
  /** Returns all of `candidates`, best first, without side effects: for targets with limited concurrency. */
  rank?(candidates: readonly TargetSignals[], request: RoutingRequest): readonly TargetSignals[]
  /** Returns what `pick` would, without side effects; absent: the first of `rank`, if implemented. */
  preview?(candidates: readonly TargetSignals[], request: RoutingRequest): TargetSignals
  /** Returns a score per candidate, in units of the strategy: higher is better. Without side effects. */
  scores?(candidates: readonly TargetSignals[], request: RoutingRequest): readonly number[]
  /** For strategies whose weights can be changed at runtime. */
  readonly weights?: WeightControl
}

/** Orders free targets. A target is then held exclusively by one request until the request ends. */
export interface ExclusiveInstance extends Settling {
  /** Returns all of `candidates`, best first. Synchronous and without side effects: it is called again for each attempt. */
  order(candidates: readonly TargetSignals[], request: RoutingRequest): readonly TargetSignals[]
}

/** The weights of one model's targets, by target id, changeable at runtime. */
export interface WeightControl {
  /** Replaces the configured weight, clamped to 0 to 1, from the next pick on. Throws RangeError for NaN. */
  set(targetId: string, weight: number): void
  /** Restores the configured weight. */
  reset(targetId: string): void
  /** The weight set last; undefined if the configured weight applies. */
  get(targetId: string): number | undefined
}

export interface SharingStrategy {
  readonly name: string
  /** It uses `TargetSignals.weight` if set, otherwise the target's, so operators can change weights at runtime. */
  readonly usesWeights?: true
  readonly exclusive?: never
  readonly affinity?: never
  create(context: StrategyContext): SharingInstance
}

export interface ExclusiveStrategy {
  readonly name: string
  readonly exclusive: true
  /** Whether the lease store prefers hosts that have the model loaded, atomically with acquiring the lease. */
  readonly affinity?: true
  create(context: StrategyContext): ExclusiveInstance
}

export type StrategyInstance = SharingInstance | ExclusiveInstance
export type Strategy = SharingStrategy | ExclusiveStrategy
