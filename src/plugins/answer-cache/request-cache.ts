import type { FastifyReply, FastifyRequest } from 'fastify'
import { bypassReason } from '../../processors/cache/bypass.ts'
import { type CacheWish, cacheWish } from '../../processors/cache/cache-control.ts'
import { type KeptAnswer, keptAnswer } from '../../processors/cache/kept-answer.ts'
import type { ChatClient } from '../../relay/answer/client-stream.ts'
import type { CacheOutcome } from '../../relay/exchange.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import { answerChat } from '../../relay/run/chat.ts'
import type { RelayServices } from '../../relay/services.ts'
import { asRouterError } from '../../sdk/errors.ts'
import type { AnswerKey, AnswerStore } from '../../stores/answers/store.ts'
import { Flight } from './flight.ts'
import { recordingClient } from './recording-client.ts'
import { fitsForm, replay } from './replay.ts'
import type { CacheRule } from './rules.ts'

export interface CacheSurroundings {
  readonly rule: CacheRule
  readonly store: AnswerStore
  /** Answers that are being made in this process, by digest. */
  readonly flights: Map<string, Flight>
  keyOf(client: ClientRequest, services: RelayServices): AnswerKey
  /** The store could not be reached, or not in time. */
  failed(error: unknown): void
}

const header = 'x-llm-router-cache'

/** The cache for one request. */
export class RequestCache {
  readonly #around: CacheSurroundings
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply

  constructor(around: CacheSurroundings, request: FastifyRequest, reply: FastifyReply) {
    this.#around = around
    this.#request = request
    this.#reply = reply
  }

  /**
   * Answers a chat whose contents have been processed: from the cache, or by the model. `end`: where the answer goes, a kept one
   * like a fresh one. Throws as `answerChat` does.
   */
  async answer(client: ClientRequest, end: ChatClient, services: RelayServices): Promise<void> {
    const { flights } = this.#around
    const { exchange, headers } = this.#request
    const wish = cacheWish(headers['cache-control'])
    if (wish.noStore || this.#bypassed(client) !== undefined) {
      this.#note('bypass')
      return answerChat(client, end, services)
    }
    const key = this.#around.keyOf(client, services)
    if (wish.noCache || wish.maxAgeMs === 0) {
      this.#note('miss')
      return this.#ask(client, end, services, { key })
    }
    const kept = await exchange.steps.outside(this.#find(key, wish))
    if (kept && fitsForm(kept, client)) return this.#hit(kept, client, end)
    const running = flights.get(key.digest)
    const shared = running && (await exchange.steps.outside(running.follow(exchange.signal)))
    if (shared && fitsForm(shared, client)) return this.#hit(shared, client, end)
    this.#note('miss')
    // Who has followed in vain asks for itself, so that no failure is passed from one to the next.
    if (running || flights.has(key.digest)) return this.#ask(client, end, services, { key })
    const flight = new Flight(services.signal ?? exchange.signal)
    flights.set(key.digest, flight)
    try {
      await this.#ask(client, end, { ...services, signal: flight.signal }, { key, flight })
    } finally {
      flight.settle(undefined)
      flights.delete(key.digest)
    }
    if (exchange.signal.aborted) throw asRouterError(exchange.signal.reason)
  }

  #bypassed({ outline, remembers, only }: ClientRequest): string | undefined {
    if (remembers || only !== undefined) return 'previous_response_id'
    // What was to be masked and passed unmasked must not be given to anybody again.
    if (this.#request.exchange.processed?.steps.some(({ outcome }) => outcome === 'failed_open'))
      return 'processor'
    return bypassReason(outline, this.#around.rule)
  }

  #hit(answer: KeptAnswer, client: ClientRequest, end: ChatClient): void {
    const { exchange, limitUse } = this.#request
    this.#note('hit')
    const { counts } = this.#around.rule
    if (counts === 'tokens') exchange.addUsage(answer.usage)
    if (counts === 'nothing') limitUse?.refuse()
    for (const [field, why] of answer.dropped ?? []) exchange.drop(field, why)
    replay(answer, client, end, exchange)
  }

  async #ask(
    client: ClientRequest,
    end: ChatClient,
    services: RelayServices,
    { key, flight }: { key: AnswerKey; flight?: Flight },
  ): Promise<void> {
    const { rule } = this.#around
    const { exchange } = services
    const askedAt = Date.now()
    const recording = recordingClient(end, {
      ...{ dialect: client.dialect, maxBytes: rule.maxEntryBytes, tools: rule.tools, flight },
      isGone: () => exchange.signal.aborted && flight !== undefined,
      keep: (said) => {
        // A fallback model has answered, or the answer has broken off.
        if (exchange.answeringModel !== undefined || (exchange.error && !exchange.signal.aborted)) return
        // In streams of some dialects the counts are estimates.
        const usage = exchange.usage ?? said.usage
        const dropped = [...exchange.dropped]
        const answer = { at: Date.now(), ...said, ...(usage && { usage }), ...(dropped[0] && { dropped }) }
        const json = JSON.stringify(answer)
        if (Buffer.byteLength(json) > rule.maxEntryBytes) return
        // Whoever asks next finds it: what a store is asked for it does in that order.
        void this.#keep(key, json, askedAt)
        flight?.settle(answer)
      },
    })
    await answerChat(client, recording, services)
  }

  async #find(key: AnswerKey, { maxAgeMs }: CacheWish): Promise<KeptAnswer | undefined> {
    const { store, rule, failed } = this.#around
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error('the cache did not answer in time')), rule.timeoutMs)
    })
    try {
      const json = await Promise.race([store.find(key), late])
      const answer = json === undefined ? undefined : keptAnswer(json)
      return answer && Date.now() - answer.at < maxAgeMs ? answer : undefined
    } catch (error) {
      failed(error)
      return undefined
    } finally {
      clearTimeout(timer)
    }
  }

  async #keep(key: AnswerKey, json: string, askedAt: number): Promise<void> {
    const { store, rule, failed } = this.#around
    try {
      await store.keep(key, json, { ttlMs: rule.ttlMs, askedAt })
    } catch (error) {
      failed(error)
    }
  }

  #note(outcome: CacheOutcome): void {
    this.#request.exchange.cache = outcome
    this.#reply.header(header, outcome)
  }
}
