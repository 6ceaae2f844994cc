import {
  type LeaseCandidate,
  type LeaseRequest,
  type LeaseStore,
  noLeaseCounts,
  type StoredLease,
} from './store.ts'

/** A process with waiting requests asks at least this often, in milliseconds; after a longer silence its turn is given up. */
const silentAfterMs = 500
/** Two requests whose waits differ by less than this have no order, in milliseconds. */
const sameAgeMs = 5

interface Held {
  holder: string
  lease: StoredLease
}

interface ModelTable {
  held: Map<string, Held>
  /** The longest wait in each process, by holder, on the table's clock. */
  waiting: Map<string, { since: number; seen: number; ids: ReadonlySet<string> }>
}

/** Which process holds which target: the store of a single process, or what the primary keeps for its workers. */
export class LeaseTable {
  readonly #now: () => number
  readonly #models = new Map<string, ModelTable>()
  readonly #hosts = new HostUse()
  #fence = 0

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** See `LeaseStore.acquire`. `holder` is the process that asks. */
  acquire(holder: string, request: LeaseRequest): StoredLease | undefined {
    const table = this.#table(request.model)
    const already = this.#find(table, holder, request.key)
    if (already) return already.lease
    const target = this.#best(table, request)
    if (!target || this.#isOthersTurn(table, holder, request)) {
      if (request.complete) this.#wait(table, holder, request)
      return undefined
    }
    const lease = { key: request.key, model: request.model, target, fence: ++this.#fence }
    table.held.set(target.id, { holder, lease })
    table.waiting.delete(holder)
    this.#hosts.enter(target.host, request.model)
    return lease
  }

  /** Whether the process held a lease with this key, and now does not. */
  release(holder: string, model: string, key: string): boolean {
    const table = this.#table(model)
    const held = this.#find(table, holder, key)
    if (!held) return false
    const { target } = held.lease
    table.held.delete(target.id)
    this.#hosts.leave(target.host, model)
    this.#forgetIdle(model, table)
    return true
  }

  /** Forgets that the process waits for the model, and takes back what the key may have got. */
  abandon(holder: string, model: string, key: string): void {
    this.#table(model).waiting.delete(holder)
    if (!this.release(holder, model, key)) this.#forgetIdle(model, this.#table(model))
  }

  /** Gives back all that a process holds. Returns the models of which something became free, or a wait ended. */
  releaseAll(holder: string): string[] {
    const changed = new Set<string>()
    for (const [model, table] of this.#models) {
      if (table.waiting.delete(holder)) changed.add(model)
      for (const held of [...table.held.values()]) {
        if (held.holder === holder && this.release(holder, model, held.lease.key)) changed.add(model)
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

  #find(table: ModelTable, holder: string, key: string): Held | undefined {
    for (const held of table.held.values()) if (held.holder === holder && held.lease.key === key) return held
    return undefined
  }

  /** Of the free ones the first with the least rank. */
  #best({ held }: ModelTable, { model, affinity, targets }: LeaseRequest): LeaseCandidate | undefined {
    let best: LeaseCandidate | undefined
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

  #wait(table: ModelTable, holder: string, { waitedMs, targets }: LeaseRequest): void {
    const now = this.#now()
    table.waiting.set(holder, {
      since: now - waitedMs,
      seen: now,
      ids: new Set(targets.map(({ id }) => id)),
    })
  }

  /** Whether as many requests of other processes as there are free targets waited longer for one of them. */
  #isOthersTurn(table: ModelTable, holder: string, request: LeaseRequest): boolean {
    if (table.waiting.size === 0) return false
    const free = request.targets.filter(({ id }) => !table.held.has(id))
    const now = this.#now()
    let older = 0
    for (const [other, { since, seen, ids }] of table.waiting) {
      if (now - seen > silentAfterMs) table.waiting.delete(other)
      else if (
        other !== holder &&
        since < now - request.waitedMs - sameAgeMs &&
        free.some(({ id }) => ids.has(id))
      )
        older++
    }
    return older >= free.length
  }
}

/** Hosts and models to remember: far more than a router has at a time, but configurations change for years. */
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

  /** The one that has been known longest. What is forgotten although it is in use is learned again. */
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

const self = 'self'

/** Leases of a router that is one process. `now`: monotonic milliseconds. */
export function memoryLeases(now: () => number): LeaseStore {
  const table = new LeaseTable(now)
  const listeners: ((model: string) => void)[] = []
  const tell = (model: string): void => {
    for (const listener of listeners) listener(model)
  }
  return {
    counts: noLeaseCounts(),
    pollMs: undefined,
    acquire: async (request) => table.acquire(self, request),
    async release({ model, key }) {
      if (table.release(self, model, key)) tell(model)
    },
    async abandon({ model, key }) {
      table.abandon(self, model, key)
      tell(model)
    },
    onFreed: (listener) => {
      listeners.push(listener)
    },
    async close() {
      for (const model of table.releaseAll(self)) tell(model)
    },
  }
}
