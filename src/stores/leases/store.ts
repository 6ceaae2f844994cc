/** A target that a request could use. */
export interface LeaseCandidate {
  readonly id: string
  /** The machine behind it; several targets may share one. */
  readonly host: string
  /** A standby target, or a degraded one: taken only when all others are taken. */
  readonly reserve: boolean
  /** So many leases at a time, for each model and id; 1: exclusive. */
  readonly places: number
}

/** What a request asks for, repeatedly, until it gets a lease or gives up. */
export interface LeaseRequest {
  /** 96 random bits in hex, the same each time one request asks: if an answer was lost, the next call finds its lease. */
  readonly key: string
  readonly model: string
  /** In the order of preference; empty while all are down. */
  readonly targets: readonly LeaseCandidate[]
  /** Hosts that have the model loaded come before the order of preference. */
  readonly affinity: boolean
  /**
   * No target is left out because this request failed there already. Only such a request makes the requests of other hosts
   * wait for their turn, as far as those want the same targets.
   */
  readonly complete: boolean
}

export interface StoredLease {
  readonly key: string
  readonly model: string
  readonly target: LeaseCandidate
  /** Grows with every lease of the model; 0 for a lease that was granted without the shared store. */
  readonly fence: number
}

/**
 * Holds which request has a place at which target, for all processes that share the store.
 *
 * Atomic: choosing among the targets of a request and taking a place of one. A lease ends by `release`, by `close`, and within the
 * store's own bound when its process dies; never by the start of another process.
 */
export interface LeaseStore {
  /**
   * Takes a place at a target that has one free. Undefined: none has, or it is another host's turn. Rejects with
   * StoreDownError when the store cannot decide (ask again later with the same key), or with a RouterError for the client.
   */
  acquire(request: LeaseRequest): Promise<StoredLease | undefined>
  /** Gives a lease back. A second call, or one after another request took the target over, changes nothing. Never rejects. */
  release(lease: StoredLease): Promise<void>
  /** The request will not ask again: takes back whatever a lost answer may have granted. Never rejects. */
  abandon(request: LeaseRequest): Promise<void>
  /** Calls back with a model's alias after a place of one of its targets became free, in any process. A hint: some may be lost. */
  onFreed(listener: (model: string) => void): void
  /**
   * Calls back, once for each, when a lease that this process has not given back now belongs to another process. Only for
   * leases that the shared store granted. Absent: that cannot happen.
   */
  onRevoked?(listener: (lease: StoredLease) => void): void
  readonly counts: LeaseCounts
  /** Whether the external store answered the last time; absent where there is none. */
  readonly reachable?: boolean
  /** Gives back everything that this process still holds. */
  close(): Promise<void>
}

/** Counted since the start, for metrics. */
export interface LeaseCounts {
  /** Granted while the shared store was down: limited within this process only. */
  local: number
  /** Taken by another process although still in use here: the target ran two requests at once. */
  revoked: number
}

/** The store cannot be reached now. */
export class StoreDownError extends Error {
  constructor(cause?: unknown) {
    super('the lease store cannot be reached', { cause })
    this.name = 'StoreDownError'
  }
}

export function noLeaseCounts(): LeaseCounts {
  return { local: 0, revoked: 0 }
}
