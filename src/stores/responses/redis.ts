import type { RedisAddress } from '../redis/connection.ts'
import { RedisHealth, type StoreLog } from '../redis/health.ts'
import { redisKeys } from '../redis/keys.ts'
import { LazyScripts } from '../redis/scripts.ts'
import type { ResponseBounds } from './memory.ts'
import type { ResponseStore, StoredResponse } from './store.ts'

export interface RedisResponsesOptions extends ResponseBounds {
  address: RedisAddress
  /** Monotonic milliseconds. */
  now: () => number
  log: StoreLog
}

type Step = 'keep-response' | 'find-response' | 'remove-response'

const steps: readonly Step[] = ['keep-response', 'find-response', 'remove-response']
const keys = [
  redisKeys.responses,
  redisKeys.responsesByUse,
  redisKeys.responsesByExpiry,
  redisKeys.responsesBytes,
]
/** A response may be megabytes, and its client waits no longer than this for it to be stored, in milliseconds. */
const commandTimeoutMs = 1_000

/** Responses that all routers with one Redis share. Rejects with StoreDownError while Redis does not answer. */
export class RedisResponses implements ResponseStore {
  readonly #options: RedisResponsesOptions
  readonly #scripts: LazyScripts<Step>

  constructor(options: RedisResponsesOptions) {
    this.#options = options
    const health = new RedisHealth(options.now, options.log, 'responses are stored within each process')
    this.#scripts = new LazyScripts({
      address: options.address,
      steps,
      health,
      commandTimeoutMs,
      slot: 'responses',
    })
  }

  async find(id: string): Promise<StoredResponse | undefined> {
    const json = await this.#run('find-response', [id])
    return typeof json === 'string' ? JSON.parse(json) : undefined
  }

  async keep(id: string, stored: StoredResponse): Promise<void> {
    const { ttlMs, maxCount, maxBytes } = this.#options
    await this.#run('keep-response', [id, JSON.stringify(stored), ttlMs, maxCount, maxBytes])
  }

  async remove(id: string): Promise<boolean> {
    return (await this.#run('remove-response', [id])) === 1
  }

  close(): Promise<void> {
    return this.#scripts.close()
  }

  #run(step: Step, args: readonly (string | number)[]): Promise<unknown> {
    return this.#scripts.run(step, keys, args)
  }
}
