import {
  type LimitDecision,
  type LimitDemand,
  type LimitedRequest,
  type LimitReservation,
  type LimitScope,
  type LimitSettlement,
  type LimitState,
  type LimitStore,
  limitWindowMs,
} from './store.ts'

/** A running request. */
interface Open {
  holder: string
  slots: number
  /** Reserved tokens. */
  tokens: number
}

interface Usage {
  open: Map<string, Open>
  /** Sums over `open`. */
  slots: number
  reserved: number
  /** Requests of the last minute, oldest first: start time and count. */
  recent: Map<string, { at: number; count: number }>
  /** Sum of the counts in `recent`. */
  requests: number
  newest: number
  /** Balance of the token bucket without reservations, as of `at`; negative if overdrawn. */
  tokens: { left: number; at: number } | undefined
}

type Refusal = Pick<LimitDecision, 'refusedBy' | 'waitMs'> | undefined

/** Usage of all keys in one process. Memory is bounded by the number of keys. */
export class LimitTable {
  readonly #now: () => number
  readonly #uses = new Map<string, Usage>()

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  admit(holder: string, { key, ticket, limits }: LimitedRequest): LimitDecision {
    const use = this.#useOf(key)
    const refusal = this.#closed(use, limits)
    if (!refusal) {
      hold(use, ticket, { holder, slots: 1, tokens: 0 })
      if (limits.requests !== undefined) this.#begin(use, ticket, 1)
    }
    return { refusedBy: undefined, waitMs: 0, ...refusal, ...this.#left(use, limits) }
  }

  reserve(holder: string, { key, ticket, limits, tokens, requests, slots }: LimitDemand): LimitReservation {
    const use = this.#useOf(key)
    const isAdmitted = use.open.has(ticket)
    const already = isAdmitted ? 1 : 0
    const closed = isAdmitted ? undefined : this.#closed(use, limits)
    // Prefer the wait for the tokens of this request, which is more precise.
    const refusal =
      (closed?.refusedBy === 'tokens' ? undefined : closed) ??
      this.#tooMany(use, limits.requests, requests - already) ??
      this.#tooDear(use, limits.tokens, tokens) ??
      closed
    const free = limits.concurrent === undefined ? slots : limits.concurrent - use.slots - 1 + already
    const granted = refusal ? 1 : 1 + Math.max(0, Math.min(slots - 1, free))
    if (!refusal) {
      releaseHeld(use, ticket)
      hold(use, ticket, { holder, slots: granted, tokens: limits.tokens === undefined ? 0 : tokens })
      if (limits.requests !== undefined && requests > already) this.#begin(use, ticket, requests)
    }
    return { refusedBy: undefined, waitMs: 0, ...refusal, slots: granted, ...this.#left(use, limits) }
  }

  settle({ key, ticket, limits, tokens, requests, undone }: LimitSettlement): void {
    const use = this.#useOf(key)
    releaseHeld(use, ticket)
    const begun = use.recent.get(ticket)
    if (begun && undone) removeRecent(use, ticket)
    else if (begun && requests !== undefined && requests < begun.count) {
      use.requests -= begun.count - Math.max(1, requests)
      begun.count = Math.max(1, requests)
    }
    if (limits.tokens === undefined || tokens === 0) return
    use.tokens = { left: this.#balance(use, limits.tokens) - tokens, at: this.#now() }
  }

  read({ key, limits }: LimitScope): LimitState {
    const use = this.#useOf(key)
    const { concurrent } = limits
    return {
      ...(concurrent === undefined ? {} : { concurrent: { left: Math.max(0, concurrent - use.slots) } }),
      ...this.#left(use, limits),
    }
  }

  /** Releases the slots and reservations of an exited process. */
  settleAll(holder: string): void {
    for (const use of this.#uses.values())
      for (const [ticket, open] of use.open) if (open.holder === holder) releaseHeld(use, ticket)
  }

  /** Returns why no further request may begin; undefined if one may. */
  #closed(use: Usage, { concurrent, requests, tokens }: LimitedRequest['limits']): Refusal {
    if (concurrent !== undefined && use.slots >= concurrent) return { refusedBy: 'concurrent', waitMs: 0 }
    const tooMany = this.#tooMany(use, requests, 1)
    if (tooMany || tokens === undefined) return tooMany
    const free = this.#balance(use, tokens) - use.reserved
    return free >= 1 ? undefined : { refusedBy: 'tokens', waitMs: ((1 - free) * limitWindowMs) / tokens }
  }

  #tooMany(use: Usage, limit: number | undefined, wanted: number): Refusal {
    if (limit === undefined || wanted === 0 || use.requests + wanted <= limit) return undefined
    // If the limit was lowered, several requests must leave the window.
    let ageing = use.requests + wanted - limit
    let freeing = this.#now()
    for (const { at, count } of use.recent.values()) {
      freeing = at
      ageing -= count
      if (ageing <= 0) break
    }
    return { refusedBy: 'requests', waitMs: freeing + limitWindowMs - this.#now() }
  }

  #tooDear(use: Usage, limit: number | undefined, wanted: number): Refusal {
    if (limit === undefined || wanted === 0) return undefined
    const balance = this.#balance(use, limit)
    const free = balance - use.reserved
    if (wanted <= limit ? free >= wanted : use.reserved === 0 && balance >= 0) return undefined
    // An upper bound: reservations may exceed actual usage.
    const missing = Math.max(0, (wanted <= limit ? wanted : 0) - free)
    return { refusedBy: 'tokens', waitMs: (missing * limitWindowMs) / limit }
  }

  #left(
    use: Usage,
    { requests, tokens }: LimitedRequest['limits'],
  ): Pick<LimitDecision, 'requests' | 'tokens'> {
    const free = tokens === undefined ? 0 : this.#balance(use, tokens) - use.reserved
    return {
      ...(requests === undefined
        ? {}
        : {
            requests: {
              left: Math.max(0, requests - use.requests),
              fullInMs: use.requests === 0 ? 0 : use.newest + limitWindowMs - this.#now(),
            },
          }),
      ...(tokens === undefined
        ? {}
        : {
            tokens: {
              left: Math.max(0, Math.floor(free)),
              fullInMs: ((tokens - free) * limitWindowMs) / tokens,
            },
          }),
    }
  }

  #balance({ tokens }: Usage, limit: number): number {
    if (!tokens) return limit
    return Math.min(limit, tokens.left + ((this.#now() - tokens.at) * limit) / limitWindowMs)
  }

  #begin(use: Usage, ticket: string, count: number): void {
    use.newest = this.#now()
    const begun = use.recent.get(ticket)
    use.requests += count - (begun?.count ?? 0)
    if (begun) begun.count = count
    else use.recent.set(ticket, { at: use.newest, count })
  }

  #useOf(key: string): Usage {
    const known = this.#uses.get(key)
    if (known) {
      const until = this.#now() - limitWindowMs
      for (const [ticket, { at }] of known.recent) {
        if (at > until) break
        removeRecent(known, ticket)
      }
      return known
    }
    const use: Usage = {
      open: new Map(),
      slots: 0,
      reserved: 0,
      recent: new Map(),
      requests: 0,
      newest: 0,
      tokens: undefined,
    }
    this.#uses.set(key, use)
    return use
  }
}

function hold(use: Usage, ticket: string, open: Open): void {
  use.open.set(ticket, open)
  use.slots += open.slots
  use.reserved += open.tokens
}

function releaseHeld(use: Usage, ticket: string): void {
  const open = use.open.get(ticket)
  if (!open) return
  use.open.delete(ticket)
  use.slots -= open.slots
  use.reserved -= open.tokens
}

function removeRecent(use: Usage, ticket: string): void {
  use.requests -= use.recent.get(ticket)?.count ?? 0
  use.recent.delete(ticket)
}

/** Limits of a single process. */
export function memoryLimits(now: () => number): LimitStore {
  const table = new LimitTable(now)
  return {
    admit: async (request) => table.admit('', request),
    reserve: async (demand) => table.reserve('', demand),
    settle: async (settlement) => table.settle(settlement),
    read: async (scope) => table.read(scope),
    close: async () => undefined,
  }
}
