import type { Usage } from '../../sdk/chat.ts'
import type { PrefixKey, RoutingRequest, TargetSignals } from '../../sdk/strategy.ts'
import { CachedPrefixes, type KnownPrefix } from './cached-prefixes.ts'

/** How long assigned work counts, in milliseconds. */
const recentMs = 30_000
/** Assumed prefix cache in tokens, if the engine does not report it. */
const assumedTokens = 256 * 1024
/** Margin for evicted entries: forgetting too early costs more than too late. */
const patience = 1.25
/** Smaller differences between expected and reported cached tokens are ignored: engines cache whole blocks only. */
const smallTokens = 512
/** A new observation's weight in the moving averages. */
const newest = 0.2

/** A running request, as of when its target was picked. */
export interface Given {
  /** Tokens that the engine has to work for it, prompt and answer. */
  readonly work: number
  readonly expected: KnownPrefix
  /** Its number at the target. */
  readonly request: number
}

/** Known prefix cache and work of one target. */
export class TargetCache {
  readonly #prefixes = new CachedPrefixes()
  readonly #given = new Map<RoutingRequest, Given>()
  /** Real tokens per estimated one. */
  #scale = 1
  #hasReported = false
  #returnedAt: number | undefined
  #startedAt: number | undefined
  #kvTokens: number | undefined
  /** Tokens of work of all running requests. */
  work = 0
  #recent = 0
  #recentAt = 0

  /** Recently assigned tokens of work, decaying over about half a minute. `now`: monotonic milliseconds. */
  recent(now: number): number {
    this.#recent *= Math.exp((this.#recentAt - now) / recentMs)
    this.#recentAt = now
    return this.#recent
  }

  /** Forgets everything when the engine must have been restarted. */
  refresh({ returnedAt, engine }: TargetSignals): void {
    const { startedAt, kvTokens } = engine ?? {}
    const isBack = this.#returnedAt !== undefined && returnedAt > this.#returnedAt
    const isNew = startedAt !== undefined && this.#startedAt !== undefined && startedAt !== this.#startedAt
    this.#returnedAt = returnedAt
    this.#startedAt = startedAt ?? this.#startedAt
    this.#kvTokens = kvTokens ?? this.#kvTokens
    if (isBack || isNew) this.#prefixes.clear()
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

  take(
    request: RoutingRequest,
    given: { now: number; work: number; maxEntries: number; session: number | undefined },
  ): void {
    const { prefixKeys } = request
    const expected = this.#prefixes.longest(prefixKeys)
    const { work, now } = given
    this.#recent = this.recent(now) + work
    this.#given.set(request, { work, expected, request: this.#prefixes.add(prefixKeys, given.session) })
    this.work += work
    this.#prefixes.limit((patience * this.#maxTokens) / this.#scale, given.maxEntries)
  }

  /** Learns from the engine's report on the request. */
  settle(request: RoutingRequest, usage: Usage | undefined): void {
    const given = this.#given.get(request)
    if (!given) return
    this.#given.delete(request)
    this.work = this.#given.size === 0 ? 0 : this.work - given.work
    if (!usage) return
    const { promptTokens, cachedTokens } = usage
    if (promptTokens > 0 && request.promptTokens > 0)
      this.#scale += newest * (clamped(promptTokens / request.promptTokens) - this.#scale)
    if (cachedTokens !== undefined) this.#compare(given, cachedTokens)
  }

  get #maxTokens(): number {
    return this.#kvTokens ?? assumedTokens
  }

  /** Engines that never report a hit may not report any. */
  #compare({ expected }: Given, cachedTokens: number): void {
    this.#hasReported ||= cachedTokens > 0
    if (!this.#hasReported) return
    const tokens = expected.tokens * this.#scale
    if (tokens < smallTokens || cachedTokens >= tokens / 2 || this.#isRunning(expected.usedBy)) return
    this.#prefixes.forgetUpTo(expected.usedBy)
  }

  /** Whether that request may not have been computed yet. */
  #isRunning(request: number): boolean {
    for (const given of this.#given.values()) if (given.request <= request) return true
    return false
  }
}

/** A continued response has a longer prompt than its request shows, and an engine may count wrongly. */
function clamped(scale: number): number {
  return Math.min(4, Math.max(0.25, scale))
}
