import { deadlineExceeded } from '../../relay/run/lease.ts'
import { RouterError } from '../../sdk/errors.ts'
import { StoreDownError } from '../../stores/leases/store.ts'
import type { Offered, Ticket } from '../../stores/turns/fair-queue.ts'
import type { Turns } from '../../stores/turns/local.ts'
import { QueuePace } from './queue-pace.ts'

/** A request that wants a place at one of a model's targets. */
export interface QueuedRequest<Granted> extends Pick<Ticket, 'client' | 'weight'> {
  /** Accepts any target of the model, so when it gets none, nobody does. */
  isComplete: boolean
  /** Aborted when the client disconnects; `acquire` then throws its reason. */
  signal: AbortSignal
  /** When waiting is of no use any more, on the clock of the queue; undefined: never. */
  deadlineAt: number | undefined
  /**
   * Takes a place if one is free. Throws StoreDownError if that is not known now, or the error for the client if there is
   * nothing to wait for.
   */
  take(): Promise<Granted | undefined>
  /** The request left before it learned of the place. */
  giveBack(granted: Granted): void
  /** The request left without a place. */
  left(): void
}

export interface LeaseQueueOptions {
  model: string
  turns: Turns
  /** Maximum wait of a request, in milliseconds. */
  timeoutMs: number
  /** Maximum number of waiting requests in this process. */
  size: number
  /** Monotonic milliseconds. */
  now(): number
}

/** The requests of one model in this process that want a place. Those that find none wait for their turn. */
export class LeaseQueue {
  readonly #options: LeaseQueueOptions
  readonly #waiters = new Set<{ refuse(error: unknown): void }>()
  readonly #pace: QueuePace
  #length = 0
  /** Counts what may have made a place free. */
  #wakes = 0

  constructor(options: LeaseQueueOptions) {
    this.#options = options
    this.#pace = new QueuePace(options.now)
  }

  /** Requests that wait. */
  get length(): number {
    return this.#length
  }

  /**
   * Waits for a place. Throws RouterError with the codes `queue_full`, `queue_timeout` and `deadline_exceeded`, the reason
   * of an aborted signal, or the store's error for the client.
   */
  acquire<Granted>(request: QueuedRequest<Granted>): Promise<Granted> {
    const { promise, resolve, reject } = Promise.withResolvers<Granted>()
    const { signal, deadlineAt } = request
    const { model, turns, now, timeoutMs } = this.#options
    if (signal.aborted) {
      reject(signal.reason)
      return promise
    }
    let [isOver, isQueued] = [false, false]
    const end = (): void => {
      isOver = true
      this.#waiters.delete(waiter)
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      if (isQueued) this.#length--
      if (isQueued) turns.leave(model, ticket)
    }
    const refuse = (error: unknown): void => {
      if (isOver) return
      end()
      request.left()
      reject(error)
    }
    const offer = async (): Promise<Offered> => {
      try {
        const granted = await request.take()
        if (granted === undefined) return request.isComplete ? 'taken' : 'passed'
        if (isOver) {
          request.giveBack(granted)
          return 'gone'
        }
        if (isQueued) this.#pace.served()
        end()
        resolve(granted)
        return 'served'
      } catch (error) {
        if (error instanceof StoreDownError) return 'away'
        refuse(error)
        return 'gone'
      }
    }
    const waiter = { refuse }
    const { client, weight } = request
    const ticket: Ticket = {
      client,
      weight,
      offer: async () => (isOver ? 'gone' : offer()),
    }
    const enter = (offers: boolean): void => {
      if (this.#length >= this.#options.size) {
        refuse(this.#full())
        return
      }
      if (this.#length === 0) this.#pace.began()
      this.#length++
      isQueued = true
      turns.enter(model, ticket, offers)
    }
    const onAbort = (): void => refuse(signal.reason)
    const leftMs = deadlineAt === undefined ? Number.POSITIVE_INFINITY : deadlineAt - now()
    const timer = setTimeout(
      () => refuse(leftMs < timeoutMs ? deadlineExceeded() : this.#timedOut()),
      Math.max(0, Math.min(timeoutMs, leftMs)),
    )
    signal.addEventListener('abort', onAbort, { once: true })
    this.#waiters.add(waiter)
    if (this.#length > 0 || turns.isWaiting(model)) {
      enter(true)
      return promise
    }
    const before = this.#wakes
    void offer().then((offered) => {
      if (!isOver && offered !== 'gone') enter(this.#wakes !== before)
    })
    return promise
  }

  /** Call when a place may be free. */
  wake(): void {
    this.#wakes++
    if (this.#length > 0) this.#options.turns.wake(this.#options.model)
  }

  /** Rejects all requests, because the model was removed. */
  refuseAll(error: RouterError): void {
    for (const { refuse } of [...this.#waiters]) refuse(error)
  }

  #full(): RouterError {
    return new RouterError(
      'overloaded',
      `All upstreams of the model '${this.#options.model}' are busy and its queue is full`,
      { code: 'queue_full', retryAfterSeconds: this.#pace.retryAfterSeconds(this.#length) },
    )
  }

  #timedOut(): RouterError {
    return new RouterError(
      'overloaded',
      `All upstreams of the model '${this.#options.model}' were busy for too long`,
      { code: 'queue_timeout', retryAfterSeconds: this.#pace.retryAfterSeconds(this.#length) },
    )
  }
}
