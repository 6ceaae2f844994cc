import { formatCount, movingAverage } from '../lib/numbers.ts'
import { hashOfText } from '../lib/rolling-hash.ts'
import type { Outcome, PickReason, RoutingRequest, SharingStrategy, TargetSignals } from '../sdk/strategy.ts'
import type { Target } from '../sdk/target.ts'
import { type HashedRequest, HashTrust } from './affinity/hash-trust.ts'
import { Rendezvous } from './affinity/rendezvous.ts'
import { type SessionState, Sessions, sessionKey } from './affinity/sessions.ts'
import { TargetCache } from './affinity/target-cache.ts'
import { effectiveWeight, noCandidates, withWeight } from './draw.ts'

/**
 * Picks a target that has most of the prompt cached and little work. The cost of a target, in tokens, is the part of the prompt
 * that it has to compute plus shares of its current and recently assigned work. Among the cheapest targets, the session's last
 * one is preferred, then the one with the longest cached prefix, then the one that the prompt's beginning hashes to (rendezvous
 * hashing, on which independent routers agree). bench/fleet shows the effect of each part.
 */
export const cacheAware: SharingStrategy = {
  name: 'cache_aware',
  usesWeights: true,
  create({ now }) {
    const state = new Affinity(now)
    return {
      pick: (candidates, request) => state.ranked(candidates, request)[0] ?? noCandidates(),
      rank: (candidates, request) => state.ranked(candidates, request),
      scores: (candidates, request) => state.scores(candidates, request),
      reason: (target, request) => state.reason(target, request),
      taken: (target, request) => state.taken(target, request),
      settled: (target, outcome, request) => state.settled(target, outcome, request),
      retain: (targets) => state.retain(targets),
    }
  },
}

/** Share of a target's current work that delays a new request: engines process requests concurrently. */
const runningShare = 0.25
/** Share of recently assigned work that a target can expect again, because conversations return to their cache. */
const recentShare = 0.2
/** Costs that differ by fewer tokens are equal: estimates are not more accurate. */
const equalTokens = 64
/** Initial average length of a response, in tokens. */
const assumedAnswer = 200
/** Length of a long response relative to the average. */
const longAnswer = 1.5
/** Maximum cached prefixes per model, divided among its targets. */
const maxEntries = 200_000
/** Weight of a new observation in the moving averages. */
const averageWeight = 0.05

