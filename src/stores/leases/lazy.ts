import { type LeaseStore, noLeaseCounts, type StoredLease } from './store.ts'

/**
 * A store that is opened when it is first needed: a reload may add a model that needs leases. No lease may be requested
 * before `open`; after it, requests wait until the store is open.
 */
export class LazyLeases implements LeaseStore {
  readonly #create: () => Promise<LeaseStore>
  readonly #freed: ((model: string) => void)[] = []
  readonly #revoked: ((lease: StoredLease) => void)[] = []
  readonly #none = noLeaseCounts()
  #opening: Promise<LeaseStore> | undefined
  #store: LeaseStore | undefined

  constructor(create: () => Promise<LeaseStore>) {
    this.#create = create
  }

  /** Opens the store; idempotent. Errors are thrown to callers that request a lease. */
  open(): void {
    this.#opening ??= this.#open()
    this.#opening.catch(() => undefined)
  }

  async #open(): Promise<LeaseStore> {
    const store = await this.#create()
    for (const listener of this.#freed) store.onFreed(listener)
    for (const listener of this.#revoked) store.onRevoked?.(listener)
    this.#store = store
    return store
  }

  get counts(): LeaseStore['counts'] {
    return this.#store?.counts ?? this.#none
  }

  get reachable(): boolean {
    return this.#store?.reachable ?? true
  }

  async acquire(request: Parameters<LeaseStore['acquire']>[0]): Promise<StoredLease | undefined> {
    return (await this.#opening)?.acquire(request)
  }

  async release(lease: StoredLease): Promise<void> {
    await this.#store?.release(lease)
  }

  async abandon(request: Parameters<LeaseStore['abandon']>[0]): Promise<void> {
    await this.#store?.abandon(request)
  }

  onFreed(listener: (model: string) => void): void {
    this.#freed.push(listener)
    this.#store?.onFreed(listener)
  }

  onRevoked(listener: (lease: StoredLease) => void): void {
    this.#revoked.push(listener)
    this.#store?.onRevoked?.(listener)
  }

  async close(): Promise<void> {
    await (await this.#opening?.catch(() => undefined))?.close()
  }
}
