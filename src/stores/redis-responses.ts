import { once } from 'node:events'
import type { ResponseStore, StoredResponse } from '../core/response-store.ts'
import { connectScripts, type RedisAddress, type ScriptLink } from './redis-client.ts'
import { RedisHealth, type StoreLog } from './redis-health.ts'
import { redisKeys } from './redis-keys.ts'
import type { ResponseBounds } from './response-table.ts'

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
/** An answer may be megabytes, and its client waits no longer than this for it to be kept, in milliseconds. */
const commandTimeoutMs = 1_000
/** The first use waits this long for a connection, in milliseconds. */
const connectWaitMs = 1_000

/** Answers that all routers with one Redis share. Rejects with StoreDownError while Redis does not answer. */
export class RedisResponses implements ResponseStore {
  readonly #options: RedisResponsesOptions
  readonly #health: RedisHealth
  #link: Promise<ScriptLink<Step>> | undefined
  #closed = false

  constructor(options: RedisResponsesOptions) {
    this.#options = options
    this.#health = new RedisHealth(options.now, options.log, 'answers are kept in the process')
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

  async close(): Promise<void> {
    this.#closed = true
    const link = await this.#link
    link?.close()
  }

  async #run(step: Step, args: readonly (string | number)[]): Promise<unknown> {
    this.#link ??= this.#connect()
    const link = await this.#link
    return this.#health.run(() => link.run(step, keys, args))
  }

  /** At the first use: a router that no client asks for such answers needs no connection. */
  async #connect(): Promise<ScriptLink<Step>> {
    const link = connectScripts(this.#options.address, steps, commandTimeoutMs)
    link.commands.on('error', (error) => this.#health.failed(error))
    link.commands.on('close', () => {
      if (!this.#closed) this.#health.failed('the connection is closed')
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
