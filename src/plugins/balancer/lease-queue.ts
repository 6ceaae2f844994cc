import { RouterError } from '../../sdk/errors.ts'
import {
  type LeaseRequest,
  type LeaseStore,
  StoreDownError,
  type StoredLease,
} from '../../stores/leases/store.ts'

/** What a request would accept now; evaluated for each try, because the preference may change while it waits. */
export type Wanted = Pick<LeaseRequest, 'targets' | 'affinity' | 'complete'>

export interface QueuedRequest {
  /** Throws the error for the client if there is nothing to wait for. */
  wanted(): Wanted
  /** Aborted when the client disconnects; `acquire` then throws its reason. */
  signal: AbortSignal
}

export interface LeaseQueueOptions {
  model: string
  store: LeaseStore
  /** Maximum wait of a request, in milliseconds. */
  timeoutMs: number
  /** Maximum number of waiting requests in this process. */
  size: number
  /** Monotonic milliseconds. */
  now(): number
  /** 0 (inclusive) to 1 (exclusive). */
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

/** Poll interval in milliseconds: the recovery of a target triggers no release. */
const revisitMs = 500
/** A guess: the real wait depends on the requests that hold the targets. */
const retryAfterSeconds = 5

/**
 * FIFO queue of the requests of one model that wait for exclusive use of a target. The release of a lease wakes the
 * queue. Polling finds what no release announces: a lost notification, a target that has recovered.
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
   * signal, or the store's error for the client.
   */
  acquire(request: QueuedRequest): Promise<StoredLease> {
    const { promise, resolve, reject } = Promise.withResolvers<StoredLease>()
    const { signal } = request
    if (signal.aborted) reject(signal.reason)
    // More requests than could get a lease or wait: rejected without asking the store.
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

  /** Call when a target of the model may be free. */
  wake(): void {
    if (this.#waiters.size > 0) void this.#ask()
  }

  /** Rejects all waiting requests, because the model was removed. */
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

  /** Runs one round at a time; a wake during a round starts another one. */
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

  /** Serves the waiters in order until one that accepts any target gets none: those behind it would get none either. */
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
        // The waiter left before the store replied.
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

  /** Adds jitter, so that processes sharing a store do not poll it in lockstep. */
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
