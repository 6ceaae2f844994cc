import {
  type LimitEnd,
  type Limited,
  type LimitStore,
  type LimitVerdict,
  type LimitWish,
  limitWindowMs,
} from '../core/key-limits.ts'
import { LazyScripts } from './lazy-scripts.ts'
import type { RedisAddress } from './redis-client.ts'
import { RedisHealth, type StoreLog } from './redis-health.ts'
import { redisKeys } from './redis-keys.ts'

export interface RedisLimitsOptions {
  address: RedisAddress
  /** Monotonic milliseconds. */
  now: () => number
  log: StoreLog
  /** For how long a place is held without a sign of life from its process, in milliseconds. */
  ttlMs?: number
}

type Step = 'admit-key' | 'keep-key' | 'leave-key'

const steps: readonly Step[] = ['admit-key', 'keep-key', 'leave-key']
const reasons: readonly (Limited | undefined)[] = [undefined, 'concurrent', 'requests', 'tokens']

/**
 * What keys use in all routers with one Redis, counted by its clock. Rejects with StoreDownError while Redis does not
 * answer. A process that dies gives its places back after the time to live.
 */
export class RedisLimits implements LimitStore {
  readonly #ttlMs: number
  readonly #scripts: LazyScripts<Step>
  readonly #held = new Map<string, Set<string>>()
  /** Begins with the first place. */
  #keeping: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: RedisLimitsOptions) {
    this.#ttlMs = options.ttlMs ?? 30_000
    const health = new RedisHealth(options.now, options.log, 'limits of keys hold in each process by itself')
    this.#scripts = new LazyScripts({ address: options.address, steps, health })
  }

  async admit(wish: LimitWish): Promise<LimitVerdict> {
    const { concurrent = 0, requests = 0, tokens = 0 } = wish.limits
    const reply = await this.#run('admit-key', wish.key, [
      ...[wish.ticket, concurrent, requests, tokens],
      ...[this.#ttlMs, limitWindowMs],
    ])
    const verdict = verdictOf(reply, wish)
    if (verdict.refusedBy === undefined) this.#hold(wish)
    return verdict
  }

  async leave({ key, ticket, limits, tokens, undone }: LimitEnd): Promise<void> {
    this.#held.get(key)?.delete(ticket)
    await this.#run('leave-key', key, [ticket, tokens, limits.tokens ?? 0, undone ? 1 : 0, limitWindowMs])
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#keeping)
    await this.#scripts.close()
  }

  #hold({ key, ticket }: LimitWish): void {
    const tickets = this.#held.get(key) ?? new Set()
    tickets.add(ticket)
    this.#held.set(key, tickets)
    if (!this.#closed) this.#keeping ??= setInterval(() => void this.#keep(), this.#ttlMs / 3)
  }

  async #keep(): Promise<void> {
    for (const [key, tickets] of this.#held) {
      if (tickets.size === 0) continue
      try {
        await this.#run('keep-key', key, [this.#ttlMs, ...tickets])
      } catch {
        return // told by the health; the next turn comes
      }
    }
  }

  #run(step: Step, key: string, args: readonly (string | number)[]): Promise<unknown> {
    const keys = [redisKeys.keyOpen(key), redisKeys.keyRecent(key), redisKeys.keyTokens(key)]
    return this.#scripts.run(step, keys, args)
  }
}

function verdictOf(reply: unknown, { limits }: LimitWish): LimitVerdict {
  const [reason = 0, waitMs = 0, requestsLeft = 0, requestsMs = 0, tokensLeft = 0, tokensMs = 0] =
    Array.isArray(reply) ? reply.map(Number) : []
  return {
    refusedBy: reasons[reason],
    waitMs,
    ...(limits.requests === undefined ? {} : { requests: { left: requestsLeft, fullInMs: requestsMs } }),
    ...(limits.tokens === undefined ? {} : { tokens: { left: tokensLeft, fullInMs: tokensMs } }),
  }
}
