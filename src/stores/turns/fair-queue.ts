/**
 * Result of an offer. `served`: the request has a slot. `gone`: it no longer waits. `passed`: nothing is free for this
 * one, but others may accept more targets. `taken`: nothing is free for any request. `away`: undecidable now.
 */
export type Offered = 'served' | 'gone' | 'passed' | 'taken' | 'away'

/** A waiting request. */
export interface Ticket {
  readonly client: string
  /** Weight of its client, over 0. */
  readonly weight: number
  /** Takes a slot if one is free for this request. Never rejects. */
  offer(): Promise<Offered>
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
  /** When its last served request would have ended if all flows were served at once, on the queue's virtual clock. */
  finish: number
}

/**
 * Waiting requests of one model. Clients get slots in proportion to their weights, however many requests each has:
 * weighted fair queueing, which is deficit round robin with the turns of a client spread evenly, so that a client with a
 * single request waits for at most one request of another client with the same weight. The requests of a client are in order
 * of arrival. Nothing starves: each weight gets its share.
 */
export class FairQueue {
  readonly #options: FairQueueOptions
  readonly #flows = new Map<string, Flow>()
  #length = 0
  /** Advances by the share of one request with each served request. */
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

  /** `offers`: called when a slot may be free for it. */
  enter(ticket: Ticket, offers: boolean): void {
    const flow = this.#flowOf(ticket)
    if (flow.tickets.size === 0) flow.finish = Math.max(flow.finish, this.#clock)
    flow.tickets.add(ticket)
    this.#length++
    if (offers) this.wake()
    else this.#schedulePoll()
  }

  /** Idempotent. */
  leave(ticket: Ticket): void {
    if (!this.#flows.get(nameOf(ticket))?.tickets.delete(ticket)) return
    this.#length--
    if (this.#length > 0) return
    this.#flows.clear()
    this.#clock = 0
    clearTimeout(this.#poll)
    this.#poll = undefined
  }

  /** Call when a place may be free. */
  wake(): void {
    if (this.#length > 0) void this.#offer()
  }

  /** The waiting requests in serving order. */
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

  /** Whether the next one may be served too. */
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
    for (const each of this.#flows.values())
      if (each === flow || each.tickets.size > 0) weights += each.weight
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

  /** Adds jitter, so that processes sharing a store do not poll it in lockstep. */
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

/** Iterates over a flow as if each passed request were served. */
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

  /** Tie-break: the flow with fewer requests, because earlier usage is not known. */
  isBefore(other: Cursor): boolean {
    const later = this.#finish - other.#finish
    if (Math.abs(later) > rounding) return later < 0
    return this.#flow.tickets.size < other.#flow.tickets.size
  }
}

/** Requests of a client with another weight, due to their priority, form a separate flow. */
function nameOf({ client, weight }: Ticket): string {
  return `${weight} ${client}`
}
