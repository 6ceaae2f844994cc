import type { Count } from './families.ts'

interface Server {
  gpus: number
  /** Attempts in flight, by the series that their time goes to. */
  readonly open: Map<Count, number>
  attempts: number
  /** Monotonic milliseconds up to which its time has been divided. */
  dividedAt: number
}

/**
 * Divides the time of servers among the attempts that they work on: each second in which a server has any is divided equally among
 * them, times its accelerators. So the sum never exceeds the time of all servers.
 */
export class BusyClock {
  readonly #now: () => number
  readonly #othersAt: (server: string) => number
  readonly #servers = new Map<string, Server>()

  /** `now`: monotonic milliseconds. `othersAt`: attempts of other processes that a server works on. */
  constructor(now: () => number, othersAt: (server: string) => number = () => 0) {
    this.#now = now
    this.#othersAt = othersAt
  }

  /** An attempt begins, whose seconds are added to `series`. */
  begin(key: string, gpus: number, series: Count): void {
    const server = this.#servers.get(key) ?? { gpus, open: new Map(), attempts: 0, dividedAt: this.#now() }
    this.#servers.set(key, server)
    this.#divide(key, server)
    server.gpus = Math.max(server.gpus, gpus)
    server.attempts++
    server.open.set(series, (server.open.get(series) ?? 0) + 1)
  }

  /** To be called once for each `begin`, with the same server and series. */
  end(key: string, series: Count): void {
    const server = this.#servers.get(key)
    const open = server?.open.get(series)
    if (!server || open === undefined) return
    this.#divide(key, server)
    server.attempts--
    if (open > 1) server.open.set(series, open - 1)
    else server.open.delete(series)
    if (server.attempts === 0) this.#servers.delete(key)
  }

  /** Divides the time up to now. */
  divide(): void {
    for (const [key, server] of this.#servers) this.#divide(key, server)
  }

  #divide(key: string, server: Server): void {
    const now = this.#now()
    const seconds = ((now - server.dividedAt) / 1000) * server.gpus
    server.dividedAt = now
    if (server.attempts === 0) return
    const share = seconds / (server.attempts + this.#othersAt(key))
    for (const [series, count] of server.open) series.value += share * count
  }
}