class Affinity {
  readonly #caches = new Map<string, TargetCache>()
  readonly #sessions = new Sessions()
  readonly #rendezvous = new Rendezvous()
  /** Moving averages over the model's requests, in tokens. */
  #answerTokens = assumedAnswer
  #workTokens = 1_000
  #targets = 1
  readonly #trust = new HashTrust()
  readonly #hashedRequests = new WeakMap<RoutingRequest, HashedRequest>()
  /** The ranking for the latest request, kept for `reason` and `taken`. */
  #ranking: Ranking | undefined
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  /** Returns the candidates, best first. */
  ranked(candidates: readonly TargetSignals[], request: RoutingRequest): readonly TargetSignals[] {
    this.#targets = Math.max(this.#targets, candidates.length)
    if (candidates.length < 2) return candidates
    const session = keyOf(request)
    const last = session === undefined ? undefined : this.#sessions.of(session)
    const seed = seedOf(request)
    const usable = withWeight(candidates)
    const scored = usable.map((signals) => this.#score(signals, request, { session, last, seed }))
    const hashed = scored.reduce((best, next) => (next.rank > best.rank ? next : best))
    const known = Math.max(...scored.map(({ cached }) => cached))
    const unknown = request.promptTokens - known
    hashed.cost -= (this.#trust.share * unknown) / effectiveWeight(hashed.signals)
    // The target of the conversation's previous turn has also cached its own response, which this router has not counted.
    const answer = hashed.cached > 0 ? Math.min(unknown, longAnswer * this.#answerTokens) : 0
    const hashedRequest = { known: known + answer, unknown: unknown - answer }
    this.#ranking = { request, scores: scored, hashed, hashedRequest }
    const lowestCost = Math.min(...scored.map(({ cost }) => cost))
    scored.sort((a, b) => {
      const [first, second] = [a.cost - lowestCost < equalTokens, b.cost - lowestCost < equalTokens]
      if (first !== second) return first ? -1 : 1
      if (!first) return a.cost - b.cost
      return Number(b.isLast) - Number(a.isLast) || b.cached - a.cached || b.rank - a.rank
    })
    return scored.map(({ signals }) => signals)
  }

  /** Returns the negated costs of the candidates in tokens, so that higher is better. */
  scores(candidates: readonly TargetSignals[], request: RoutingRequest): readonly number[] {
    this.ranked(candidates, request)
    const { scores } = this.#ranking?.request === request ? this.#ranking : noRanking
    return candidates.map((signals) => -(scores.find((score) => score.signals === signals)?.cost ?? 0))
  }

  reason({ id }: Target, request: RoutingRequest): PickReason {
    const { promptTokens, prefixKeys } = request
    const { scores, hashed } = this.#ranking?.request === request ? this.#ranking : noRanking
    const known = scores.find(({ signals }) => signals.target.id === id)
    const cached = known?.cached ?? this.#caches.get(id)?.longest(prefixKeys).tokens ?? 0
    const isHashed = known !== undefined && known === hashed
    return () => {
      if (cached > 0) return `cache ${formatCount(cached)} of ${formatCount(promptTokens)} tokens`
      return isHashed ? 'least loaded, by hash' : 'least loaded'
    }
  }

  taken(target: Target, request: RoutingRequest): void {
    const cache = this.#cacheOf(target)
    const { prefixKeys, promptTokens } = request
    const session = keyOf(request)
    const { hashed, hashedRequest } = this.#ranking?.request === request ? this.#ranking : noRanking
    if (hashedRequest && hashed?.signals.target.id === target.id)
      this.#hashedRequests.set(request, hashedRequest)
    const known = cache.longest(prefixKeys).tokens
    const work = Math.max(0, promptTokens - known) + this.#answerTokens
    this.#workTokens = movingAverage(this.#workTokens, work, averageWeight)
    cache.take(request, {
      now: this.#now(),
      work,
      session,
      maxEntries: Math.max(1_000, maxEntries / this.#targets),
    })
    if (session === undefined) return
    const before = this.#sessions.of(session)
    const isContinued = before?.isContinued === true
    const tokens = isContinued ? promptTokens + before.tokens : promptTokens
    this.#sessions.set(session, { target: target.id, tokens, isContinued })
  }

  settled(target: Target, { usage, result }: Outcome, request: RoutingRequest): void {
    this.#caches.get(target.id)?.settle(request, usage)
    const hashedRequest = this.#hashedRequests.get(request)
    if (hashedRequest && usage?.cachedTokens !== undefined)
      this.#trust.learn(hashedRequest, usage.cachedTokens)
    if (usage) this.#answerTokens = movingAverage(this.#answerTokens, usage.completionTokens, averageWeight)
    const { answerId, client, promptTokens } = request
    if (answerId === undefined || result !== 'success') return
    const tokens = Math.max(promptTokens, usage?.promptTokens ?? 0) + (usage?.completionTokens ?? 0)
    const session = sessionKey(client, answerId)
    this.#caches.get(target.id)?.addSession(session)
    this.#sessions.set(session, { target: target.id, tokens, isContinued: true })
  }

  retain(targets: readonly Target[]): void {
    this.#targets = targets.length
    const ids = new Set(targets.map(({ id }) => id))
    for (const id of this.#caches.keys()) if (!ids.has(id)) this.#caches.delete(id)
  }

  #score(
    signals: TargetSignals,
    { prefixKeys, promptTokens }: RoutingRequest,
    {
      session = 0,
      last,
      seed,
    }: { session: number | undefined; last: SessionState | undefined; seed: number },
  ): Score {
    const { target, engine } = signals
    const cache = this.#cacheOf(target)
    cache.refresh(signals)
    const isLast = last?.target === target.id && cache.hasSession(session)
    const prefix = cache.longest(prefixKeys).tokens
    const cached = isLast ? Math.max(prefix, Math.min(last.tokens, promptTokens)) : prefix
    // The part of a continued session's prompt that precedes this request.
    const history = last?.isContinued && !isLast ? last.tokens : 0
    const running = cache.work + (engine?.others ?? 0) * this.#workTokens
    const load = runningShare * running + recentShare * cache.recent(this.#now())
    // A failed attempt doubles the cost of the request.
    const failing = signals.failureRate * (promptTokens + this.#workTokens)
    const cost = (promptTokens - cached + history + load + failing) / effectiveWeight(signals)
    return { signals, cost, isLast, cached, rank: this.#rendezvous.rank(seed, target) }
  }

  #cacheOf({ id }: Target): TargetCache {
    const known = this.#caches.get(id)
    if (known) return known
    const cache = new TargetCache()
    this.#caches.set(id, cache)
    return cache
  }
}

interface Ranking {
  request: RoutingRequest | undefined
  scores: readonly Score[]
  hashed: Score | undefined
  hashedRequest: HashedRequest | undefined
}

const noRanking: Ranking = {
  request: undefined,
  scores: [],
  hashed: undefined,
  hashedRequest: undefined,
}

interface Score {
  signals: TargetSignals
  cost: number
  isLast: boolean
  cached: number
  rank: number
}

function keyOf({ session, client }: RoutingRequest): number | undefined {
  return session === undefined ? undefined : sessionKey(client, session)
}

/**
 * The key that determines the target of an uncached prompt: the session or group, otherwise the first prefix, or the second one
 * if it is much longer: hashing a short system prompt shared by all conversations would send them all to one target.
 */
function seedOf({ session, group, prefixKeys, client }: RoutingRequest): number {
  const [first, second] = prefixKeys
  const text = session ?? group
  if (text !== undefined) return hashOfText(text)
  if (!first) return hashOfText(client)
  return second && second.tokens > 2 * first.tokens ? second.key : first.key
}
