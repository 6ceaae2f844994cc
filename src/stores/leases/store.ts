/** A target that a request would take. */
export interface WishedTarget {
  /** Id of the target: one lease at a time for each model and id. */
  readonly id: string
  /** The machine behind it; several targets may share one. */
  readonly host: string
  /** A sleeping target, or one that is less well than others: taken only when all that are not are taken. */
  readonly reserve: boolean
}

/** What a request asks for, again and again until it gets a lease or gives up. */
export interface LeaseWish {
  /** 96 random bits in hex, the same on every try of one request: a try whose answer was lost finds its lease. */
  readonly key: string
  readonly model: string
  /** In the order of preference; empty while all are down. */
  readonly targets: readonly WishedTarget[]
  /** Hosts that have the model loaded come before the order of preference. */
  readonly affinity: boolean
  /** For how long the request has been waiting, in milliseconds. */
  readonly waitedMs: number
  /**
   * No target is left out because this request failed there already. Only such a wish keeps its place before younger
   * ones of other processes, as far as those want the same targets.
   */
  readonly complete: boolean
}

export interface StoredLease {
  readonly key: string
  readonly model: string
  readonly target: WishedTarget
  /** Grows with every lease of the model; 0 for one that was given without the store that all share. */
  readonly fence: number
}

/**
 * Holds which request has which target exclusively, for all processes that share it.
 *
 * Atomic: choosing among the targets of a wish and taking one. A lease ends by `release`, by `close`, and within the
 * store's own bound when its process dies; never by the start of another process.
 */
export interface LeaseStore {
  /**
   * Takes a free target. Undefined: all are taken, or a request of another process has waited longer. Throws
   * StoreDownError when it cannot say (ask again later with the same key), or a RouterError that is for the client.
   */
  acquire(wish: LeaseWish): Promise<StoredLease | undefined>
  /** Gives a lease back; a second time, or after somebody else took the target over, changes nothing. Never rejects. */
  release(lease: StoredLease): Promise<void>
  /** No further try with this key will come: takes back whatever a lost answer may have given. Never rejects. */
  abandon(wish: LeaseWish): Promise<void>
  /** Calls back with a model's alias after something of it became free, in any process. A hint: some may be lost. */
  onFreed(listener: (model: string) => void): void
  /**
   * Calls back, once for each, when a lease that this process has not given back is another process's now. Only of those
   * that were given by the shared store. Absent: that cannot happen.
   */
  onRevoked?(listener: (lease: StoredLease) => void): void
  /** How often a waiting request should ask without a hint, in milliseconds; undefined when hints are never lost. */
  readonly pollMs: { readonly min: number; readonly max: number } | undefined
  readonly counts: LeaseCounts
  /** Whether the store that several processes share answered last time; absent where there is none outside. */
  readonly reachable?: boolean
  /** Gives back all that this process still holds. */
  close(): Promise<void>
}

/** What happened since the start, for metrics. */
export interface LeaseCounts {
  /** Given while the shared store was down: exclusive within this process only. */
  local: number
  /** Found taken by somebody else although still in use here: the target ran two requests at once. */
  revoked: number
}

/** The store cannot be asked now. */
export class StoreDownError extends Error {
  constructor(cause?: unknown) {
    super('the lease store cannot be reached', { cause })
    this.name = 'StoreDownError'
  }
}

export function noLeaseCounts(): LeaseCounts {
  return { local: 0, revoked: 0 }
}
