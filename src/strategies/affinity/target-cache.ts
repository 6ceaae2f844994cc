import { movingAverage } from '../../lib/numbers.ts'
import type { Usage } from '../../sdk/chat.ts'
import type { PrefixKey, RoutingRequest, TargetSignals } from '../../sdk/strategy.ts'
import { CachedPrefixes, type KnownPrefix } from './cached-prefixes.ts'

/** Time constant of the decay of recently assigned work, in milliseconds. */
const recentMs = 30_000
/** Assumed size of the prefix cache in tokens, if the engine does not report it. */
const assumedTokens = 256 * 1024
/** Factor by which the cache is assumed to be larger: forgetting too early costs more than too late. */
const capacityMargin = 1.25
/** Smaller differences between expected and reported cached tokens are ignored: engines cache whole blocks only. */
const smallTokens = 512

/** A running request, with estimates from when its target was picked. */
export interface RunningRequest {
  /** Uncached prompt tokens and expected completion tokens. */
  readonly work: number
  readonly expected: KnownPrefix
  /** Its number in the target's {@link CachedPrefixes}. */
  readonly request: number
}

/** Estimated prefix cache and work of one target. */
export class TargetCache {
  readonly #prefixes = new CachedPrefixes()
  readonly #running = new Map<RoutingRequest, RunningRequest>()
  /** Actual prompt tokens per estimated token. */
  #scale = 1
  #hasReported = false
  #returnedAt: number | undefined
  #startedAt: number | undefined
  #kvTokens: number | undefined
  /** Work of all running requests, in tokens. */
  work = 0
  #recent = 0
  #recentAt = 0

  /** Recently assigned work in tokens, decaying exponentially. `now`: monotonic milliseconds. */
  recent(now: number): number {
    this.#recent *= Math.exp((this.#recentAt - now) / recentMs)
    this.#recentAt = now
    return this.#recent
  }

  /** Clears the cache if the engine must have restarted. */
  refresh({ returnedAt, engine }: TargetSignals): void {
    const { startedAt, kvTokens } = engine ?? {}
    const hasReturned = this.#returnedAt !== undefined && returnedAt > this.#returnedAt
    const hasRestarted =
      startedAt !== undefined && this.#startedAt !== undefined && startedAt !== this.#startedAt
    this.#returnedAt = returnedAt
    this.#startedAt = startedAt ?? this.#startedAt
    this.#kvTokens = kvTokens ?? this.#kvTokens
    if (hasReturned || hasRestarted) this.#prefixes.clear()
  }

  longest(keys: readonly PrefixKey[]): KnownPrefix {
    return this.#prefixes.longest(keys)
  }

  hasSession(session: number): boolean {
    return this.#prefixes.hasSession(session)
  }

  addSession(session: number): void {
    this.#prefixes.addSession(session)
  }

  /** Records that the target was picked for a request. */
  take(
    request: RoutingRequest,
    options: { now: number; work: number; maxEntries: number; session: number | undefined },
  ): void {
    const { prefixKeys } = request
    const expected = this.#prefixes.longest(prefixKeys)
    const { work, now } = options
    this.#recent = this.recent(now) + work
    this.#running.set(request, { work, expected, request: this.#prefixes.add(prefixKeys, options.session) })
    this.work += work
    this.#prefixes.limit((capacityMargin * this.#maxTokens) / this.#scale, options.maxEntries)
  }

  /** Records the end of a request and learns from the usage that the engine reported. */
  settle(request: RoutingRequest, usage: Usage | undefined): void {
    const running = this.#running.get(request)
    if (!running) return
    this.#running.delete(request)
    this.work = this.#running.size === 0 ? 0 : this.work - running.work
    if (!usage) return
    const { promptTokens, cachedTokens } = usage
    if (promptTokens > 0 && request.promptTokens > 0)
      this.#scale = movingAverage(this.#scale, clamped(promptTokens / request.promptTokens))
    if (cachedTokens !== undefined) this.#compare(running, cachedTokens)
  }

  get #maxTokens(): number {
    return this.#kvTokens ?? assumedTokens
  }

  /** Evicts prefixes that the engine turned out not to have. An engine that never reported a hit may not report hits at all. */
  #compare({ expected }: RunningRequest, cachedTokens: number): void {
    this.#hasReported ||= cachedTokens > 0
    if (!this.#hasReported) return
    const tokens = expected.tokens * this.#scale
    if (tokens < smallTokens || cachedTokens >= tokens / 2 || this.#isRunning(expected.usedBy)) return
    this.#prefixes.forgetUpTo(expected.usedBy)
  }

  /** Whether the request with this number, or an earlier one, may still be in progress. */
  #isRunning(request: number): boolean {
    for (const running of this.#running.values()) if (running.request <= request) return true
    return false
  }
}

/** Limits outliers: the prompt of a continued response is longer than its request, and engines may miscount. */
function clamped(scale: number): number {
  return Math.min(4, Math.max(0.25, scale))
}
