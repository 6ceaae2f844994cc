import { Value } from '@sinclair/typebox/value'
import { isObject, parseObject } from '../../lib/json/read.ts'
import { RouterSchema } from '../../sdk/console/routers.ts'
import type { EngineSignals } from '../../sdk/engine-signals.ts'
import type { RedisLink, ScriptLink } from '../redis/client.ts'
import { RedisHealth } from '../redis/health.ts'
import { fleetChannel, redisKeys } from '../redis/keys.ts'
import type { StoreLog } from '../store.ts'
import type { FleetBus, FleetMessage, ModelDemand } from './store.ts'

export interface RedisFleetBusOptions {
  link: ScriptLink<'acquire-leadership' | 'release-leadership'> & Pick<RedisLink, 'subscriber'>
  /** Name of this router, unique among all. */
  router: string
  /** Monotonic milliseconds. */
  now(): number
  log: StoreLog
}

/** Length of the leader's lease, and interval of renewing or requesting it, in milliseconds. */
const leaseMs = 10_000
const renewMs = 2_000

/** Messages between routers by publish and subscribe in Redis, and election of a leader by a lease. */
export class RedisFleetBus implements FleetBus {
  readonly #options: RedisFleetBusOptions
  readonly #health: RedisHealth
  readonly #listeners: ((message: FleetMessage, router: string) => void)[] = []
  #role: FleetBus['role'] = 'alone'
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: RedisFleetBusOptions) {
    this.#options = options
    const { link, now, log } = options
    this.#health = new RedisHealth(now, log, 'each router polls the engines itself')
    link.commands.on('error', (error) => this.#health.failed(error))
    link.commands.on('ready', () => {
      this.#health.connected()
      void this.#requestLease()
    })
    link.subscriber.on('error', () => undefined)
    link.subscriber.on('ready', () => {
      link.subscriber.subscribe(fleetChannel).catch(() => undefined)
    })
    link.subscriber.on('message', (_channel, text) => this.#receive(text))
    this.#timer = setInterval(() => void this.#requestLease(), renewMs).unref()
  }

  get role(): FleetBus['role'] {
    return this.#role
  }

  publish(message: FleetMessage): void {
    if (this.#role === 'alone') return
    const text = JSON.stringify({ router: this.#options.router, message })
    // A dropped message is followed by another one.
    this.#health.run(() => this.#options.link.commands.publish(fleetChannel, text)).catch(() => undefined)
  }

  onMessage(listener: (message: FleetMessage, router: string) => void): void {
    this.#listeners.push(listener)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    const { link, router } = this.#options
    if (this.#role === 'leader')
      await link.run('release-leadership', [redisKeys.leader], [router]).catch(() => undefined)
    this.#role = 'alone'
    link.close()
  }

  async #requestLease(): Promise<void> {
    const { link, router } = this.#options
    const role = await this.#health
      .run(() => link.run('acquire-leadership', [redisKeys.leader], [router, leaseMs]))
      .then((held) => (Number(held) === 1 ? 'leader' : 'follower'))
      .catch(() => 'alone' as const)
    if (!this.#closed) this.#role = role
  }

  #receive(text: string): void {
    const { router, message: value } = parseObject(text) ?? {}
    const message = messageOf(value)
    if (typeof router !== 'string' || router === this.#options.router || !message) return
    for (const listener of this.#listeners) listener(message, router)
  }
}

/** Returns undefined for a kind of message that this version does not know. */
function messageOf(value: unknown): FleetMessage | undefined {
  if (!isObject(value)) return undefined
  const { type, server, signals, models, about } = value
  if (type === 'signals' && typeof server === 'string')
    return { type, server, signals: isObject(signals) ? (signals as EngineSignals) : null }
  if (type === 'demand' && isObject(models)) return { type, models: models as ModelDemand }
  if (type === 'router' && Value.Check(RouterSchema, about)) return { type, about }
  return undefined
}
