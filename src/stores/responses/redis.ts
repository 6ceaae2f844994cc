import { setTimeout as delay } from 'node:timers/promises'
import type { RedisAddress } from '../redis/connection.ts'
import { RedisHealth } from '../redis/health.ts'
import { redisKeys } from '../redis/keys.ts'
import { LazyScripts } from '../redis/scripts.ts'
import type { StoreLog } from '../store.ts'
import type { ResponseBounds } from './memory.ts'
import { announcementMs, ownerOf, type ResponseStore, type StoredResponse, storedResponse } from './store.ts'

export interface RedisResponsesOptions extends ResponseBounds {
  address: RedisAddress
  /** Monotonic milliseconds. */
  now: () => number
  log: StoreLog
}

type Script = 'announce-response' | 'put-response' | 'find-response' | 'remove-response'

const scripts: readonly Script[] = ['announce-response', 'put-response', 'find-response', 'remove-response']
const keys = [
  redisKeys.responses,
  redisKeys.responsesByUse,
  redisKeys.responsesByExpiry,
  redisKeys.responsesBytes,
]
const ownerKeys = [redisKeys.responseCounts, redisKeys.responseSizes]
/** Maximum wait for an announced response, and delay of the first retry, in milliseconds. */
const pendingWaitMs = 1_500
const firstPollMs = 5
/** Result of the scripts for a response that is announced but not stored yet. */
const pending = -1
/** Timeout for commands in milliseconds, long enough for responses of megabytes. */
const commandTimeoutMs = 1_000

/** Responses shared by all routers on one Redis. Rejects with StoreDownError while Redis does not respond. */
export class RedisResponses implements ResponseStore {
  readonly #options: RedisResponsesOptions
  readonly #scripts: LazyScripts<Script>

  constructor(options: RedisResponsesOptions) {
    this.#options = options
    const health = new RedisHealth(options.now, options.log, 'responses are stored within each process')
    this.#scripts = new LazyScripts({
      address: options.address,
      scripts,
      health,
      commandTimeoutMs,
      slot: 'responses',
    })
  }

  async find(id: string): Promise<StoredResponse | undefined> {
    const json = await this.#runWhenStored('find-response', id)
    return typeof json === 'string' ? storedResponse(json) : undefined
  }

  async announce(id: string): Promise<void> {
    await this.#run('announce-response', id, [announcementMs])
  }

  async put(id: string, stored: StoredResponse): Promise<void> {
    const { ttlMs, maxCount, maxBytes } = this.#options
    await this.#run('put-response', id, [JSON.stringify(stored), ttlMs, maxCount, maxBytes])
  }

  async remove(id: string): Promise<boolean> {
    return (await this.#runWhenStored('remove-response', id)) === 1
  }

  close(): Promise<void> {
    return this.#scripts.close()
  }

  /**
   * Retries while the response is announced but not stored: the client's next request may arrive before the response is in
   * Redis.
   */
  async #runWhenStored(step: Script, id: string): Promise<unknown> {
    const { now } = this.#options
    const until = now() + pendingWaitMs
    for (let waitMs = firstPollMs; ; waitMs *= 2) {
      const reply = await this.#run(step, id, [])
      if (reply !== pending || now() > until) return reply
      await delay(waitMs)
    }
  }

  #run(step: Script, id: string, args: readonly (string | number)[]): Promise<unknown> {
    return this.#scripts.run(
      step,
      [...keys, redisKeys.responsePending(id), ...ownerKeys],
      [id, ownerOf(id), ...args],
    )
  }
}
