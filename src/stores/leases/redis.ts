import { once } from 'node:events'
import { RouterError } from '../../sdk/errors.ts'
import type { RedisLink } from '../redis/client.ts'
import { RedisHealth } from '../redis/health.ts'
import { freedChannel } from '../redis/keys.ts'
import { StoreDataError, StoreDownError, type StoreLog } from '../store.ts'
import {
  acquireLease,
  type LeasedTarget,
  type ReleaseRequest,
  releaseLeases,
  renewLeases,
} from './redis-scripts.ts'
import {
  type LeaseCandidate,
  type LeaseRequest,
  type LeaseStore,
  noLeaseCounts,
  type StoredLease,
} from './store.ts'

export interface RedisLeasesOptions {
  link: RedisLink
  /** Identifies this process: part of each token, so that its primary can release its leases if it dies. */
  worker: string
  /** Identifies its host, whose processes wait for slots as one. Absent: this process alone. */
  host?: string
  /** Time after which a lease of a dead process expires, in milliseconds. */
  ttlMs?: number
  /** Interval at which all leases of the process are renewed in one call, in milliseconds. */
  heartbeatMs?: number
  /** Time for which Redis may be unavailable before `whenDown` applies, in milliseconds. */
  outageMs?: number
  /** While Redis is down: `local` limits within this process, `reject` returns an error to the client. */
  whenDown: 'local' | 'reject'
  /** Monotonic milliseconds. */
  now: () => number
  log: StoreLog
}

interface HeldLease extends LeasedTarget {
  lease: StoredLease
  /** Whether Redis has not confirmed it since the last failure; a delayed call may still arrive. */
  unconfirmed: boolean
  revoked: boolean
}

/** Retry delay of failed renewals and releases, in milliseconds. */
const retryMs = 500
/** How long startup waits for a connection before it continues without one, in milliseconds. */
const connectWaitMs = 1_000

/** Leases shared by all routers with one Redis. */
export class RedisLeases implements LeaseStore {
  readonly counts = noLeaseCounts()
  readonly #link: RedisLink
  readonly #process: Parameters<typeof acquireLease>[0]
  readonly #options: Required<RedisLeasesOptions>
  readonly #health: RedisHealth
  readonly #held = new Map<string, HeldLease>()
  /** Released leases that Redis has not confirmed, with the time at which they expire there. */
  readonly #pendingReleases = new Map<string, ReleaseRequest & { until: number }>()
  readonly #listeners: ((model: string) => void)[] = []
  readonly #revokedListeners: ((lease: StoredLease) => void)[] = []
  #timer: NodeJS.Timeout | undefined
  /** When the timer fires. */
  #heartbeatAt = 0
  #isRenewing = false
  #closed = false

  constructor(options: RedisLeasesOptions) {
    this.#options = { ttlMs: 15_000, heartbeatMs: 5_000, outageMs: 5_000, host: options.worker, ...options }
    const { link, worker, host, ttlMs, now, log, whenDown } = this.#options
    this.#link = link
    this.#process = { link, worker, host, ttlMs }
    this.#health = new RedisHealth(now, log, whenDown)
    this.#listen(link)
  }

  get reachable(): boolean {
    return this.#link.commands.status === 'ready' && this.#health.downForMs === 0
  }

