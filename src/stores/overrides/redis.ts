import type { RedisLink, ScriptLink } from '../redis/client.ts'
import { RedisHealth } from '../redis/health.ts'
import { overridesChannel, redisKeys } from '../redis/keys.ts'
import type { StoreLog } from '../store.ts'
import type { LocalOverrides } from './local.ts'
import {
  isExpired,
  keyOf,
  type Override,
  type OverrideStore,
  parseOverride,
  serializeOverride,
} from './store.ts'

export interface RedisOverridesOptions {
  link: ScriptLink<'override'> & Pick<RedisLink, 'subscriber'>
  /** Overrides of this host. */
  local: LocalOverrides
  log: StoreLog
  /** Called in one process of this host when an override of another router takes effect. */
  onLearned(override: Override): void
}

/** Interval of synchronization with Redis, because messages may be dropped. */
const syncMs = 5_000
const startMs = 1_000

/**
 * Shares the overrides of this host with other hosts, and keeps them across restarts. While Redis is unavailable, they apply to
 * this host only; once it is available again, the latest override of each property wins.
 */
export class RedisOverrides implements OverrideStore {
  readonly #options: RedisOverridesOptions
  readonly #health: RedisHealth
  readonly #timer: NodeJS.Timeout
  #synced = Promise.withResolvers<void>()

  constructor(options: RedisOverridesOptions) {
    this.#options = options
    const { link, log } = options
    const whenDown = 'drained targets and weights apply to this host only'
    this.#health = new RedisHealth(() => performance.now(), log, whenDown)
    link.commands.on('error', (error) => this.#health.failed(error))
    link.commands.on('ready', () => {
      this.#health.connected()
      void this.#sync()
    })
    link.subscriber.on('error', () => undefined)
    link.subscriber.on('ready', () => {
      link.subscriber.subscribe(overridesChannel).catch(() => undefined)
    })
    link.subscriber.on('message', (_channel, text) => this.#learn(text))
    this.#timer = setInterval(() => void this.#sync(), syncMs).unref()
  }

  async set(newOverrides: Parameters<OverrideStore['set']>[0]): Promise<void> {
    const { local } = this.#options
    await local.set(newOverrides)
    const keys = new Set(newOverrides.map(keyOf))
    const current = local.all().filter((override) => keys.has(keyOf(override)))
    await Promise.all(current.map((override) => this.#push(override)))
  }

  get isDown(): boolean {
    return this.#health.isDown
  }

  all(): readonly Override[] {
    return this.#options.local.all()
  }

  onChange(listener: (override: Override) => void): void {
    this.#options.local.onChange(listener)
  }

  async started(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, startMs)
    await Promise.race([Promise.all([this.#options.local.started(), this.#synced.promise]), promise])
    clearTimeout(timer)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#options.link.close()
  }

  async #sync(): Promise<void> {
    const { link, local } = this.#options
    const key = redisKeys.overrides
    const storedByKey = await this.#health.run(() => link.commands.hgetall(key)).catch(() => undefined)
    if (!storedByKey) return
    const expired: string[] = []
    for (const [field, text] of Object.entries(storedByKey)) {
      const override = parseOverride(text)
      if (override && isExpired(override, Date.now())) expired.push(field)
      else this.#learn(text)
    }
    if (expired.length > 0) await this.#health.run(() => link.commands.hdel(key, ...expired)).catch(() => 0)
    const current = local.all().filter((override) => !isExpired(override, Date.now()))
    await Promise.all(
      current
        .filter((each) => storedByKey[keyOf(each)] !== serializeOverride(each))
        .map((each) => this.#push(each)),
    )
    this.#synced.resolve()
  }

  /** Stores an override in Redis, or learns a later one from there. Fails silently; the next synchronization retries. */
  async #push(override: Override): Promise<void> {
    const { link } = this.#options
    const args = [keyOf(override), serializeOverride(override), overridesChannel]
    const latest = await this.#health
      .run(() => link.run('override', [redisKeys.overrides], args))
      .catch(() => undefined)
    if (latest !== undefined) this.#learn(latest)
  }

  #learn(text: unknown): void {
    const { local, onLearned } = this.#options
    const override = parseOverride(text)
    if (!override) return
    void local.add(override).then((isFirst) => {
      if (isFirst) onLearned(override)
    })
  }
}
