import { type Channel, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'

/**
 * A session that was ended before it expired. `endsAt`: its expiry in milliseconds since 1970, when the entry is no longer
 * needed.
 */
export interface EndedSession {
  id: string
  endsAt: number
}

const ended = topic<EndedSession>('session.ended')
const list = topic<void, EndedSession[]>('session.list')

/** Sessions ended on this host. */
export class EndedSessions {
  readonly #endsAt = new Map<string, number>()
  readonly #primary: Channel | undefined

  private constructor(primary: Channel | undefined) {
    this.#primary = primary
    primary?.on(ended, (session) => this.#store(session))
  }

  static async open(primary: Channel | undefined): Promise<EndedSessions> {
    const table = new EndedSessions(primary)
    for (const session of (await primary?.request(list)) ?? []) table.#store(session)
    return table
  }

  has(id: string): boolean {
    return this.#endsAt.has(id)
  }

  /** Adds a session. Resolves when the primary of a cluster has notified all workers. */
  async add(session: EndedSession): Promise<void> {
    this.#store(session)
    await this.#primary?.request(ended, session)
  }

  #store({ id, endsAt }: EndedSession): void {
    storeEnded(this.#endsAt, { id, endsAt })
  }
}

/** The primary's side: keeps ended sessions and notifies all workers. */
export function serveEndedSessions(workers: WorkerChannels): void {
  const endsAt = new Map<string, number>()
  workers.on(ended, (session) => {
    storeEnded(endsAt, session)
    workers.broadcast(ended, session)
  })
  workers.on(list, () => [...endsAt].map(([id, at]) => ({ id, endsAt: at })))
}

function storeEnded(table: Map<string, number>, { id, endsAt }: EndedSession): void {
  const now = Date.now()
  for (const [other, at] of table) if (at < now) table.delete(other)
  table.set(id, endsAt)
}
