import type { ClientKey } from '../../sdk/client-key.ts'
import { permissionsRevision } from './rules.ts'

/** Knows which clients have lost or changed their rights since it looked the last time. */
export class KnownClients {
  readonly #clients: () => readonly ClientKey[]
  #revisions: ReadonlyMap<string, string> = new Map()

  constructor(clients: () => readonly ClientKey[]) {
    this.#clients = clients
  }

  /** Ids of those that are gone, disabled, or may do other things. */
  changed(): string[] {
    const before = this.#revisions
    const enabled = this.#clients().filter((client) => client.enabled)
    this.#revisions = new Map(enabled.map((client) => [client.id, permissionsRevision(client)]))
    return [...before].filter(([id, revision]) => this.#revisions.get(id) !== revision).map(([id]) => id)
  }
}
