import { FairQueue, type FairQueueOptions, type Ticket } from './fair-queue.ts'

/** The waiting requests of a host, in a fair order for each model. */
export interface RequestQueue {
  /** Adds a request. `offers`: whether a slot may be free for it now. */
  enter(model: string, ticket: Ticket, offers: boolean): void
  /** Removes a request; idempotent. */
  leave(model: string, ticket: Ticket): void
  /** To be called when a slot may be free. */
  wake(model: string): void
  /** Whether requests wait for the model in any process of this host. */
  isWaiting(model: string): boolean
}

/** The queue of one process, or of the primary for its workers. */
export class LocalQueue implements RequestQueue {
  readonly #options: FairQueueOptions
  readonly #queues = new Map<string, FairQueue>()

  constructor(options: FairQueueOptions) {
    this.#options = options
  }

  enter(model: string, ticket: Ticket, offers: boolean): void {
    let queue = this.#queues.get(model)
    if (!queue) {
      queue = new FairQueue(this.#options)
      this.#queues.set(model, queue)
    }
    queue.enter(ticket, offers)
  }

  leave(model: string, ticket: Ticket): void {
    this.#queues.get(model)?.leave(ticket)
    // Models come and go with the configuration.
    if (!this.isWaiting(model)) this.#queues.delete(model)
  }

  wake(model: string): void {
    this.#queues.get(model)?.wake()
  }

  isWaiting(model: string): boolean {
    return (this.#queues.get(model)?.length ?? 0) > 0
  }

  /** Models for which requests wait. */
  models(): string[] {
    return [...this.#queues.keys()].filter((model) => this.isWaiting(model))
  }
}
