import type { Usage } from './chat.ts'
import type { EngineSignals } from './engine-signals.ts'
import type { Target } from './target.ts'

/** What is known of a target at this moment. Kept by the balancer; strategies and the status page read it. */
export interface TargetSignals {
  readonly target: Target
  /** Its weight, where an operator has set another one than is configured. */
  readonly weight?: number | undefined
  /** Requests this target was picked for since the start. */
  readonly uses: number
  /** Picked and not settled yet. */
  readonly inFlight: number
  /** Moving average of the time to the first content, in ms; undefined before the first. Failures leave it as it is. */
  readonly firstContentMs: number | undefined
  /** Moving average of the time per token after the first content, in ms; undefined before the first. */
  readonly perTokenMs: number | undefined
  /** Moving average of failures among the settled requests, 0 to 1; a client that leaves is none. */
  readonly failureRate: number
  /** When the target was last added or came back from a failure, on the clock of `StrategyContext.now`. */
  readonly returnedAt: number
  /** What its engine said at the last poll; absent: unknown. Concerns the whole server. */
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
  /** The conversation that the client says this is part of; undefined where it names none. */
  readonly session: string | undefined
  /**
   * Of the prompt's beginnings, shortest first: tools, system prompt, messages, in this order wherever they are in the
   * body. Empty where the router does not know the form of the request.
   */
  readonly prefixKeys: readonly PrefixKey[]
  /** What else the client groups its requests by (`prompt_cache_key`, `user`); undefined where it does not. */
  readonly group: string | undefined
  /** Estimated tokens of the prompt; 0 where nothing is known of it. */
  readonly promptTokens: number
  /** Id of the client's key; its address where no key is required. */
  readonly client: string
  readonly priority: Priority
  /** Whether it wants a canary; undefined: the weights decide. */
  readonly canary?: boolean | undefined
  /** The `session` of a request that continues this one's answer; undefined until the answer has told, or where there is none. */
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
  /** Token counts that the target reported; undefined where it reported none. */
  usage?: Usage | undefined
}

/** Why a target was picked, in a few words for the log, such as `least loaded`. A function is called only if somebody reads it. */
export type PickReason = string | (() => string)

interface Settling {
  /**
   * Why `target` was the choice of the `pick` or `order` just before, whose numbers it may still hold: called right after it and
   * before `taken`. Absent: the name of the strategy is the reason.
   */
  reason?(target: Target, request: RoutingRequest): PickReason
  /** Called once for every target that a request gets, right after it was picked or became free for it. */
  taken?(target: Target, request: RoutingRequest): void
  /** Called once for every target that was taken, when its lease is settled. `request`: the same object. */
  settled?(target: Target, outcome: Outcome, request: RoutingRequest): void
  /** From now on the model has these targets: what is kept of others can be forgotten. Called after a reload. */
  retain?(targets: readonly Target[]): void
}

/**
 * Picks a target that others may be using too. One instance serves one model, so state kept in it is that model's own.
 * `pick` is synchronous: nothing may happen between the choice and its reservation.
 */
export interface SharingInstance extends Settling {
  /**
   * One of `candidates`, which is never empty and keeps the order of the configuration. It may be a part of the
   * model's targets: those that failed this request, or are down, are left out. Every pick is carried out.
   */
  pick(candidates: readonly TargetSignals[], request: RoutingRequest): TargetSignals
  /** All of `candidates`, the best one first, without effect: for targets that take one request or a few at a time. */
  rank?(candidates: readonly TargetSignals[], request: RoutingRequest): readonly TargetSignals[]
  /** What `pick` would return now, without effect; absent: the first of `rank`, where there is one. */
  preview?(candidates: readonly TargetSignals[], request: RoutingRequest): TargetSignals
  /** How good each candidate is for the request, in the strategy's own measure: more is better. Without effect. */
  scores?(candidates: readonly TargetSignals[], request: RoutingRequest): readonly number[]
  /** For strategies whose weights can be changed while running. */
  readonly weights?: WeightControl
}

/** Says in which order free targets are taken; each is then one request's alone until that ends. */
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
  /** What was last set; undefined where the configured weight holds. */
  get(targetId: string): number | undefined
}

export interface SharingStrategy {
  readonly name: string
  /** It goes by `weight` of the signals, else that of the target, so that operators can change the weights of its models while running. */
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
