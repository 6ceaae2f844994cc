import type { Usage } from './chat.ts'
import type { EngineSignals } from './engine-signals.ts'
import type { Target } from './target.ts'

/** Current signals of a target. Maintained by the balancer; read by strategies and the status page. */
export interface TargetSignals {
  readonly target: Target
  /** Weight set by an operator, if it overrides the configured one. */
  readonly weight?: number | undefined
  /** Requests this target was picked for since the start. */
  readonly uses: number
  /** Picked and not settled yet. */
  readonly inFlight: number
  /** Moving average of the time to the first content, in ms; undefined before the first. Failures do not change it. */
  readonly firstContentMs: number | undefined
  /** Moving average of the time per token after the first content, in ms; undefined before the first. */
  readonly perTokenMs: number | undefined
  /** Moving average of failures among settled requests, 0 to 1; a disconnected client does not count as one. */
  readonly failureRate: number
  /** When the target was last added or recovered from a failure, on the clock of `StrategyContext.now`. */
  readonly returnedAt: number
  /** Signals of its engine from the last poll; absent if unknown. Covers the whole server. */
  readonly engine?: EngineSignals | undefined
}

/** One beginning of a prompt. Each key covers all before it, so equal keys mean equal text up to there. */
export interface PrefixKey {
  /** A hash, not a digest: equal for equal bytes in every router, for routing only. */
  readonly key: number
  /** Estimated tokens from the beginning of the prompt up to here. */
  readonly tokens: number
}

export const priorities = ['high', 'normal', 'low'] as const

/** `normal` unless the client's key or request says otherwise. */
export type Priority = (typeof priorities)[number]

/** The request that a target is picked for. Everything is computed on its first use. */
export interface RoutingRequest {
  /** The conversation named by the client; undefined if none is. */
  readonly session: string | undefined
  /**
   * Of the prompt's beginnings, shortest first: tools, system prompt, messages, in this order wherever they are in the
   * body. Empty where the router does not know the form of the request.
   */
  readonly prefixKeys: readonly PrefixKey[]
  /** Other id by which the client groups its requests (`prompt_cache_key`, `user`); undefined if absent. */
  readonly group: string | undefined
  /** Estimated tokens of the prompt; 0 if unknown. */
  readonly promptTokens: number
  /** Id of the client's key; the client's address if no key is required. */
  readonly client: string
  readonly priority: Priority
  /** Whether it wants a canary; undefined: the weights decide. */
  readonly canary?: boolean | undefined
  /** The `session` of a request that continues this response; undefined until known, or if there is none. */
  readonly answerId?: string | undefined
}

export interface StrategyContext {
  /** Monotonic milliseconds. */
  now(): number
  /** 0 (included) to 1 (excluded). */
  random(): number
}

/** How a lease ended, for strategies that learn from it. */
export interface Outcome {
  result: 'success' | 'failure' | 'cancelled'
  /** Milliseconds from the pick to the end. */
  durationMs: number
  /** Milliseconds from the pick to the first content; undefined when there was none. */
  firstContentMs: number | undefined
  /** Token counts reported by the target; undefined if it reported none. */
  usage?: Usage | undefined
}

/** Why a target was picked, as a short phrase for the log, such as `least loaded`. A function is called only if it is read. */
export type PickReason = string | (() => string)

interface Settling {
  /**
   * Why `target` was chosen by the preceding `pick` or `order`, whose numbers may be kept until then: called right after it and
   * before `taken`. Absent: the reason is the strategy's name.
   */
  reason?(target: Target, request: RoutingRequest): PickReason
  /** Called once for every target that a request gets, right after it was picked or became free for it. */
  taken?(target: Target, request: RoutingRequest): void
  /** Called once for every target that was taken, when its lease is settled. `request`: the same object. */
  settled?(target: Target, outcome: Outcome, request: RoutingRequest): void
  /** Called after a reload with the model's targets; state of others can be discarded. */
  retain?(targets: readonly Target[]): void
}

/**
 * Picks a target that others may be using too. One instance serves one model, so state kept in it is that model's own.
 * `pick` is synchronous: nothing may happen between the choice and its reservation.
 */
export interface SharingInstance extends Settling {
  /**
   * One of `candidates`, which is never empty and keeps the order of the configuration. It may be a part of the
   * model's targets: those that failed this request or are down are omitted. Every pick is used.
   */
  pick(candidates: readonly TargetSignals[], request: RoutingRequest): TargetSignals
  /** All of `candidates`, best first, without effect: for targets with limited concurrency. */
  rank?(candidates: readonly TargetSignals[], request: RoutingRequest): readonly TargetSignals[]
  /** What `pick` would return now, without effect; absent: the first of `rank`, if implemented. */
  preview?(candidates: readonly TargetSignals[], request: RoutingRequest): TargetSignals
  /** How good each candidate is for the request, in the strategy's own measure: more is better. Without effect. */
  scores?(candidates: readonly TargetSignals[], request: RoutingRequest): readonly number[]
  /** For strategies whose weights can be changed while running. */
  readonly weights?: WeightControl
}

/** Orders free targets; each is then held exclusively by one request until it ends. */
export interface ExclusiveInstance extends Settling {
  /** All of `candidates`, the preferred one first. Synchronous, and without effect: it is asked again for each try. */
  order(candidates: readonly TargetSignals[], request: RoutingRequest): readonly TargetSignals[]
}

/** The weights of one model's targets, by target id, which can be changed while running. */
export interface WeightControl {
  /** Replaces the configured weight, clamped to 0 to 1, from the next pick on. NaN is a RangeError. */
  set(targetId: string, weight: number): void
  /** Back to the configured weight. */
  reset(targetId: string): void
  /** The weight set last; undefined if the configured weight applies. */
  get(targetId: string): number | undefined
}

export interface SharingStrategy {
  readonly name: string
  /** It uses `weight` of the signals, otherwise the target's, so that operators can change weights at runtime. */
  readonly usesWeights?: true
  readonly exclusive?: never
  readonly affinity?: never
  create(context: StrategyContext): SharingInstance
}

export interface ExclusiveStrategy {
  readonly name: string
  readonly exclusive: true
  /** The lease store prefers the host that has the model loaded, in one step with taking the lease. */
  readonly affinity?: true
  create(context: StrategyContext): ExclusiveInstance
}

export type StrategyInstance = SharingInstance | ExclusiveInstance
export type Strategy = SharingStrategy | ExclusiveStrategy
