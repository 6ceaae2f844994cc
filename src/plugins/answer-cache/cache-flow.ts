import type { FastifyReply, FastifyRequest } from 'fastify'
import {
  type BypassReason,
  type CacheDirectives,
  readCacheDirectives,
} from '../../processors/cache/bypass.ts'
import { type CachedAnswer, parseCachedAnswer } from '../../processors/cache/cached-answer.ts'
import type { CacheOutcome } from '../../relay/exchange-record.ts'
import { asRouterError } from '../../sdk/errors.ts'
import { type AnswerCache, type AnswerKey, answerClock } from '../../stores/answer-cache/store.ts'
import { Flight } from './flight.ts'
import type { CacheRule } from './rules.ts'

export interface CacheContext {
  readonly rule: CacheRule
  readonly store: AnswerCache
  /** Single flight: requests in progress in this process, by cache key. */
  readonly flights: Map<string, Flight>
  /** The store was unavailable or too slow. */
  failed(error: unknown): void
}

/** How one kind of request uses the cache. */
export interface CacheJob<Given> {
  /** Why the request bypasses the cache; undefined if it does not. */
  readonly bypass: BypassReason | undefined
  key(): AnswerKey
  /** Whether an entry can be sent in the requested form. */
  fits(answer: CachedAnswer): boolean
  /** Sends an entry. */
  send(answer: CachedAnswer): Given
  /** Asks the model. Calls `keep` with a response that may be stored, before its end is sent. */
  requestModel(asked: { flight: Flight | undefined; keep: Keep }): Promise<Given>
}

/** Stores a response; undefined on a bypass. */
export type Keep = ((answer: Omit<CachedAnswer, 'at'>) => void) | undefined

const header = 'x-llm-router-cache'

/** The path of one request through the cache: a hit, a follower of an identical request in flight, or a miss. */
export class CacheFlow {
  readonly #context: CacheContext
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply

  constructor(context: CacheContext, request: FastifyRequest, reply: FastifyReply) {
    this.#context = context
    this.#request = request
    this.#reply = reply
  }

  /** `signal` cancels the request. */
  async run<Given>(job: CacheJob<Given>, signal: AbortSignal): Promise<Given> {
    const { flights } = this.#context
    const { exchange, headers } = this.#request
    const directives = readCacheDirectives(headers['cache-control'])
    if (directives.noStore || job.bypass !== undefined) {
      this.#setOutcome('bypass')
      return job.requestModel({ flight: undefined, keep: undefined })
    }
    const key = job.key()
    if (directives.noCache || directives.maxAgeMs === 0) return this.#requestModel(job, key)
    const cached = await exchange.steps.awaitExternal(this.#find(key, directives))
    if (cached && job.fits(cached)) return this.#hit(job, cached)
    const running = flights.get(key.digest)
    // A follower whose leader failed asks for itself and leads nobody, so that a failure does not cascade through the followers.
    if (running) {
      const shared = await exchange.steps.awaitExternal(running.follow(signal))
      return shared && job.fits(shared) ? this.#hit(job, shared) : this.#requestModel(job, key)
    }
    const flight = new Flight(signal)
    flights.set(key.digest, flight)
    try {
      const given = await this.#requestModel(job, key, flight)
      if (signal.aborted) throw asRouterError(signal.reason)
      return given
    } finally {
      flight.settle(undefined)
      flights.delete(key.digest)
    }
  }

  #hit<Given>(job: CacheJob<Given>, answer: CachedAnswer): Given {
    const { exchange, limitUse } = this.#request
    const { counts } = this.#context.rule
    this.#setOutcome('hit')
    if (counts === 'tokens') exchange.addUsage(answer.usage)
    if (counts === 'nothing') limitUse?.refuse()
    for (const [field, why] of answer.dropped ?? []) exchange.drop(field, why)
    return job.send(answer)
  }

  #requestModel<Given>(job: CacheJob<Given>, key: AnswerKey, flight?: Flight): Promise<Given> {
    const { exchange } = this.#request
    const { maxEntryBytes } = this.#context.rule
    const requestedAt = answerClock()
    this.#setOutcome('miss')
    const keep: Keep = (given) => {
      // Responses of fallback models and incomplete responses are not stored.
      if (exchange.answeringModel !== undefined) return
      if (exchange.error && exchange.error.kind !== 'client_gone') return
      const dropped = [...exchange.dropped]
      const answer: CachedAnswer = { at: Date.now(), ...given, ...(dropped.length > 0 ? { dropped } : {}) }
      const json = JSON.stringify(answer)
      if (Buffer.byteLength(json) > maxEntryBytes) return
      // Not awaited: a store executes its operations in order, so the next request finds the entry.
      void this.#keep(key, json, requestedAt)
      flight?.settle(answer)
    }
    return job.requestModel({ flight, keep })
  }

  async #find(key: AnswerKey, { maxAgeMs }: CacheDirectives): Promise<CachedAnswer | undefined> {
    const { store, rule, failed } = this.#context
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error('the cache store timed out')), rule.timeoutMs)
    })
    try {
      const json = await Promise.race([store.find(key), late])
      const answer = json === undefined ? undefined : parseCachedAnswer(json)
      return answer && Date.now() - answer.at < maxAgeMs ? answer : undefined
    } catch (error) {
      failed(error)
      return undefined
    } finally {
      clearTimeout(timer)
    }
  }

  async #keep(key: AnswerKey, json: string, askedAt: number): Promise<void> {
    const { store, rule, failed } = this.#context
    try {
      await store.put(key, json, { ttlMs: rule.ttlMs, requestedAt: askedAt })
    } catch (error) {
      failed(error)
    }
  }

  #setOutcome(outcome: CacheOutcome): void {
    this.#request.exchange.cache = outcome
    this.#reply.header(header, outcome)
  }
}