  /** Resolves when connected, or after a timeout, because a router starts without Redis too. */
  async started(): Promise<void> {
    if (this.#link.commands.status === 'ready') return
    try {
      await once(this.#link.commands, 'ready', { signal: AbortSignal.timeout(connectWaitMs) })
    } catch (error) {
      this.#health.failed(error)
    }
  }

  async acquire(request: LeaseRequest): Promise<StoredLease | undefined> {
    const token = this.#token(request.key)
    const held = this.#held.get(token)
    if (held) return held.lease
    // Leases granted while Redis was unavailable are not stored there yet, and must not be granted twice.
    const targets = this.#freeTargets(request, ({ unconfirmed }) => unconfirmed)
    if (targets.length === 0) return undefined
    let granted: { target: LeaseCandidate; fence: number } | undefined
    try {
      granted = await this.#health.run(() => acquireLease(this.#process, token, { ...request, targets }))
    } catch (error) {
      return this.#withoutRedis(request, error)
    }
    if (!granted) return undefined
    return this.#hold({ key: request.key, model: request.model, ...granted }, false)
  }

  async release({ key }: StoredLease): Promise<void> {
    const held = this.#held.get(this.#token(key))
    if (!held) return
    const { token, model, target, unconfirmed } = held
    this.#held.delete(token)
    await this.#release({ token, model, targets: [target], abandon: unconfirmed })
  }

  async abandon(request: LeaseRequest): Promise<void> {
    const token = this.#token(request.key)
    this.#held.delete(token)
    await this.#release({ token, model: request.model, targets: request.targets, abandon: true })
  }

  onFreed(listener: (model: string) => void): void {
    this.#listeners.push(listener)
  }

  onRevoked(listener: (lease: StoredLease) => void): void {
    this.#revokedListeners.push(listener)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    // Oldest first: a release that failed before is retried a last time.
    const pending = [...this.#pendingReleases.values()].map((pending) => this.#sendRelease(pending))
    const held = [...this.#held.values()].map(({ lease }) => this.release(lease))
    await Promise.all([...pending, ...held])
    this.#link.close()
  }

  #token(key: string): string {
    return `${this.#options.worker}-${key}`
  }

  #listen({ commands, subscriber }: RedisLink): void {
    commands.on('error', (error) => this.#health.failed(error))
    commands.on('close', () => {
      if (!this.#closed) this.#health.failed('the connection is closed')
    })
    commands.on('ready', () => {
      this.#health.connected()
      void this.#heartbeat()
    })
    // Without the other connection only hints are missing; waiting requests poll.
    subscriber.on('error', () => undefined)
    subscriber.on('ready', () => {
      subscriber.subscribe(freedChannel).catch(() => undefined)
    })
    subscriber.on('message', (_channel, model) => this.#announceFreed(model))
  }

  #announceFreed(model: string): void {
    for (const listener of this.#listeners) listener(model)
  }

  #hold(lease: StoredLease, unconfirmed: boolean): StoredLease {
    const { key, model, target } = lease
    const token = this.#token(key)
    this.#held.set(token, { token, model, target, lease, unconfirmed, revoked: false })
    this.#schedule(this.#options.heartbeatMs)
    return lease
  }

  /** Handles a request while Redis does not respond: wait, reject, or use the state of this process only. */
  #withoutRedis(request: LeaseRequest, error: unknown): StoredLease | undefined {
    const { outageMs, whenDown } = this.#options
    // Renew soon: the next response may come from a replica that has not received the last leases.
    if (this.#held.size > 0) this.#schedule(retryMs)
    // What is wrong with the data of one model does not pass by itself.
    if (this.#health.downForMs < outageMs && !(error instanceof StoreDataError)) throw error
    if (whenDown === 'reject') throw storeDown(error)
    const free = this.#freeTargets(request, () => true)
    const target = free.find(({ isLastResort }) => !isLastResort) ?? free[0]
    if (!target) return undefined
    this.counts.local++
    // The unanswered call may still be executed for another target, so its token is not reused.
    void this.abandon(request)
    return this.#hold({ key: `${request.key}.local`, model: request.model, target, fence: 0 }, true)
  }

  /** Returns the targets with the slots that the counted leases of this process leave free. */
  #freeTargets({ model, targets }: LeaseRequest, counts: (held: HeldLease) => boolean): LeaseCandidate[] {
    const used = new Map<string, number>()
    for (const held of this.#held.values())
      if (held.model === model && counts(held)) used.set(held.target.id, (used.get(held.target.id) ?? 0) + 1)
    if (used.size === 0) return [...targets]
    return targets
      .map((target) => ({ ...target, slots: target.slots - (used.get(target.id) ?? 0) }))
      .filter(({ slots }) => slots > 0)
  }

  async #release(request: ReleaseRequest): Promise<void> {
    const entry = { ...request, until: this.#options.now() + this.#options.ttlMs }
    this.#pendingReleases.set(request.token, entry)
    if (!(await this.#sendRelease(entry))) {
      // Redis cannot publish the release, but requests of this process may use the target while Redis is unavailable.
      this.#announceFreed(request.model)
      this.#schedule(retryMs)
    }
  }

  /** Sends a release. Returns whether Redis responded. */
  async #sendRelease(request: ReleaseRequest): Promise<boolean> {
    try {
      await this.#health.run(() => releaseLeases(this.#process, request))
      this.#pendingReleases.delete(request.token)
      return true
    } catch (error) {
      // Recorded by RedisHealth; the next heartbeat retries, except where only the expiry helps.
      if (!(error instanceof StoreDataError)) return false
      this.#pendingReleases.delete(request.token)
      this.#announceFreed(request.model)
      return true
    }
  }

  /** Schedules the heartbeat. There is one timer for all leases; an earlier heartbeat replaces a later one. */
  #schedule(inMs: number): void {
    const at = this.#options.now() + inMs
    if (this.#closed || this.#isRenewing || (this.#timer && at >= this.#heartbeatAt)) return
    clearTimeout(this.#timer)
    this.#heartbeatAt = at
    this.#timer = setTimeout(() => void this.#heartbeat(), inMs)
  }

  async #heartbeat(): Promise<void> {
    if (this.#isRenewing || this.#closed) return
    this.#isRenewing = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    const now = this.#options.now()
    for (const pending of [...this.#pendingReleases.values()]) {
      if (pending.until < now) this.#pendingReleases.delete(pending.token)
      else if (!(await this.#sendRelease(pending))) break
    }
    const renewed = await this.#renew([...this.#held.values()])
    this.#isRenewing = false
    if (this.#held.size === 0 && this.#pendingReleases.size === 0) return
    this.#schedule(renewed && this.#pendingReleases.size === 0 ? this.#options.heartbeatMs : retryMs)
  }

  /** Renews leases; those of a model whose data is broken stay unconfirmed. Returns false if Redis did not respond. */
  async #renew(held: readonly HeldLease[]): Promise<boolean> {
    if (held.length === 0) return true
    let fences: number[]
    try {
      fences = await this.#health.run(() => renewLeases(this.#process, held))
    } catch (error) {
      if (!(error instanceof StoreDownError)) throw error
      const isDataError = error instanceof StoreDataError
      const models = Map.groupBy(held, ({ model }) => model)
      if (isDataError && models.size > 1) {
        const renewed = await Promise.all([...models.values()].map((group) => this.#renew(group)))
        return !renewed.includes(false)
      }
      for (const entry of held) entry.unconfirmed = true
      return isDataError
    }
    for (const [index, entry] of held.entries()) this.#applyFence(entry, fences[index] ?? 0)
    return true
  }

  #applyFence(entry: HeldLease, fence: number): void {
    entry.unconfirmed = false
    const revoked = fence === 0
    if (revoked && !entry.revoked && this.#held.has(entry.token)) {
      this.counts.revoked++
      const { model, target, lease } = entry
      this.#options.log.warn(
        { model, target: target.id },
        'lease revoked: another request uses the target too',
      )
      // Leases granted without Redis were known not to be exclusive.
      if (lease.fence > 0) for (const listener of this.#revokedListeners) listener(lease)
    }
    entry.revoked = revoked
  }
}

function storeDown(cause: unknown): RouterError {
  const message = 'No upstream of this model can be reserved at the moment; try again later'
  const details = { code: 'lease_store_down', retryAfterSeconds: 5, causeCode: 'REDIS_DOWN', cause }
  return new RouterError('overloaded', message, details)
}
