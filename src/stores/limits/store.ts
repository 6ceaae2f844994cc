import type { KeyLimits } from '../../sdk/client-key.ts'

export type Limited = 'concurrent' | 'requests' | 'tokens'

/** One request of one client key. */
export interface LimitedRequest {
  /** Id of the key. */
  readonly key: string
  /** Identifies the request among those of all processes. */
  readonly ticket: string
  readonly limits: KeyLimits
  /**
   * Where groups bound it too: the client's own limits and those of its groups, each counted for itself. `limits` is then the
   * tightest of each kind. Absent: `key` and `limits` are all.
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
  /** Milliseconds until a refused request may come again; 0 for `concurrent`, where that is unknown. */
  readonly waitMs: number
  /**
   * What remains of the configured limits after this request, without what others have reserved, and the milliseconds until
   * all of it is available again.
   */
  readonly requests?: { readonly left: number; readonly fullInMs: number }
  readonly tokens?: { readonly left: number; readonly fullInMs: number }
}

/** What a request is about to use, known once its body has been read. */
export interface LimitDemand extends LimitedRequest {
  /** Tokens of its prompts and answers, estimated. */
  readonly tokens: number
  /** Upstream requests that it becomes, at least 1: one was counted when it was admitted. */
  readonly requests: number
  /** How many of them would run at a time, at least 1. */
  readonly slots: number
}

export interface LimitReservation extends LimitDecision {
  /** How many of its upstream requests may run at a time: as many as it asked for and were free, but at least 1. */
  readonly slots: number
}

/** What is left of the limits of one scope at the moment, and the milliseconds until all of it is available again. */
export interface LimitState {
  readonly concurrent?: { readonly left: number }
  readonly requests?: { readonly left: number; readonly fullInMs: number }
  readonly tokens?: { readonly left: number; readonly fullInMs: number }
}

export interface LimitSettlement extends LimitedRequest {
  /** What the request used. More than remained delays later requests. */
  readonly tokens: number
  /** How many upstream requests it became, where that is fewer than were reserved. */
  readonly requests?: number
  /** It was rejected after all, and counts as if it had never come. */
  readonly undone?: boolean
}

/**
 * Counts what client keys use, for all processes that share the store. Atomic: comparing a request with all limits of its
 * key and taking a slot or a reservation. When a process dies its slots and reservations are freed within the store's own
 * bound; what its requests used is not counted, because it is unknown.
 */
export interface LimitStore {
  /** Takes a slot for a request, or says which limit refuses it; a refused request counts for nothing. */
  admit(request: LimitedRequest): Promise<LimitDecision>
  /**
   * Reserves tokens, requests and slots until the request is settled, or says which limit refuses it; an admitted one must then
   * be settled as undone. Admits a request that is not, in the same step. More tokens than the limit can ever hold are reserved
   * when nothing else is and nothing is owed.
   */
  reserve(demand: LimitDemand): Promise<LimitReservation>
  /** Frees the slots and the reservation, and counts the tokens. A second call changes nothing but the tokens. */
  settle(settlement: LimitSettlement): Promise<void>
  /** What is left for who shares a limit. Changes nothing. */
  look(scope: LimitScope): Promise<LimitState>
  close(): Promise<void>
}

/**
 * Counts a request for its client and for each group above it, the narrowest scope first. Where one refuses, the others get back
 * what they gave. `together`, on its clock in milliseconds: all scopes are asked at once, which takes one round trip. A scope that
 * refused within the last second is then asked before the others, so that a client over its own limit takes nothing, not even for a
 * moment, of what its group shares.
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

/** Which scopes refused a request within the last second. */
class RecentRefusals {
  readonly #now: () => number
  /** By key, the last one last. */
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

/** Settled when all are: none goes on unseen after a failure. */
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

/** Requests are counted in a sliding window, in milliseconds. */
export const limitWindowMs = 60_000

/**
 * Limits that several processes share, and those of this one, which apply alone while the shared store cannot be reached.
 * This process is asked first: what is too much here is too much for all of them, and costs no request. The shared store is
 * asked once, by `reserve`, which every admitted request must call. `settle` does not wait for it: it carries out what it is
 * asked in order. Never rejects.
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
      // Should it fail, what it holds there expires, and these tokens are counted here alone.
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
