import type { StopSignal } from '../../lib/stop-signal.ts'
import { RouterError } from '../../sdk/errors.ts'
import {
  type LeaseRequest,
  type LeaseStore,
  StoreDownError,
  type StoredLease,
} from '../../stores/leases/store.ts'

/** What a request would take now; asked anew for each try, because the preference may change while it waits. */
export type Wanted = Pick<LeaseRequest, 'targets' | 'affinity' | 'complete'>

export interface QueuedRequest {
  /** Throws what a request is told for which there is nothing to wait. */
  wanted(): Wanted
  /** Aborted when the client leaves; its reason is what `acquire` then throws. */
  signal: StopSignal
}

export interface LeaseQueueOptions {
  model: string
  store: LeaseStore
  /** How long a request waits at most, in milliseconds. */
  timeoutMs: number
  /** How many requests wait at most, in this process. */
  size: number
  /** Monotonic milliseconds. */
  now(): number
  /** 0 (included) to 1 (excluded). */
  random(): number
  /** 96 random bits in hex. */
  newKey(): string
}

interface Waiter {
  key: string
  request: QueuedRequest
  since: number
  asked: LeaseRequest | undefined
  settle: { resolve(lease: StoredLease): void; reject(error: unknown): void }
  stopListening(): void
}

/** How often to look whether a target that was down has come back, in milliseconds: no release tells that. */
const revisitMs = 500
/** A guess: the time until something becomes free depends on the work that others wait for. */
const retryAfterSeconds = 5

/**
 * The requests of one model that wait for a target of their own, first come, first served. The release of a lease wakes
 * the queue; what no release tells (a hint that was lost, a target that is up again) is found by asking now and then.
 */
export class LeaseQueue {
  readonly #options: LeaseQueueOptions
  readonly #waiters = new Set<Waiter>()
  #asking = false
  #askAgain = false
  #poll: NodeJS.Timeout | undefined

  constructor(options: LeaseQueueOptions) {
    this.#options = options
  }

  /** Requests that have no lease yet. */
  get length(): number {
    return this.#waiters.size
  }

  /**
   * Waits for a lease. Throws RouterError with the codes `queue_full` and `queue_timeout`, the reason of an aborted
   * signal, or what the store has for the client.
   */
  acquire(request: QueuedRequest): Promise<StoredLease> {
    const { promise, resolve, reject } = Promise.withResolvers<StoredLease>()
    const { signal } = request
    if (signal.aborted) reject(signal.reason)
    // More than could get something or wait: no need to ask first.
    else if (this.#isTooLong(request)) reject(this.#full())
    else {
      this.#enter(request, { resolve, reject })
      void this.#ask()
    }
    return promise
  }

  #isTooLong(request: QueuedRequest): boolean {
    const beyond = this.#waiters.size - this.#options.size
    return beyond >= 0 && beyond >= request.wanted().targets.length
  }

  /** Something of the model may be free. */
  wake(): void {
    if (this.#waiters.size > 0) void this.#ask()
  }

  /** The model is gone: all that wait are told this. */
  refuseAll(error: RouterError): void {
    for (const waiter of [...this.#waiters]) this.#refuse(waiter, error)
  }

  #enter(request: QueuedRequest, settle: Waiter['settle']): void {
    const { now, newKey, timeoutMs } = this.#options
    const { signal } = request
    const onAbort = (): void => this.#refuse(waiter, signal.reason)
    const timer = setTimeout(() => this.#refuse(waiter, this.#timedOut()), timeoutMs)
    const waiter: Waiter = {
      key: newKey(),
      request,
      since: now(),
      asked: undefined,
      settle,
      stopListening() {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
      },
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#waiters.add(waiter)
  }

  /** One round at a time: a wake during one is another round after it. */
  async #ask(): Promise<void> {
    this.#askAgain = true
    if (this.#asking) return
    this.#asking = true
    while (this.#askAgain) {
      this.#askAgain = false
      await this.#round()
    }
    this.#asking = false
    this.#schedulePoll()
  }

  /** In turn, until one that would take anything gets nothing: those behind it would get nothing either. */
  async #round(): Promise<void> {
    for (const waiter of this.#waiters) {
      const answer = await this.#try(waiter)
      if (answer === 'down' || (answer === 'taken' && waiter.asked?.complete)) break
    }
    const tooMany = [...this.#waiters].slice(this.#options.size)
    for (const waiter of tooMany) this.#refuse(waiter, this.#full())
  }

  async #try(waiter: Waiter): Promise<'over' | 'taken' | 'down'> {
    const { store, model, now } = this.#options
    const { key, since, request } = waiter
    try {
      const wish: LeaseRequest = { key, model, waitedMs: now() - since, ...request.wanted() }
      waiter.asked = wish
      const lease = await store.acquire(wish)
      if (!lease) return 'taken'
      if (this.#waiters.has(waiter)) {
        this.#remove(waiter)
        waiter.settle.resolve(lease)
      } else {
        // It left while its answer was on the way.
        void store.release(lease)
      }
    } catch (error) {
      if (error instanceof StoreDownError) return 'down'
      this.#refuse(waiter, error)
    }
    return 'over'
  }

  #refuse(waiter: Waiter, error: unknown): void {
    if (!this.#waiters.has(waiter)) return
    this.#remove(waiter)
    if (waiter.asked) void this.#options.store.abandon(waiter.asked)
    waiter.settle.reject(error)
  }

  #remove(waiter: Waiter): void {
    this.#waiters.delete(waiter)
    waiter.stopListening()
    if (this.#waiters.size > 0) return
    clearTimeout(this.#poll)
    this.#poll = undefined
  }

  /** With jitter, so that the processes that share a store do not ask in step. */
  #schedulePoll(): void {
    const { min, max } = this.#options.store.pollMs ?? { min: revisitMs, max: revisitMs }
    clearTimeout(this.#poll)
    this.#poll = undefined
    if (this.#waiters.size === 0) return
    const inMs = min + (max - min) * this.#options.random()
    this.#poll = setTimeout(() => this.wake(), inMs)
  }

  #full(): RouterError {
    return new RouterError(
      'overloaded',
      `All upstreams of the model '${this.#options.model}' are busy and its queue is full`,
      { code: 'queue_full', retryAfterSeconds },
    )
  }

  #timedOut(): RouterError {
    return new RouterError(
      'overloaded',
      `All upstreams of the model '${this.#options.model}' were busy for too long`,
      { code: 'queue_timeout', retryAfterSeconds },
    )
  }
}
