import type { RedisAddress } from '../redis/connection.ts'
import { RedisHealth } from '../redis/health.ts'
import { redisKeys } from '../redis/keys.ts'
import { LazyScripts } from '../redis/scripts.ts'
import { StoreDataError, type StoreLog } from '../store.ts'
import {
  type LimitDecision,
  type LimitDemand,
  type LimitedRequest,
  type LimitKind,
  type LimitReservation,
  type LimitScope,
  type LimitSettlement,
  type LimitState,
  type LimitStore,
  limitWindowMs,
} from './store.ts'

export interface RedisLimitsOptions {
  address: RedisAddress
  /** Monotonic milliseconds. */
  now: () => number
  log: StoreLog
  /** Time for which a slot is held without a heartbeat of its process, in milliseconds. */
  ttlMs?: number
}

type Script = 'admit-key' | 'renew-key' | 'settle-key'

const scripts: readonly Script[] = ['admit-key', 'renew-key', 'settle-key']
const reasons: readonly (LimitKind | undefined)[] = [undefined, 'concurrent', 'requests', 'tokens']

/** What a request of this process holds in Redis. */
interface HeldRequest {
  slots: number
  requests: number
}

/** An ended request that Redis has not released. */
interface PendingSettlement {
  key: string
  args: readonly (string | number)[]
  /** When its slots expire in Redis. */
  until: number
}

/** Retry delay of failed releases, in milliseconds. */
const retryMs = 1_000

/**
 * Usage of client keys in all routers on one Redis, by the clock of Redis. Rejects with StoreDownError while Redis does not
 * respond. Slots of a dead process are released after `ttlMs`.
 */
