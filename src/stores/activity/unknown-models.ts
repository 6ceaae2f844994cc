import type { UnknownModel } from '../../sdk/console/recent-requests.ts'
import type { UnknownAsked } from './store.ts'

const maxNames = 100
const maxClients = 5

/** The latest unknown model names that clients requested. */
export class UnknownModels {
  readonly #byName = new Map<string, UnknownModel>()

  add({ name, client, exists }: UnknownAsked, at: string): void {
    const known = this.#byName.get(name) ?? { name, count: 0, first: at, last: at, clients: [], exists }
    known.count++
    known.last = at
    known.exists = exists
    if (client !== null && !known.clients.includes(client) && known.clients.length < maxClients)
      known.clients.push(client)
    // The map is ordered by last request.
    this.#byName.delete(name)
    this.#byName.set(name, known)
    const [oldest] = this.#byName.keys()
    if (this.#byName.size > maxNames && oldest !== undefined) this.#byName.delete(oldest)
  }

  /** Latest first. */
  all(): UnknownModel[] {
    return [...this.#byName.values()].reverse()
  }
}
