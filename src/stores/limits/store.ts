import type { KeyLimits } from '../../sdk/client-key.ts'

export type LimitKind = 'concurrent' | 'requests' | 'tokens'

/** One request of one client key. */
export interface LimitedRequest {
  /** Id of the key. */
  readonly key: string
  /** Unique id of the request across all processes. */
  readonly ticket: string
  readonly limits: KeyLimits
  /**
   * Set if groups limit the request too: the limits of the client and of each group, counted separately. `limits` is then the
   * strictest of each kind. Absent: only `key` and `limits` apply.
   */
  readonly scopes?: readonly LimitScope[] | undefined
}

/** The limits of a client, or those shared by all clients of a group. */
export interface LimitScope {
  readonly key: string
  readonly limits: KeyLimits
}

export interface LimitDecision {
  /** The limit that rejects the request; undefined: the request is admitted and holds its slot until `settle`. */
  readonly rejectedBy: LimitKind | undefined
  /** Milliseconds until a rejected request may be retried; 0 for `concurrent`, where that is unknown. */
  readonly waitMs: number
  /**
   * Remainder of each configured limit, after this request and the reservations of others, and the milliseconds until the full
   * limit is available again.
   */
  readonly requests?: { readonly left: number; readonly fullInMs: number }
  readonly tokens?: { readonly left: number; readonly fullInMs: number }
}

/** Expected usage of a request, known once its body has been read. */
export interface LimitDemand extends LimitedRequest {
  /** Estimated tokens of its prompts and responses. */
  readonly tokens: number
  /** Number of upstream requests, at least 1: one was counted at admission. */
  readonly requests: number
  /** Requested concurrency, at least 1. */
  readonly slots: number
}

export interface LimitReservation extends LimitDecision {
  /** Granted concurrency: as many slots as requested and available, at least 1. */
  readonly slots: number
}

/** Current remainder of one scope's limits, and the milliseconds until the full limit is available again. */
export interface LimitState {
  readonly concurrent?: { readonly left: number }
  readonly requests?: { readonly left: number; readonly fullInMs: number }
  readonly tokens?: { readonly left: number; readonly fullInMs: number }
}

export interface LimitSettlement extends LimitedRequest {
  /** Actual usage. Usage beyond the remainder delays later requests. */
  readonly tokens: number
  /** Number of upstream requests, if fewer than reserved. */
  readonly requests?: number
  /** Whether the request was rejected later, and must not be counted at all. */
  readonly undone?: boolean
}

/**
 * Counts usage per client key, for all processes that share the store. Comparing a request with all limits of its key and
 * taking a slot or a reservation is atomic. When a process dies, its slots and reservations are released within a time limit of
 * the store; the usage of its requests is unknown and not counted.
 */
export interface LimitStore {
  /** Takes a slot for a request, or resolves to the limit that rejects it. A rejected request is not counted. */
  admit(request: LimitedRequest): Promise<LimitDecision>
  /**
   * Reserves tokens, requests and slots until the request is settled, or resolves to the limit that rejects it; an admitted
   * request must then be settled as undone. Admits the request atomically if it is not admitted yet. A request for more tokens
   * than the limit is accepted if nothing else is reserved and nothing is overdrawn.
   */
  reserve(demand: LimitDemand): Promise<LimitReservation>
  /** Releases the slots and the reservation, and counts the tokens. A second call only adds tokens. */
  settle(settlement: LimitSettlement): Promise<void>
  /** Resolves to the remainder of a scope's limits. Read-only. */
  read(scope: LimitScope): Promise<LimitState>
  close(): Promise<void>
}

/**
 * Counts a request for its client and each of its groups, narrowest scope first. If one rejects it, the others are released.
 * `concurrently` (a clock in milliseconds): all scopes are checked at the same time, in one round trip. Scopes that rejected a
 * request within the last second are then checked first, so that a client over its own limit does not briefly use up its
 * group's limit.
 */
