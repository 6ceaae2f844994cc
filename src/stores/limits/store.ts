import type { KeyLimits } from '../../sdk/client-key.ts'

export type Limited = 'concurrent' | 'requests' | 'tokens'

/** One request of one client key. */
export interface LimitedRequest {
  /** Id of the key. */
  readonly key: string
  /** Unique id of the request across all processes. */
  readonly ticket: string
  readonly limits: KeyLimits
  /**
   * Set if groups limit it too: the client's own limits and those of its groups, each counted separately. `limits` is then the
   * tightest of each kind. Absent: only `key` and `limits` apply.
   */
  readonly scopes?: readonly LimitScope[] | undefined
}

/** Who shares a limit: a client, or all clients of a group. */
export interface LimitScope {
  readonly key: string
  readonly limits: KeyLimits
}

export interface LimitDecision {
  /** Undefined: the request is admitted, and holds its slot until `settle`. */
  readonly refusedBy: Limited | undefined
  /** Milliseconds until a rejected request may be retried; 0 for `concurrent`, where that is unknown. */
  readonly waitMs: number
  /**
   * Remainder of the configured limits after this request and without others' reservations, and the milliseconds until
   * all of it is available again.
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

/** Current remainder of one scope's limits, and the milliseconds until all of it is available again. */
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
  /** It was rejected later and is not counted at all. */
  readonly undone?: boolean
}

/**
 * Counts usage per client key, for all processes that share the store. Atomic: comparing a request with all limits of its
 * key and taking a slot or a reservation. When a process dies, its slots and reservations are released within the store's own
 * bound; the usage of its requests is unknown and not counted.
 */
export interface LimitStore {
  /** Takes a slot for a request, or returns the limit that rejects it; a rejected request is not counted. */
  admit(request: LimitedRequest): Promise<LimitDecision>
  /**
   * Reserves tokens, requests and slots until the request is settled, or returns the limit that rejects it; an admitted request
   * must then be settled as undone. Admits the request in the same step if necessary. More tokens than the limit allows are
   * reserved if nothing else is reserved and nothing is overdrawn.
   */
  reserve(demand: LimitDemand): Promise<LimitReservation>
  /** Releases the slots and the reservation, and counts the tokens. A second call only adds tokens. */
  settle(settlement: LimitSettlement): Promise<void>
  /** Remainder of a shared limit. Read-only. */
  look(scope: LimitScope): Promise<LimitState>
  close(): Promise<void>
}

/**
 * Counts a request for its client and each group above it, narrowest scope first. If one rejects it, the others are
 * released. `together`, a clock in milliseconds: all scopes are checked at once, in one round trip. A scope that
 * rejected a request within the last second is then checked first, so a client over its own limit does not use up, even for a
 * moment, its group's share.
 */
export function limitsOfScopes(store: LimitStore, together?: { now(): number }): LimitStore {
  const refusing = together && new RecentRefusals(together.now)
  function stagesOf<Request extends LimitedRequest>(asked: readonly Request[]): Request[][] {
    if (!refusing) return asked.map((each) => [each])
    const first = asked.filter(({ key }) => refusing.has(key))
    return [first, asked.filter((each) => !first.includes(each))].filter((stage) => stage.length > 0)
  }
  async function inAll<Request extends LimitedRequest, Decision extends LimitDecision>(
    request: Request,
    ask: (request: Request) => Promise<Decision>,
  ): Promise<Decision> {
    const { scopes, ...own } = request
    let tightest: Decision | undefined
    const taken: Request[] = []
    for (const stage of stagesOf((scopes ?? []).map((scope) => ({ ...own, ...scope }) as Request))) {
      let refused: Decision | undefined
      for (const [index, decision] of (await allOf(stage.map(ask))).entries()) {
        const each = stage[index] ?? request
        if (decision.refusedBy === undefined) {
          taken.push(each)
          tightest = tightest ? tighter(tightest, decision) : decision
        } else {
          refusing?.add(each.key)
          refused ??= decision
        }
      }
      if (!refused) continue
      await Promise.all(taken.map((each) => store.settle({ ...each, tokens: 0, undone: true })))
      return refused
    }
    return tightest ?? ask(request)
  }
  return {
    admit: (request) => inAll(request, (each) => store.admit(each)),
    reserve: (demand) => inAll(demand, (each) => store.reserve(each)),
    async settle({ scopes, ...settlement }) {
      const counted = scopes ?? [settlement]
      await allOf(counted.map(({ key, limits }) => store.settle({ ...settlement, key, limits })))
    },
    look: (scope) => store.look(scope),
    close: () => store.close(),
  }
}

/** Scopes that rejected a request within the last second. */
class RecentRefusals {
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

/** Settles when all are settled, so none continues unobserved after a failure. */
async function allOf<Value>(asked: readonly Promise<Value>[]): Promise<Value[]> {
  await Promise.allSettled(asked)
  return Promise.all(asked)
}

function tighter<Decision extends LimitDecision>(a: Decision, b: Decision): Decision {
  const least = (kind: 'requests' | 'tokens') => {
    const [one, other] = [a[kind], b[kind]]
    return one && other ? (one.left <= other.left ? one : other) : (one ?? other)
  }
  const [requests, tokens] = [least('requests'), least('tokens')]
  const slots = 'slots' in a && 'slots' in b ? { slots: Math.min(Number(a.slots), Number(b.slots)) } : {}
  return { ...a, ...(requests ? { requests } : {}), ...(tokens ? { tokens } : {}), ...slots }
}

/** Length of the sliding window for requests, in milliseconds. */
export const limitWindowMs = 60_000

/**
 * Combines the limits shared by several processes with those of this process, which apply alone while the shared store is
 * unavailable. This process is checked first: what exceeds its limits exceeds those of all, without a request to the store. The
 * shared store is called once, by `reserve`, which every admitted request must call. `settle` does not wait for it: it executes
 * calls in order. Never rejects.
 */
export function limitsWithFallback(shared: LimitStore, local: LimitStore): LimitStore {
  const settling = new Set<Promise<void>>()
  return {
    admit: (request) => local.admit(request),
    async reserve(demand) {
      const here = await local.reserve(demand)
      if (here.refusedBy !== undefined) return here
      try {
        const there = await shared.reserve(demand)
        return { ...there, slots: Math.min(here.slots, there.slots) }
      } catch {
        return here // logged by the shared store
      }
    },
    async settle(settlement) {
      await local.settle(settlement)
      // If it fails, its state there expires, and these tokens are counted here only.
      const settled = shared
        .settle(settlement)
        .catch(() => undefined)
        .finally(() => settling.delete(settled))
      settling.add(settled)
    },
    look: (scope) => shared.look(scope).catch(() => local.look(scope)),
    async close() {
      await Promise.all(settling)
      await shared.close()
    },
  }
}
