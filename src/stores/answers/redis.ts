import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import type { ScriptLink } from '../redis/client.ts'
import type { RedisAddress } from '../redis/connection.ts'
import { RedisHealth, type StoreLog } from '../redis/health.ts'
import { redisKeys } from '../redis/keys.ts'
import { AnswerSeal } from './sealed.ts'
import type { AnswerFilter, AnswerKey, AnswerStore, KeepOptions } from './store.ts'

export interface RedisAnswersOptions {
  address: RedisAddress
  secret: string
  /** Monotonic milliseconds. */
  now: () => number
  log: StoreLog
}

/** Responses may have megabytes; the caller limits the wait, in milliseconds. */
const commandTimeoutMs = 1_000
/** How long the first use waits for a connection, in milliseconds. */
const connectWaitMs = 500
const removedAtOnce = 500
const namesAtOnce = 5_000
/** Maximum age of an entry in milliseconds, the longest `ttl` of a cache: older ones have expired in Redis. */
const longestTtlMs = 30 * 24 * 3_600_000

/**
 * Encrypted responses shared by all routers with one Redis; names of models and clients are not readable there either. Redis
 * limits them by their time to live and by its own `maxmemory`. Rejects with StoreDownError while Redis does not respond.
 */
export class RedisAnswers implements AnswerStore {
  readonly #options: RedisAnswersOptions
  readonly #seal: AnswerSeal
  readonly #health: RedisHealth
  #link: Promise<ScriptLink<never>> | undefined
  #isClosed = false
  #emptiedAt = Number.NEGATIVE_INFINITY

  constructor(options: RedisAnswersOptions) {
    this.#options = options
    this.#seal = new AnswerSeal(options.secret)
    this.#health = new RedisHealth(
      options.now,
      options.log,
      'answers are asked for, not taken from the cache',
    )
  }

  async find(key: AnswerKey): Promise<string | undefined> {
    const name = this.#nameOf(key)
    const { commands } = await this.#open()
    const sealed = await this.#health.run(() => commands.getBuffer(name))
    return sealed ? this.#seal.open(sealed, name) : undefined
  }

  async keep(key: AnswerKey, answer: string, { ttlMs, askedAt }: KeepOptions): Promise<void> {
    if (askedAt <= this.#emptiedAt) return
    const name = this.#nameOf(key)
    const { commands } = await this.#open()
    const sealed = this.#seal.seal(answer, name)
    const now = Date.now()
    await this.#health.run(() =>
      Promise.all([
        commands.set(name, sealed, 'PX', Math.ceil(ttlMs)),
        commands.zadd(redisKeys.answers, now + ttlMs, name),
        commands.zremrangebyscore(redisKeys.answers, '-inf', now),
        commands.pexpire(redisKeys.answers, longestTtlMs),
      ]),
    )
  }

  async remove({ model, client }: AnswerFilter): Promise<number> {
    this.#emptiedAt = Date.now()
    const { commands } = await this.#open()
    const models = model === undefined ? undefined : this.#hidden(model)
    const clients = client === undefined ? undefined : this.#hidden(client)
    const isMeant = (name: string): boolean => {
      const [of, by] = name.split(':').slice(-3)
      return (models ?? of) === of && (clients ?? by) === by
    }
    const meant = (await this.#names()).filter(isMeant)
    let removed = 0
    for (let at = 0; at < meant.length; at += removedAtOnce) {
      const some = meant.slice(at, at + removedAtOnce)
      // One at a time: in a cluster they may be in different slots.
      const counts = await this.#health.run(() => Promise.all(some.map((name) => commands.del(name))))
      await this.#health.run(() => commands.zrem(redisKeys.answers, ...some))
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
      const some = await this.#health.run(() =>
        commands.zrange(redisKeys.answers, from, `${from + namesAtOnce - 1}`),
      )
      all.push(...some)
      if (some.length < namesAtOnce) return all
    }
  }

  #nameOf({ model, client, digest }: AnswerKey): string {
    return redisKeys.answer(this.#hidden(model), this.#hidden(client), digest)
  }

  #hidden(name: string): string {
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
