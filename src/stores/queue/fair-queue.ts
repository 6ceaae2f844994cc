/**
 * Result of an offer. `served`: the request has a slot. `gone`: it no longer waits. `passed`: no slot is free for this request,
 * but others may accept more targets. `taken`: no slot is free for any request. `away`: unknown, because the store is
 * unreachable.
 */
export type OfferResult = 'served' | 'gone' | 'passed' | 'taken' | 'away'

/** A waiting request. */
export interface Ticket {
  readonly client: string
  /** Weight of its client, above 0. */
  readonly weight: number
  /** Takes a slot if one is free for this request. Never rejects. */
  offer(): Promise<OfferResult>
}

export interface FairQueueOptions {
  /** Polling interval without a hint, in milliseconds. */
  pollMs: { readonly min: number; readonly max: number }
  /** 0 (inclusive) to 1 (exclusive). */
  random(): number
}

/** The waiting requests of one client with one weight, in order of arrival. */
interface Flow {
  readonly weight: number
  readonly tickets: Set<Ticket>
  /** Virtual finish time of its last served request, if all flows were served in parallel. */
  finish: number
}

/**
 * Waiting requests of one model, by weighted fair queueing: clients get slots in proportion to their weights, however many
 * requests each has, and evenly spread, so that a client with a single request waits for at most one request of each client
 * with the same weight. The requests of a client are served in order of arrival. No client starves.
 */
export class FairQueue {
  readonly #options: FairQueueOptions
  readonly #flows = new Map<string, Flow>()
  #length = 0
  /** Virtual time: each served request advances it by 1 / the sum of the active weights. */
  #clock = 0
  #isOffering = false
  #offerAgain = false
  #poll: NodeJS.Timeout | undefined

  constructor(options: FairQueueOptions) {
    this.#options = options
  }

  get length(): number {
    return this.#length
  }

  /** Adds a request. `offers`: whether a slot may be free for it now. */
  enter(ticket: Ticket, offers: boolean): void {
    const flow = this.#flowOf(ticket)
    if (flow.tickets.size === 0) flow.finish = Math.max(flow.finish, this.#clock)
    flow.tickets.add(ticket)
    this.#length++
    if (offers) this.wake()
    else this.#schedulePoll()
  }

  /** Removes a request; idempotent. */
  leave(ticket: Ticket): void {
    if (!this.#flows.get(nameOf(ticket))?.tickets.delete(ticket)) return
    this.#length--
    if (this.#length > 0) return
    this.#flows.clear()
    this.#clock = 0
    clearTimeout(this.#poll)
    this.#poll = undefined
  }

  /** To be called when a slot may be free. */
  wake(): void {
    if (this.#length > 0) void this.#offer()
  }

  /** Yields the waiting requests in the order in which they would be served. */
  *inOrder(): Generator<Ticket, void, undefined> {
    const cursors = Array.from(this.#flows.values(), (flow) => new Cursor(flow))
    for (;;) {
      let first: Cursor | undefined
      for (const cursor of cursors) if (cursor.next && (!first || cursor.isBefore(first))) first = cursor
      if (!first?.next) return
      yield first.next
      first.advance()
    }
  }

  /** Runs one round at a time; a wake-up during a round starts another one. */
  async #offer(): Promise<void> {
    this.#offerAgain = true
    if (this.#isOffering) return
    this.#isOffering = true
    while (this.#offerAgain) {
      this.#offerAgain = false
      while (await this.#serveOne());
    }
    this.#isOffering = false
    this.#schedulePoll()
  }

  /** Offers a slot to the requests in order. Returns whether another one may be served too. */
  async #serveOne(): Promise<boolean> {
    for (const ticket of this.inOrder()) {
      const offered = await ticket.offer()
      if (offered === 'passed') continue
      if (offered === 'served') this.#charge(ticket)
      if (offered === 'served' || offered === 'gone') this.leave(ticket)
      return offered === 'served' || offered === 'gone'
    }
    return false
  }

  #charge(ticket: Ticket): void {
    const flow = this.#flowOf(ticket)
    flow.finish += 1 / flow.weight
    let weights = 0
    for (const other of this.#flows.values())
      if (other === flow || other.tickets.size > 0) weights += other.weight
    this.#clock += 1 / weights
    for (const [name, { tickets, finish }] of this.#flows)
      if (tickets.size === 0 && finish <= this.#clock) this.#flows.delete(name)
  }

  #flowOf(ticket: Ticket): Flow {
    const name = nameOf(ticket)
    let flow = this.#flows.get(name)
    if (!flow) {
      flow = { weight: ticket.weight, tickets: new Set(), finish: this.#clock }
      this.#flows.set(name, flow)
    }
    return flow
  }

  /** Schedules a poll, with jitter so that processes that share a store do not poll it in lockstep. */
  #schedulePoll(): void {
    if (this.#length === 0 || this.#isOffering || this.#poll) return
    const { min, max } = this.#options.pollMs
    this.#poll = setTimeout(
      () => {
        this.#poll = undefined
        this.wake()
      },
      min + (max - min) * this.#options.random(),
    )
  }
}

/** Tolerance for rounding errors of the virtual clock. */
const rounding = 1e-9

/** Iterates over a flow as if each visited request were served. */
class Cursor {
  next: Ticket | undefined
  readonly #flow: Flow
  readonly #tickets: Iterator<Ticket>
  #finish: number

  constructor(flow: Flow) {
    this.#flow = flow
    this.#tickets = flow.tickets.values()
    this.#finish = flow.finish
    this.advance()
  }

  advance(): void {
    const { value, done } = this.#tickets.next()
    this.next = done ? undefined : value
    this.#finish += 1 / this.#flow.weight
  }

  /** Ties go to the flow with fewer requests. */
  isBefore(other: Cursor): boolean {
    const later = this.#finish - other.#finish
    if (Math.abs(later) > rounding) return later < 0
    return this.#flow.tickets.size < other.#flow.tickets.size
  }
}

/** Requests of a client whose weight differs because of their priority form a separate flow. */
function nameOf({ client, weight }: Ticket): string {
  return `${weight} ${client}`
}
