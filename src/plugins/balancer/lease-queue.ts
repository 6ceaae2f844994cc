import { deadlineExceeded } from '../../relay/run/lease.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { OfferResult, Ticket } from '../../stores/queue/fair-queue.ts'
import type { RequestQueue } from '../../stores/queue/local.ts'
import { StoreDownError } from '../../stores/store.ts'
import { QueuePace } from './queue-pace.ts'
import { WaitingRequests } from './waiting-requests.ts'

/** A request for a slot at one of a model's targets. */
export interface QueuedRequest<Granted> extends Pick<Ticket, 'client' | 'weight'> {
  /** Accepts any target of the model, so if it gets none, no request does. */
  isComplete: boolean
  /** Aborted when the client disconnects; `acquire` then throws its reason. */
  signal: AbortSignal
  /** Deadline of the wait, on the clock of the queue; undefined: none. */
  deadlineAt: number | undefined
  /**
   * Takes a slot if one is free. Throws StoreDownError if that cannot be determined, or the client's error if there is
   * nothing to wait for.
   */
  take(): Promise<Granted | undefined>
  /** The request left before it was given the slot. */
  returnSlot(granted: Granted): void
  /** The request left without a slot. */
  onAbandoned(): void
}

export interface LeaseQueueOptions {
  model: string
  turns: RequestQueue
  /** Maximum wait of a request, in milliseconds. */
  timeoutMs: number
  /** Maximum number of waiting requests in this process. */
  size: number
  /** Monotonic milliseconds. */
  now(): number
}

/** The requests of one model in this process that need a slot. Those that find none wait for their turn. */
export class LeaseQueue {
  readonly #options: LeaseQueueOptions
  readonly #pace: QueuePace
  /** All requests that need a slot, including those that have not tried yet. */
  readonly #all = new Set<Refusable>()
  readonly #waiting = new WaitingRequests<Refusable>()
  /** Number of events that may have freed a slot. */
  #wakes = 0

  constructor(options: LeaseQueueOptions) {
    this.#options = options
    this.#pace = new QueuePace(options.now)
  }

  /** Waiting requests. */
  get length(): number {
    return this.#waiting.length
  }

  /**
   * Waits for a slot. Throws RouterError with the codes `queue_full`, `queue_timeout` and `deadline_exceeded`, the reason
   * of an aborted signal, or the store's error for the client.
   */
  async acquire<Granted>(request: QueuedRequest<Granted>): Promise<Granted> {
    request.signal.throwIfAborted()
    const { turns, model } = this.#options
    const waiter = new Waiter(request)
    const stop = this.#bound(waiter)
    this.#all.add(waiter)
    try {
      // Later requests do not overtake waiting ones.
      if (this.#waiting.length > 0 || turns.isWaiting(model)) return await this.#wait(waiter, true)
      const wakes = this.#wakes
      // A client that disconnects does not wait for the store.
      await Promise.race([waiter.offer(), waiter.granted])
      if (waiter.isOver) return await waiter.granted
      return await this.#wait(waiter, this.#wakes !== wakes)
    } finally {
      this.#all.delete(waiter)
      stop()
    }
  }

  /** Call when a slot may be free. */
  wake(): void {
    this.#wakes++
    if (this.#waiting.length > 0) this.#options.turns.wake(this.#options.model)
  }

  /** Rejects all requests, because the model was removed. */
  refuseAll(error: RouterError): void {
    for (const { refuse } of [...this.#all]) refuse(error)
  }

  async #wait<Granted>(waiter: Waiter<Granted>, offers: boolean): Promise<Granted> {
    const { model, turns, size } = this.#options
    if (this.#waiting.length >= size) this.#refuseOne(waiter)
    if (waiter.isOver) return waiter.granted
    if (this.#waiting.length === 0) this.#pace.began()
    this.#waiting.add(waiter)
    turns.enter(model, waiter, offers)
    try {
      const granted = await waiter.granted
      this.#pace.served()
      return granted
    } finally {
      this.#waiting.delete(waiter)
      turns.leave(model, waiter)
    }
  }

  /** The queue is full: the client with most waiting requests for its weight loses its newest one. */
  #refuseOne(arriving: Refusable): void {
    const refused = this.#waiting.displacedBy(arriving) ?? arriving
    this.#waiting.delete(refused)
    refused.refuse(this.#refused('queue_full', 'are busy and its queue is full'))
  }

  /** Ends the wait when the client disconnects, on timeout, or at the deadline. */
  #bound({ request, refuse }: Refusable): () => void {
    const { signal, deadlineAt } = request
    const { now, timeoutMs } = this.#options
    const leftMs = deadlineAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, deadlineAt - now())
    const onAbort = (): void => refuse(signal.reason)
    const onTime = (): void =>
      refuse(
        leftMs < timeoutMs ? deadlineExceeded() : this.#refused('queue_timeout', 'were busy for too long'),
      )
    const timer = setTimeout(onTime, Math.min(timeoutMs, leftMs))
    signal.addEventListener('abort', onAbort, { once: true })
    return () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
  }

  #refused(code: 'queue_full' | 'queue_timeout', why: string): RouterError {
    return new RouterError('overloaded', `All upstreams of the model '${this.#options.model}' ${why}`, {
      code,
      retryAfterSeconds: this.#pace.retryAfterSeconds(this.#waiting.length),
    })
  }
}

interface Refusable extends Pick<Ticket, 'client' | 'weight'> {
  readonly request: Pick<QueuedRequest<never>, 'signal' | 'deadlineAt'>
  refuse(error: unknown): void
}

/** A request from its arrival until it has a slot or an error. */
class Waiter<Granted> implements Ticket {
  readonly request: QueuedRequest<Granted>
  readonly granted: Promise<Granted>
  isOver = false
  readonly #resolve: (granted: Granted) => void
  readonly #reject: (error: unknown) => void

  constructor(request: QueuedRequest<Granted>) {
    const { promise, resolve, reject } = Promise.withResolvers<Granted>()
    // It may be rejected while it tries, before anything awaits the result.
    promise.catch(() => undefined)
    this.request = request
    this.granted = promise
    this.#resolve = resolve
    this.#reject = reject
  }

  get client(): string {
    return this.request.client
  }

  get weight(): number {
    return this.request.weight
  }

  readonly refuse = (error: unknown): void => {
    if (this.isOver) return
    this.isOver = true
    this.request.onAbandoned()
    this.#reject(error)
  }

  async offer(): Promise<OfferResult> {
    if (this.isOver) return 'gone'
    const { request } = this
    try {
      const granted = await request.take()
      if (granted === undefined) return request.isComplete ? 'taken' : 'passed'
      if (this.isOver) {
        request.returnSlot(granted)
        return 'gone'
      }
      this.isOver = true
      this.#resolve(granted)
      return 'served'
    } catch (error) {
      if (error instanceof StoreDownError) return 'away'
      this.refuse(error)
      return 'gone'
    }
  }
}
