import type { LeaseWish, StoredLease, WishedTarget } from '../../sdk/lease-store.ts'

/** A process that waits shows itself at least this often, in milliseconds; one that does not loses its place. */
const silentAfterMs = 500
/** Two requests that waited nearly as long as one another take what comes, in milliseconds. */
const sameAgeMs = 5

interface Held {
  owner: string
  lease: StoredLease
}

interface ModelTable {
  held: Map<string, Held>
  /** The longest wait in each process, by owner, on the table's clock. */
  waiting: Map<string, { since: number; seen: number; ids: ReadonlySet<string> }>
}

/** Who holds what, within one process: the store itself, or what the primary keeps for its workers. */
export class LeaseTable {
  readonly #now: () => number
  readonly #models = new Map<string, ModelTable>()
  readonly #hosts = new HostUse()
  #fence = 0

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** See `LeaseStore.acquire`. `owner` is the process that asks. */
  acquire(owner: string, wish: LeaseWish): StoredLease | undefined {
    const table = this.#table(wish.model)
    const already = this.#find(table, owner, wish.key)
    if (already) return already.lease
    const target = this.#best(table, wish)
    if (!target || this.#isOthersTurn(table, owner, wish)) {
      if (wish.complete) this.#wait(table, owner, wish)
      return undefined
    }
    const lease = { key: wish.key, model: wish.model, target, fence: ++this.#fence }
    table.held.set(target.id, { owner, lease })
    table.waiting.delete(owner)
    this.#hosts.enter(target.host, wish.model)
    return lease
  }

  /** Whether the owner held a lease with this key, and now does not. */
  release(owner: string, model: string, key: string): boolean {
    const table = this.#table(model)
    const held = this.#find(table, owner, key)
    if (!held) return false
    const { target } = held.lease
    table.held.delete(target.id)
    this.#hosts.leave(target.host, model)
    this.#forgetIdle(model, table)
    return true
  }

  /** Forgets that the owner waits for the model, and takes back what the key may have got. */
  abandon(owner: string, model: string, key: string): void {
    this.#table(model).waiting.delete(owner)
    if (!this.release(owner, model, key)) this.#forgetIdle(model, this.#table(model))
  }

  /** Gives back all that an owner has. Returns the models of which something became free, or a wait ended. */
  releaseOwner(owner: string): string[] {
    const changed = new Set<string>()
    for (const [model, table] of this.#models) {
      if (table.waiting.delete(owner)) changed.add(model)
      for (const held of [...table.held.values()]) {
        if (held.owner === owner && this.release(owner, model, held.lease.key)) changed.add(model)
      }
    }
    return [...changed]
  }

  #table(model: string): ModelTable {
    let table = this.#models.get(model)
    if (!table) {
      table = { held: new Map(), waiting: new Map() }
      this.#models.set(model, table)
    }
    return table
  }

  /** Models come and go with the configuration. */
  #forgetIdle(model: string, { held, waiting }: ModelTable): void {
    if (held.size === 0 && waiting.size === 0) this.#models.delete(model)
  }

  #find(table: ModelTable, owner: string, key: string): Held | undefined {
    for (const held of table.held.values()) if (held.owner === owner && held.lease.key === key) return held
    return undefined
  }

  /** Of the free ones the first with the least rank. */
  #best({ held }: ModelTable, { model, affinity, targets }: LeaseWish): WishedTarget | undefined {
    let best: WishedTarget | undefined
    let least = Number.POSITIVE_INFINITY
    for (const target of targets) {
      if (held.has(target.id)) continue
      const rank = (target.reserve ? 100 : 0) + (affinity ? this.#hosts.rank(target.host, model) : 0)
      if (rank >= least) continue
      best = target
      least = rank
      if (rank === 0) break
    }
    return best
  }

  #wait(table: ModelTable, owner: string, { waitedMs, targets }: LeaseWish): void {
    const now = this.#now()
    table.waiting.set(owner, {
      since: now - waitedMs,
      seen: now,
      ids: new Set(targets.map(({ id }) => id)),
    })
  }

  /** Whether as many requests of other processes as there are free targets waited longer for one of them. */
  #isOthersTurn(table: ModelTable, owner: string, wish: LeaseWish): boolean {
    if (table.waiting.size === 0) return false
    const free = wish.targets.filter(({ id }) => !table.held.has(id))
    const now = this.#now()
    let older = 0
    for (const [other, { since, seen, ids }] of table.waiting) {
      if (now - seen > silentAfterMs) table.waiting.delete(other)
      else if (
        other !== owner &&
        since < now - wish.waitedMs - sameAgeMs &&
        free.some(({ id }) => ids.has(id))
      )
        older++
    }
    return older >= free.length
  }
}

/** Hosts and models to remember: far over what a router has at a time, and configurations change for years. */
const mostKept = 10_000

/** Which models the hosts run now and ran before: the memory behind `first_available_optim`. */
class HostUse {
  /** Host to model to leases. */
  readonly #running = new Map<string, Map<string, number>>()
  readonly #used = new Set<string>()
  readonly #known = new Map<string, Set<string>>()
  readonly #last = new Map<string, string>()

  enter(host: string, model: string): void {
    const models = this.#running.get(host) ?? new Map<string, number>()
    models.set(model, (models.get(model) ?? 0) + 1)
    this.#running.set(host, models)
    this.#used.add(host)
    this.#known.set(model, (this.#known.get(model) ?? new Set()).add(host))
    this.#last.set(model, host)
    if (this.#used.size > mostKept) this.#forgetHost()
    if (this.#known.size > mostKept) this.#forgetModel()
  }

  leave(host: string, model: string): void {
    const models = this.#running.get(host)
    const left = (models?.get(model) ?? 0) - 1
    if (left > 0) models?.set(model, left)
    else models?.delete(model)
    if (models?.size === 0) this.#running.delete(host)
  }

  /** Lower is better: the last host of the model, one that ran it before, one that ran nothing, idle, the rest. */
  rank(host: string, model: string): number {
    const models = [...(this.#running.get(host)?.keys() ?? [])]
    if (models.some((other) => other !== model)) return 4
    if (this.#last.get(model) === host) return 0
    if (this.#known.get(model)?.has(host)) return 1
    return this.#used.has(host) ? 3 : 2
  }

  /** The one that was first heard of. What is wrongly forgotten is learned anew. */
  #forgetHost(): void {
    const [host = ''] = this.#used
    this.#used.delete(host)
    for (const hosts of this.#known.values()) hosts.delete(host)
  }

  #forgetModel(): void {
    const [model = ''] = this.#known.keys()
    this.#known.delete(model)
    this.#last.delete(model)
  }
}