export class RedisLimits implements LimitStore {
  readonly #ttlMs: number
  readonly #scripts: LazyScripts<Script>
  readonly #held = new Map<string, Map<string, HeldRequest>>()
  /** Oldest first. */
  readonly #pending = new Set<PendingSettlement>()
  #retry: NodeJS.Timeout | undefined
  #retrying: Promise<void> | undefined
  readonly #now: () => number
  /** Heartbeat; starts with the first slot. */
  #heartbeat: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: RedisLimitsOptions) {
    this.#ttlMs = options.ttlMs ?? 30_000
    this.#now = options.now
    const health = new RedisHealth(options.now, options.log, 'limits of keys apply within each process')
    this.#scripts = new LazyScripts({ address: options.address, scripts, health })
  }

  async admit(request: LimitedRequest): Promise<LimitDecision> {
    const { slots: _one, ...decision } = await this.#take({ ...request, tokens: 0, requests: 1, slots: 1 })
    return decision
  }

  reserve(demand: LimitDemand): Promise<LimitReservation> {
    return this.#take(demand)
  }

  async settle({ key, ticket, limits, tokens, requests, undone }: LimitSettlement): Promise<void> {
    const existing = this.#held.get(key)?.get(ticket)
    // The request was rejected by this or an earlier store.
    if (!existing && undone) return
    const held = existing ?? { slots: 1, requests: 1 }
    this.#held.get(key)?.delete(ticket)
    const argsFor = (counted: number): (string | number)[] => [
      ticket,
      counted,
      limits.tokens ?? 0,
      undone ? 1 : 0,
      limitWindowMs,
      held.slots,
      held.requests,
      requests ?? held.requests,
    ]
    try {
      await this.#run('settle-key', key, argsFor(tokens))
    } catch (error) {
      // Redis may have counted the tokens, so they are not counted again.
      this.#pending.add({ key, args: argsFor(0), until: this.#now() + this.#ttlMs })
      this.#scheduleRetry()
      throw error
    }
  }

  async read({ key, limits }: LimitScope): Promise<LimitState> {
    const { concurrent = 0, requests = 0, tokens = 0 } = limits
    // Without requested slots, the script changes nothing.
    const args = ['', concurrent, requests, tokens, this.#ttlMs, limitWindowMs, 0, 0, 0, 1]
    const reply = await this.#run('admit-key', key, args)
    const openLeft = Number(Object(reply)[7] ?? 0)
    return {
      ...(limits.concurrent === undefined ? {} : { concurrent: { left: openLeft } }),
      ...leftOf(reply, limits),
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#heartbeat)
    clearTimeout(this.#retry)
    await this.#scripts.close()
  }

  async #take(demand: LimitDemand): Promise<LimitReservation> {
    const { concurrent = 0, requests = 0, tokens = 0 } = demand.limits
    const args = [
      demand.ticket,
      concurrent,
      requests,
      tokens,
      this.#ttlMs,
      limitWindowMs,
      demand.tokens,
      demand.requests,
      demand.slots,
      this.#held.get(demand.key)?.has(demand.ticket) ? 1 : 0,
    ]
    let reply: unknown
    try {
      reply = await this.#run('admit-key', demand.key, args)
    } catch (error) {
      // Redis may execute the call later, and the request runs without its reply.
      this.#hold(demand, demand.slots)
      throw error
    }
    let reservation = reservationOf(reply, demand)
    if (reservation.rejectedBy !== undefined && this.#pending.size > 0) {
      await this.#retryPending()
      reservation = reservationOf(await this.#run('admit-key', demand.key, args), demand)
    }
    if (reservation.rejectedBy === undefined) this.#hold(demand, reservation.slots)
    return reservation
  }

  #hold({ key, ticket, requests }: LimitDemand, slots: number): void {
    const tickets = this.#held.get(key) ?? new Map<string, HeldRequest>()
    tickets.set(ticket, { slots, requests })
    this.#held.set(key, tickets)
    if (!this.#closed) this.#heartbeat ??= setInterval(() => void this.#renew(), this.#ttlMs / 3)
  }

  async #renew(): Promise<void> {
    for (const [key, tickets] of this.#held) {
      if (tickets.size === 0) continue
      try {
        await this.#run('renew-key', key, [this.#ttlMs, ...[...tickets].flatMap(slotsOf)])
      } catch (error) {
        // Logged by RedisHealth; the next interval retries.
        if (!(error instanceof StoreDataError)) return
      }
    }
  }

  #scheduleRetry(): void {
    if (!this.#closed && this.#pending.size > 0)
      this.#retry ??= setTimeout(() => void this.#retryPending(), retryMs)
  }

  /** Retries the failed releases: otherwise their slots would be missing until they expire, although Redis is back. */
  #retryPending(): Promise<void> {
    this.#retrying ??= this.#settleAllPending().finally(() => {
      this.#retrying = undefined
    })
    return this.#retrying
  }

  async #settleAllPending(): Promise<void> {
    for (const pending of this.#pending) {
      if (pending.until > this.#now()) {
        try {
          await this.#run('settle-key', pending.key, pending.args)
        } catch (error) {
          if (!(error instanceof StoreDataError)) break // logged by RedisHealth
        }
      }
      this.#pending.delete(pending)
    }
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#scheduleRetry()
  }

  #run(step: Script, key: string, args: readonly (string | number)[]): Promise<unknown> {
    const { keyOpen, keyRecent, keyTokens, keyReserved } = redisKeys
    const keys = [keyOpen(key), keyRecent(key), keyTokens(key), keyReserved(key)]
    return this.#scripts.run(step, keys, args)
  }
}

/** The names of a request's slots in Redis. */
function slotsOf([ticket, { slots }]: [string, HeldRequest]): string[] {
  return Array.from({ length: slots }, (_, index) => (index === 0 ? ticket : `${ticket}.${index}`))
}

function reservationOf(reply: unknown, { limits }: LimitDemand): LimitReservation {
  const [reason = 0, waitMs = 0, ...others] = numbersOf(reply)
  return { rejectedBy: reasons[reason], waitMs, ...leftOf(reply, limits), slots: others[4] ?? 1 }
}

function leftOf(reply: unknown, limits: LimitScope['limits']): Pick<LimitState, 'requests' | 'tokens'> {
  const [, , requestsLeft = 0, requestsMs = 0, tokensLeft = 0, tokensMs = 0] = numbersOf(reply)
  return {
    ...(limits.requests === undefined ? {} : { requests: { left: requestsLeft, fullInMs: requestsMs } }),
    ...(limits.tokens === undefined ? {} : { tokens: { left: tokensLeft, fullInMs: tokensMs } }),
  }
}

function numbersOf(reply: unknown): number[] {
  return Array.isArray(reply) ? reply.map(Number) : []
}
