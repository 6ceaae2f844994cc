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
interface RunningRequest {
  holder: string
  slots: number
  /** Reserved tokens. */
  tokens: number
}

interface Usage {
  open: Map<string, RunningRequest>
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

type Rejection = Pick<LimitDecision, 'rejectedBy' | 'waitMs'> | undefined

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
    const rejection = this.#rejectionOf(use, limits)
    if (!rejection) {
      hold(use, ticket, { holder, slots: 1, tokens: 0 })
      if (limits.requests !== undefined) this.#begin(use, ticket, 1)
    }
    return { rejectedBy: undefined, waitMs: 0, ...rejection, ...this.#left(use, limits) }
  }

  reserve(holder: string, { key, ticket, limits, tokens, requests, slots }: LimitDemand): LimitReservation {
    const use = this.#useOf(key)
    const isAdmitted = use.open.has(ticket)
    const alreadyCounted = isAdmitted ? 1 : 0
    const admissionRejection = isAdmitted ? undefined : this.#rejectionOf(use, limits)
    // Prefer the wait for the tokens of this request, which is more precise.
    const rejection =
      (admissionRejection?.rejectedBy === 'tokens' ? undefined : admissionRejection) ??
      this.#tooManyRequests(use, limits.requests, requests - alreadyCounted) ??
      this.#tooManyTokens(use, limits.tokens, tokens) ??
      admissionRejection
    const free = limits.concurrent === undefined ? slots : limits.concurrent - use.slots - 1 + alreadyCounted
    const granted = rejection ? 1 : 1 + Math.max(0, Math.min(slots - 1, free))
    if (!rejection) {
      release(use, ticket)
      hold(use, ticket, { holder, slots: granted, tokens: limits.tokens === undefined ? 0 : tokens })
      if (limits.requests !== undefined && requests > alreadyCounted) this.#begin(use, ticket, requests)
    }
    return { rejectedBy: undefined, waitMs: 0, ...rejection, slots: granted, ...this.#left(use, limits) }
  }

  settle({ key, ticket, limits, tokens, requests, undone }: LimitSettlement): void {
    const use = this.#useOf(key)
    release(use, ticket)
    const started = use.recent.get(ticket)
    if (started && undone) removeRecent(use, ticket)
    else if (started && requests !== undefined && requests < started.count) {
      use.requests -= started.count - Math.max(1, requests)
      started.count = Math.max(1, requests)
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
      for (const [ticket, open] of use.open) if (open.holder === holder) release(use, ticket)
  }

  /** Returns why no further request may begin; undefined if one may. */
  #rejectionOf(use: Usage, { concurrent, requests, tokens }: LimitedRequest['limits']): Rejection {
    if (concurrent !== undefined && use.slots >= concurrent) return { rejectedBy: 'concurrent', waitMs: 0 }
    const tooMany = this.#tooManyRequests(use, requests, 1)
    if (tooMany || tokens === undefined) return tooMany
    const free = this.#balance(use, tokens) - use.reserved
    return free >= 1 ? undefined : { rejectedBy: 'tokens', waitMs: ((1 - free) * limitWindowMs) / tokens }
  }

  #tooManyRequests(use: Usage, limit: number | undefined, requested: number): Rejection {
    if (limit === undefined || requested === 0 || use.requests + requested <= limit) return undefined
    // If the limit was lowered, several requests must leave the window.
    let ageing = use.requests + requested - limit
    let freeing = this.#now()
    for (const { at, count } of use.recent.values()) {
      freeing = at
      ageing -= count
      if (ageing <= 0) break
    }
    return { rejectedBy: 'requests', waitMs: freeing + limitWindowMs - this.#now() }
  }

  #tooManyTokens(use: Usage, limit: number | undefined, requested: number): Rejection {
    if (limit === undefined || requested === 0) return undefined
    const balance = this.#balance(use, limit)
    const free = balance - use.reserved
    if (requested <= limit ? free >= requested : use.reserved === 0 && balance >= 0) return undefined
    // An upper bound: reservations may exceed actual usage.
    const missing = Math.max(0, (requested <= limit ? requested : 0) - free)
    return { rejectedBy: 'tokens', waitMs: (missing * limitWindowMs) / limit }
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
    const started = use.recent.get(ticket)
    use.requests += count - (started?.count ?? 0)
    if (started) started.count = count
    else use.recent.set(ticket, { at: use.newest, count })
  }

  #useOf(key: string): Usage {
    const existing = this.#uses.get(key)
    if (existing) {
      const until = this.#now() - limitWindowMs
      for (const [ticket, { at }] of existing.recent) {
        if (at > until) break
        removeRecent(existing, ticket)
      }
      return existing
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

function hold(use: Usage, ticket: string, open: RunningRequest): void {
  use.open.set(ticket, open)
  use.slots += open.slots
  use.reserved += open.tokens
}

function release(use: Usage, ticket: string): void {
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
