import type { Target } from '../../sdk/target.ts'

/** Receives the seconds. */
export interface BusyAccount {
  value: number
}

interface Server {
  gpus: number
  /** Attempts in flight by the account that is charged. */
  readonly open: Map<BusyAccount, number>
  attempts: number
  /** Time up to which its time has been divided, in monotonic milliseconds. */
  dividedAt: number
}

type BusyTarget = Pick<Target, 'origin' | 'connection' | 'id' | 'gpus'>

/**
 * Divides server time among running attempts: each second in which a server is busy is divided equally among
 * them, multiplied by its accelerators, so the sum never exceeds the total time of all servers.
 */
export class BusyClock<T extends BusyTarget = BusyTarget> {
  readonly #now: () => number
  readonly #othersAt: (target: T) => number
  readonly #servers = new Map<string, Server & { target: T }>()

  /** `now`: monotonic milliseconds. `othersAt`: attempts of other processes at the target's server. */
  constructor(now: () => number, othersAt: (target: T) => number = () => 0) {
    this.#now = now
    this.#othersAt = othersAt
  }

  /** Starts an attempt whose seconds are added to each of the accounts. Call the result once, at its end. */
  begin(target: T, ...accounts: BusyAccount[]): () => void {
    const { gpus = 1 } = target
    const key = serverOf(target)
    const known = this.#servers.get(key)
    const server = known ?? { gpus, target, open: new Map(), attempts: 0, dividedAt: this.#now() }
    this.#servers.set(key, server)
    this.#divide(server)
    server.target = target
    server.gpus = Math.max(server.gpus, gpus)
    server.attempts++
    for (const account of accounts) server.open.set(account, (server.open.get(account) ?? 0) + 1)
    return () => {
      this.#divide(server)
      server.attempts--
      for (const account of accounts) {
        const left = (server.open.get(account) ?? 0) - 1
        if (left > 0) server.open.set(account, left)
        else server.open.delete(account)
      }
      if (server.attempts === 0) this.#servers.delete(key)
    }
  }

  /** Divides the time up to now. */
  divide(): void {
    for (const server of this.#servers.values()) this.#divide(server)
  }

  #divide(server: Server & { target: T }): void {
    const now = this.#now()
    const seconds = ((now - server.dividedAt) / 1000) * server.gpus
    server.dividedAt = now
    if (server.attempts === 0) return
    const share = seconds / (server.attempts + this.#othersAt(server.target))
    for (const [account, count] of server.open) account.value += share * count
  }
}

/** Targets of several models may be one server. */
function serverOf({ origin, connection, id }: BusyTarget): string {
  return origin === '' ? id : `${origin} ${connection?.address ?? ''} ${connection?.port ?? ''}`
}
