import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import type { Redis } from 'ioredis'
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

/** An answer may be megabytes; whoever asks for it bounds the wait, in milliseconds. */
const commandTimeoutMs = 1_000
/** The first use waits this long for a connection, in milliseconds. */
const connectWaitMs = 500
/** Keys that one step of a search looks at. */
const scanCount = 500

/**
 * Encrypted answers that all routers with one Redis share; names of models and clients are not readable there either. Redis bounds
 * them: by their time to live, and by its own `maxmemory`. Rejects with StoreDownError while Redis does not answer.
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
    await this.#health.run(() => commands.set(name, sealed, 'PX', Math.ceil(ttlMs)))
  }

  async remove({ model, client }: AnswerFilter): Promise<number> {
    this.#emptiedAt = Date.now()
    const { commands } = await this.#open()
    const part = (name: string | undefined): string => (name === undefined ? '*' : this.#hidden(name))
    const pattern = redisKeys.answer(part(model), part(client), '*')
    const nodes = 'nodes' in commands ? commands.nodes('master') : [commands]
    let removed = 0
    // One by one: in a cluster they may be in different slots.
    for (const node of nodes)
      for await (const names of this.#namesIn(node, pattern))
        for (const name of names) removed += await this.#health.run(() => commands.unlink(name))
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

  async *#namesIn(node: Redis, pattern: string): AsyncGenerator<string[]> {
    let cursor = '0'
    do {
      const from = cursor
      const [next, names] = await this.#health.run(() =>
        node.scan(from, 'MATCH', pattern, 'COUNT', scanCount),
      )
      yield names
      cursor = next
    } while (cursor !== '0')
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
