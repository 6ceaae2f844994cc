import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import type { ScriptLink } from '../redis/client.ts'
import type { RedisAddress } from '../redis/connection.ts'
import { RedisHealth } from '../redis/health.ts'
import { redisKeys } from '../redis/keys.ts'
import type { StoreLog } from '../store.ts'
import { AnswerSeal } from './answer-seal.ts'
import { type AnswerCache, type AnswerFilter, type AnswerKey, answerClock, type PutOptions } from './store.ts'

export interface RedisAnswersOptions {
  address: RedisAddress
  secret: string
  /** Monotonic milliseconds. */
  now: () => number
  log: StoreLog
}

/** Timeout for commands in milliseconds, long enough for responses of megabytes; callers may wait for less. */
const commandTimeoutMs = 1_000
/** How long the first use waits for a connection, in milliseconds. */
const connectWaitMs = 500
const removalsPerBatch = 500
const namesPerPage = 5_000
/** Maximum `ttl` of a cache, in milliseconds: older entries have expired in Redis. */
const maxTtlMs = 30 * 24 * 3_600_000

/**
 * Encrypted responses shared by all routers on one Redis. Names of models and clients are hashed. Redis limits them by their
 * time to live and by its own `maxmemory`. Rejects with StoreDownError while Redis does not respond.
 */
export class RedisAnswers implements AnswerCache {
  readonly #options: RedisAnswersOptions
  readonly #seal: AnswerSeal
  readonly #health: RedisHealth
  #link: Promise<ScriptLink<never>> | undefined
  #isClosed = false
  #lastRemovalAt = Number.NEGATIVE_INFINITY

  constructor(options: RedisAnswersOptions) {
    this.#options = options
    this.#seal = new AnswerSeal(options.secret)
    this.#health = new RedisHealth(options.now, options.log, 'the response cache is not used')
  }

  async find(key: AnswerKey): Promise<string | undefined> {
    const name = this.#nameOf(key)
    const { commands } = await this.#open()
    const sealed = await this.#health.run(() => commands.getBuffer(name))
    return sealed ? this.#seal.open(sealed, name) : undefined
  }

  async put(key: AnswerKey, answer: string, { ttlMs, requestedAt }: PutOptions): Promise<void> {
    if (requestedAt <= this.#lastRemovalAt) return
    const name = this.#nameOf(key)
    const { commands } = await this.#open()
    const sealed = this.#seal.seal(answer, name)
    const now = Date.now()
    await this.#health.run(() =>
      Promise.all([
        commands.set(name, sealed, 'PX', Math.ceil(ttlMs)),
        commands.zadd(redisKeys.answers, now + ttlMs, name),
        commands.zremrangebyscore(redisKeys.answers, '-inf', now),
        commands.pexpire(redisKeys.answers, maxTtlMs),
      ]),
    )
  }

  async remove({ model, client }: AnswerFilter): Promise<number> {
    this.#lastRemovalAt = answerClock()
    const { commands } = await this.#open()
    const modelHash = model === undefined ? undefined : this.#hashed(model)
    const clientHash = client === undefined ? undefined : this.#hashed(client)
    const isSelected = (name: string): boolean => {
      const [ofModel, ofClient] = name.split(':').slice(-3)
      return (modelHash ?? ofModel) === ofModel && (clientHash ?? ofClient) === ofClient
    }
    const selected = (await this.#names()).filter(isSelected)
    let removed = 0
    for (let at = 0; at < selected.length; at += removalsPerBatch) {
      const batch = selected.slice(at, at + removalsPerBatch)
      // One command per key, because in a cluster keys may be in different slots.
      const counts = await this.#health.run(() => Promise.all(batch.map((name) => commands.del(name))))
      await this.#health.run(() => commands.zrem(redisKeys.answers, ...batch))
      for (const count of counts) removed += Number(count)
    }
    return removed
  }

  sizes(): undefined {
    return undefined
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const link = await this.#link
    link?.close()
  }

  async #names(): Promise<string[]> {
    const { commands } = await this.#open()
    const all: string[] = []
    for (;;) {
      const from = all.length
      const page = await this.#health.run(() =>
        commands.zrange(redisKeys.answers, from, `${from + namesPerPage - 1}`),
      )
      all.push(...page)
      if (page.length < namesPerPage) return all
    }
  }

  #nameOf({ model, client, digest }: AnswerKey): string {
    return redisKeys.answer(this.#hashed(model), this.#hashed(client), digest)
  }

  #hashed(name: string): string {
    return createHmac('sha256', this.#options.secret).update(name).digest('base64url').slice(0, 22)
  }

  async #open(): Promise<ScriptLink<never>> {
    this.#link ??= this.#connect()
    return this.#link
  }

  async #connect(): Promise<ScriptLink<never>> {
    const { connectScripts } = await import('../redis/client.ts')
    const link = connectScripts(this.#options.address, [], { commandTimeoutMs })
    link.commands.on('error', (error) => this.#health.failed(error))
    link.commands.on('close', () => {
      if (!this.#isClosed) this.#health.failed('the connection is closed')
    })
    link.commands.on('ready', () => this.#health.connected())
    try {
      await once(link.commands, 'ready', { signal: AbortSignal.timeout(connectWaitMs) })
    } catch (error) {
      this.#health.failed(error)
    }
    return link
  }
}
