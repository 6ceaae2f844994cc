/** A target that a request could use. */
export interface LeaseCandidate {
  readonly id: string
  /** Its host; several targets may share one. */
  readonly host: string
  /** A standby or degraded target, used only if all others are in use. */
  readonly isLastResort: boolean
  /** Maximum number of concurrent leases per model and id; 1: exclusive. */
  readonly slots: number
}

/** A request for a lease, repeated until it is granted or the client request stops waiting. */
export interface LeaseRequest {
  /** 96 random bits in hex, the same for all calls of a request, so that a call after a timed-out one finds its lease. */
  readonly key: string
  readonly model: string
  /** In order of preference; empty while all are down. */
  readonly targets: readonly LeaseCandidate[]
  /** Whether hosts that have the model loaded take precedence over the order of `targets`. */
  readonly affinity: boolean
  /**
   * Whether no target is excluded because the request failed there before. Only such requests are queued in Redis, where
   * requests of other hosts at the same targets wait behind them.
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
 * Choosing a target and taking its slot is atomic. A lease ends by `release`, by `close`, or, if its process dies, within a
 * time limit of the store; never because another process starts.
 */
export interface LeaseStore {
  /**
   * Takes a free slot at a target. Resolves to undefined if there is none, or if another host is next. Rejects with
   * StoreDownError if the store is unreachable (retry with the same key), or with a RouterError for the client.
   */
  acquire(request: LeaseRequest): Promise<StoredLease | undefined>
  /** Releases a lease. A second call, or one for a revoked lease, has no effect. Never rejects. */
  release(lease: StoredLease): Promise<void>
  /** To be called if a request stops waiting: releases a lease that a timed-out call may have granted. Never rejects. */
  abandon(request: LeaseRequest): Promise<void>
  /**
   * Calls `listener` with a model's alias when a slot of one of its targets becomes free in any process. Messages may be
   * dropped.
   */
  onFreed(listener: (model: string) => void): void
  /**
   * Calls `listener` once for each revoked lease: this process has not released it, but another one has taken over its slot.
   * Only for leases granted by the shared store. Absent if that cannot happen.
   */
  onRevoked?(listener: (lease: StoredLease) => void): void
  readonly counts: LeaseCounts
  /** Whether the last call of the external store succeeded; absent if there is none. */
  readonly reachable?: boolean
  /** Releases all leases of this process. */
  close(): Promise<void>
}

/** Counters since startup, for metrics. */
export interface LeaseCounts {
  /** Leases granted while the shared store was down, limited within this process only. */
  local: number
  /** Leases taken over by another process while still in use here, so that a slot was used twice. */
  revoked: number
}

export function noLeaseCounts(): LeaseCounts {
  return { local: 0, revoked: 0 }
}
