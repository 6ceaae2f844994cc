import type { Ticket } from '../../stores/queue/fair-queue.ts'

type Waiting = Pick<Ticket, 'client' | 'weight'>

/** Tolerance for rounding errors of the shares. */
const rounding = 1e-9

/** The waiting requests of one model in this process, by client. */
export class WaitingRequests<Request extends Waiting> {
  length = 0
  /** `share`: the sum of 1 / weight over the client's requests. */
  readonly #ofClient = new Map<string, { requests: Set<Request>; share: number }>()

  add(request: Request): void {
    const { client, weight } = request
    const known = this.#ofClient.get(client) ?? { requests: new Set(), share: 0 }
    known.requests.add(request)
    known.share += 1 / weight
    this.#ofClient.set(client, known)
    this.length++
  }

  /** Idempotent. */
  delete(request: Request): void {
    const known = this.#ofClient.get(request.client)
    if (!known?.requests.delete(request)) return
    known.share -= 1 / request.weight
    if (known.requests.size === 0) this.#ofClient.delete(request.client)
    this.length--
  }

  /** The newest request of the client with the largest share; undefined if no share is larger than the one of `arriving` would be. */
  displacedBy({ client, weight }: Waiting): Request | undefined {
    let largest = (this.#ofClient.get(client)?.share ?? 0) + 1 / weight + rounding
    let found: ReadonlySet<Request> | undefined
    for (const { requests, share } of this.#ofClient.values()) {
      if (share <= largest) continue
      largest = share
      found = requests
    }
    return found && [...found].at(-1)
  }
}