export function scopedLimits(store: LimitStore, concurrently?: { now(): number }): LimitStore {
  const rejecting = concurrently && new RecentRejections(concurrently.now)
  function stagesOf<Request extends LimitedRequest>(requests: readonly Request[]): Request[][] {
    if (!rejecting) return requests.map((request) => [request])
    const first = requests.filter(({ key }) => rejecting.has(key))
    return [first, requests.filter((request) => !first.includes(request))].filter((stage) => stage.length > 0)
  }
  async function inEveryScope<Request extends LimitedRequest, Decision extends LimitDecision>(
    request: Request,
    decide: (request: Request) => Promise<Decision>,
  ): Promise<Decision> {
    const { scopes, ...rest } = request
    let strictest: Decision | undefined
    const admitted: Request[] = []
    for (const stage of stagesOf((scopes ?? []).map((scope) => ({ ...rest, ...scope }) as Request))) {
      let rejection: Decision | undefined
      for (const [index, decision] of (await allOf(stage.map(decide))).entries()) {
        const scoped = stage[index] ?? request
        if (decision.rejectedBy === undefined) {
          admitted.push(scoped)
          strictest = strictest ? stricter(strictest, decision) : decision
        } else {
          rejecting?.add(scoped.key)
          rejection ??= decision
        }
      }
      if (!rejection) continue
      await Promise.all(admitted.map((scoped) => store.settle({ ...scoped, tokens: 0, undone: true })))
      return rejection
    }
    return strictest ?? decide(request)
  }
  return {
    admit: (request) => inEveryScope(request, (scoped) => store.admit(scoped)),
    reserve: (demand) => inEveryScope(demand, (scoped) => store.reserve(scoped)),
    async settle({ scopes, ...settlement }) {
      const counted = scopes ?? [settlement]
      await allOf(counted.map(({ key, limits }) => store.settle({ ...settlement, key, limits })))
    },
    read: (scope) => store.read(scope),
    close: () => store.close(),
  }
}

/** Scopes that rejected a request within the last second. */
class RecentRejections {
  readonly #now: () => number
  /** By key, most recent last. */
  readonly #at = new Map<string, number>()

  constructor(now: () => number) {
    this.#now = now
  }

  add(key: string): void {
    this.#at.delete(key)
    this.#at.set(key, this.#now())
    const [oldest = key] = this.#at.keys()
    if (this.#at.size > 10_000) this.#at.delete(oldest)
  }

  has(key: string): boolean {
    const at = this.#at.get(key)
    return at !== undefined && this.#now() - at < 1_000
  }
}

/** Like Promise.all, but settles only when all promises have settled, so that none is still running after a failure. */
async function allOf<Value>(promises: readonly Promise<Value>[]): Promise<Value[]> {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}

function stricter<Decision extends LimitDecision>(a: Decision, b: Decision): Decision {
  const smaller = (kind: 'requests' | 'tokens') => {
    const [one, other] = [a[kind], b[kind]]
    return one && other ? (one.left <= other.left ? one : other) : (one ?? other)
  }
  const [requests, tokens] = [smaller('requests'), smaller('tokens')]
  const slots = 'slots' in a && 'slots' in b ? { slots: Math.min(Number(a.slots), Number(b.slots)) } : {}
  return { ...a, ...(requests ? { requests } : {}), ...(tokens ? { tokens } : {}), ...slots }
}

/** Length of the sliding window for requests, in milliseconds. */
export const limitWindowMs = 60_000

/**
 * Combines the shared store with the limits of this process, which apply alone while the shared store is unavailable. The
 * limits of this process are checked first: a request that exceeds them exceeds the shared ones too. The shared store is only
 * called by `reserve`, which every admitted request must call, and by `settle`, which does not wait for it, because the store
 * executes calls in order. Never rejects.
 */
export function limitsWithFallback(shared: LimitStore, local: LimitStore): LimitStore {
  const settling = new Set<Promise<void>>()
  return {
    admit: (request) => local.admit(request),
    async reserve(demand) {
      const localReservation = await local.reserve(demand)
      if (localReservation.rejectedBy !== undefined) return localReservation
      try {
        const sharedReservation = await shared.reserve(demand)
        return { ...sharedReservation, slots: Math.min(localReservation.slots, sharedReservation.slots) }
      } catch {
        return localReservation // logged by the shared store
      }
    },
    async settle(settlement) {
      await local.settle(settlement)
      // If this fails, the reservation expires in the shared store, and the tokens are only counted here.
      const settled = shared
        .settle(settlement)
        .catch(() => undefined)
        .finally(() => settling.delete(settled))
      settling.add(settled)
    },
    read: (scope) => shared.read(scope).catch(() => local.read(scope)),
    async close() {
      await Promise.all(settling)
      await shared.close()
    },
  }
}
