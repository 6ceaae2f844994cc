import { type Channel, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'

/** A session ended before its expiry. `endsAt`: time after which the entry is no longer needed, in milliseconds since 1970. */
export interface EndedSession {
  id: string
  endsAt: number
}

const ended = topic<EndedSession>('session.ended')
const list = topic<void, EndedSession[]>('session.list')

/** Sessions ended on this host. */
export class EndedTable {
  readonly #endsAt = new Map<string, number>()
  readonly #primary: Channel | undefined

  private constructor(primary: Channel | undefined) {
    this.#primary = primary
    primary?.on(ended, (session) => this.#keep(session))
  }

  static async open(primary: Channel | undefined): Promise<EndedTable> {
    const table = new EndedTable(primary)
    for (const session of (await primary?.request(list)) ?? []) table.#keep(session)
    return table
  }

  has(id: string): boolean {
    return this.#endsAt.has(id)
  }

  /** Resolves when the primary of a cluster has notified all its workers. */
  async add(session: EndedSession): Promise<void> {
    this.#keep(session)
    await this.#primary?.request(ended, session)
  }

  #keep({ id, endsAt }: EndedSession): void {
    keep(this.#endsAt, { id, endsAt })
  }
}

/** The primary's side. */
export function serveEndedSessions(workers: WorkerChannels): void {
  const endsAt = new Map<string, number>()
  workers.on(ended, (session) => {
    keep(endsAt, session)
    workers.broadcast(ended, session)
  })
  workers.on(list, () => [...endsAt].map(([id, at]) => ({ id, endsAt: at })))
}

function keep(table: Map<string, number>, { id, endsAt }: EndedSession): void {
  const now = Date.now()
  for (const [other, at] of table) if (at < now) table.delete(other)
  table.set(id, endsAt)
}
