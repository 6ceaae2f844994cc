import { once } from 'node:events'
import type { ScriptLink, ScriptLinkOptions } from './client.ts'
import type { RedisAddress } from './connection.ts'
import type { RedisHealth } from './health.ts'

export interface LazyScriptsOptions<Step extends string> extends ScriptLinkOptions {
  address: RedisAddress
  scripts: readonly Step[]
  /** Receives each failure and each new connection. */
  health: RedisHealth
}

/** How long the first use waits for a connection, in milliseconds. */
const connectWaitMs = 1_000

/** Scripts over a connection that is opened on first use, so that a router that needs none does not load the Redis client. */
export class LazyScripts<Step extends string> {
  readonly #options: LazyScriptsOptions<Step>
  #link: Promise<ScriptLink<Step>> | undefined
  #closed = false

  constructor(options: LazyScriptsOptions<Step>) {
    this.#options = options
  }

  /** Rejects with StoreDownError while Redis does not respond. */
  async run(step: Step, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    this.#link ??= this.#connect()
    const link = await this.#link
    return this.#options.health.run(() => link.run(step, keys, args))
  }

  async close(): Promise<void> {
    this.#closed = true
    const link = await this.#link
    link?.close()
  }

  async #connect(): Promise<ScriptLink<Step>> {
    const { address, scripts, health, ...options } = this.#options
    const { connectScripts } = await import('./client.ts')
    const link = connectScripts(address, scripts, options)
    link.commands.on('error', (error) => health.failed(error))
    link.commands.on('close', () => {
      if (!this.#closed) health.failed('the connection is closed')
    })
    link.commands.on('ready', () => health.connected())
    try {
      await once(link.commands, 'ready', { signal: AbortSignal.timeout(connectWaitMs) })
    } catch (error) {
      health.failed(error)
    }
    return link
  }
}
