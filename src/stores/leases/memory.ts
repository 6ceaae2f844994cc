import {
  type LeaseCandidate,
  type LeaseRequest,
  type LeaseStore,
  noLeaseCounts,
  type StoredLease,
} from './store.ts'

interface ModelTable {
  /** By holder and key of the lease. */
  held: Map<string, StoredLease>
  /** Leases by target id. */
  used: Map<string, number>
}

/** Which process holds which slots: the store of a single process, or the primary's store for its workers. */
export class LeaseTable {
  readonly #models = new Map<string, ModelTable>()
  readonly #hosts = new HostHistory()
  #fence = 0

  /** See `LeaseStore.acquire`. `holder`: the requesting process. */
  acquire(holder: string, request: LeaseRequest): StoredLease | undefined {
    const { key, model } = request
    const table = this.#table(model)
    const existing = table.held.get(nameOf(holder, key))
    if (existing) return existing
    const target = this.#best(table, request)
    if (!target) {
      this.#forgetIdle(model, table)
      return undefined
    }
    const lease = { key, model, target, fence: ++this.#fence }
    table.held.set(nameOf(holder, key), lease)
    table.used.set(target.id, (table.used.get(target.id) ?? 0) + 1)
    this.#hosts.enter(target.host, model)
    return lease
  }

  /** Releases a lease. Returns whether the process held it. */
  release(holder: string, model: string, key: string): boolean {
    const table = this.#table(model)
    const lease = table.held.get(nameOf(holder, key))
    if (lease) {
      const { id, host } = lease.target
      table.held.delete(nameOf(holder, key))
      const remaining = (table.used.get(id) ?? 0) - 1
      if (remaining > 0) table.used.set(id, remaining)
      else table.used.delete(id)
      this.#hosts.leave(host, model)
    }
    this.#forgetIdle(model, table)
    return lease !== undefined
  }

  /** Releases all leases of a process. Returns the models that have a free slot now. */
  releaseAll(holder: string): string[] {
    const changed = new Set<string>()
    for (const [model, { held }] of this.#models) {
      for (const [name, { key }] of [...held])
        if (name === nameOf(holder, key) && this.release(holder, model, key)) changed.add(model)
    }
    return [...changed]
  }

  #table(model: string): ModelTable {
    let table = this.#models.get(model)
    if (!table) {
      table = { held: new Map(), used: new Map() }
      this.#models.set(model, table)
    }
    return table
  }

  /** Models come and go with the configuration. */
  #forgetIdle(model: string, { held }: ModelTable): void {
    if (held.size === 0) this.#models.delete(model)
  }

  /** Returns the first target of the lowest rank that has a free slot. */
  #best({ used }: ModelTable, { model, affinity, targets }: LeaseRequest): LeaseCandidate | undefined {
    let best: LeaseCandidate | undefined
    let bestRank = Number.POSITIVE_INFINITY
    for (const target of targets) {
      if ((used.get(target.id) ?? 0) >= target.slots) continue
      const rank = (target.isLastResort ? 100 : 0) + (affinity ? this.#hosts.rank(target.host, model) : 0)
      if (rank >= bestRank) continue
      best = target
      bestRank = rank
      if (rank === 0) break
    }
    return best
  }
}

function nameOf(holder: string, key: string): string {
  return `${holder} ${key}`
}

/**
 * Maximum number of remembered hosts and models, far more than a configuration has: those of earlier configurations are
 * evicted.
 */
const maxRemembered = 10_000

/** The models that each host is running and has run before: the state of `first_available_optim`. */
class HostHistory {
  /** Number of leases by host and model. */
  readonly #running = new Map<string, Map<string, number>>()
  readonly #usedHosts = new Set<string>()
  readonly #hostsByModel = new Map<string, Set<string>>()
  readonly #lastHost = new Map<string, string>()

  enter(host: string, model: string): void {
    const models = this.#running.get(host) ?? new Map<string, number>()
    models.set(model, (models.get(model) ?? 0) + 1)
    this.#running.set(host, models)
    this.#usedHosts.add(host)
    this.#hostsByModel.set(model, (this.#hostsByModel.get(model) ?? new Set()).add(host))
    this.#lastHost.set(model, host)
    if (this.#usedHosts.size > maxRemembered) this.#forgetHost()
    if (this.#hostsByModel.size > maxRemembered) this.#forgetModel()
  }

  leave(host: string, model: string): void {
    const models = this.#running.get(host)
    const remaining = (models?.get(model) ?? 0) - 1
    if (remaining > 0) models?.set(model, remaining)
    else models?.delete(model)
    if (models?.size === 0) this.#running.delete(host)
  }

  /**
   * Lower is better. 0: the last host of the model; 1: it ran the model before; 2: it ran nothing; 3: idle; 4: it runs another
   * model.
   */
  rank(host: string, model: string): number {
    const models = [...(this.#running.get(host)?.keys() ?? [])]
    if (models.some((other) => other !== model)) return 4
    if (this.#lastHost.get(model) === host) return 0
    if (this.#hostsByModel.get(model)?.has(host)) return 1
    return this.#usedHosts.has(host) ? 3 : 2
  }

  /** Evicts the oldest entry. If it is still in use, it is added again with the next lease. */
  #forgetHost(): void {
    const [host = ''] = this.#usedHosts
    this.#usedHosts.delete(host)
    for (const hosts of this.#hostsByModel.values()) hosts.delete(host)
  }

  #forgetModel(): void {
    const [model = ''] = this.#hostsByModel.keys()
    this.#hostsByModel.delete(model)
    this.#lastHost.delete(model)
  }
}

const self = 'self'

/** Leases of a single-process router. */
export function memoryLeases(): LeaseStore {
  const table = new LeaseTable()
  const listeners: ((model: string) => void)[] = []
  const announceFreed = (model: string): void => {
    for (const listener of listeners) listener(model)
  }
  const release = async ({ model, key }: Pick<StoredLease, 'model' | 'key'>): Promise<void> => {
    if (table.release(self, model, key)) announceFreed(model)
  }
  return {
    counts: noLeaseCounts(),
    acquire: async (request) => table.acquire(self, request),
    release,
    abandon: release,
    onFreed: (listener) => {
      listeners.push(listener)
    },
    async close() {
      for (const model of table.releaseAll(self)) announceFreed(model)
    },
  }
}
