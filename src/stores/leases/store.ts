/** A target that a request could use. */
export interface LeaseCandidate {
  readonly id: string
  /** Its host; several targets may share one. */
  readonly host: string
  /** A standby or degraded target, used only if all others are taken. */
  readonly reserve: boolean
  /** Maximum number of concurrent leases per model and id; 1: exclusive. */
  readonly places: number
}

/** What a request asks for, repeatedly, until it gets a lease or stops waiting. */
export interface LeaseRequest {
  /** 96 random bits in hex, the same for every call of a request: after a lost response, the next call finds its lease. */
  readonly key: string
  readonly model: string
  /** In order of preference; empty while all are down. */
  readonly targets: readonly LeaseCandidate[]
  /** Hosts that have the model loaded come before the order of preference. */
  readonly affinity: boolean
  /**
   * No target is excluded because the request failed there before. Only such a request makes requests of other hosts
   * wait for their turn at the same targets.
   */
  readonly complete: boolean
}

export interface StoredLease {
  readonly key: string
  readonly model: string
  readonly target: LeaseCandidate
  /** Increases with every lease of the model; 0 for a lease granted without the shared store. */
  readonly fence: number
}

/**
 * Records which request holds a slot at which target, for all processes that share the store.
 *
 * Choosing a target and taking its slot is atomic. A lease ends by `release`, by `close`, and within the
 * store's own bound when its process dies; never by the start of another process.
 */
export interface LeaseStore {
  /**
   * Takes a free slot at a target. Undefined: there is none, or it is another host's turn. Rejects with
   * StoreDownError when the store cannot decide (ask again later with the same key), or with a RouterError for the client.
   */
  acquire(request: LeaseRequest): Promise<StoredLease | undefined>
  /** Releases a lease. A second call, or one after the target was taken over, has no effect. Never rejects. */
  release(lease: StoredLease): Promise<void>
  /** The request will not ask again: releases whatever a lost response may have granted. Never rejects. */
  abandon(request: LeaseRequest): Promise<void>
  /** Calls back with a model's alias when a slot of one of its targets becomes free, in any process. Messages may be lost. */
  onFreed(listener: (model: string) => void): void
  /**
   * Calls back once for each lease that this process has not released and that another process has taken over. Only for
   * leases granted by the shared store. Absent if that cannot happen.
   */
  onRevoked?(listener: (lease: StoredLease) => void): void
  readonly counts: LeaseCounts
  /** Whether the external store responded the last time; absent if there is none. */
  readonly reachable?: boolean
  /** Releases everything that this process still holds. */
  close(): Promise<void>
}

/** Counted since the start, for metrics. */
export interface LeaseCounts {
  /** Granted while the shared store was down: limited within this process only. */
  local: number
  /** Taken over by another process while still in use here: the target ran two requests at once. */
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
