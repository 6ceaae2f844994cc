import {
  type LimitEnd,
  type LimitStore,
  type LimitVerdict,
  type LimitWish,
  limitWindowMs,
} from '../core/key-limits.ts'

interface Use {
  /** Requests that have not ended, and who they belong to. */
  open: Map<string, string>
  /** When the requests of the last minute began, the oldest first. */
  recent: Map<string, number>
  newest: number
  tokens: { left: number; at: number } | undefined
}

/** What all keys use, in one process. Keys come from the configuration, so there are not more of them than it names. */
export class LimitTable {
  readonly #now: () => number
  readonly #uses = new Map<string, Use>()

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  admit(owner: string, { key, ticket, limits }: LimitWish): LimitVerdict {
    const use = this.#useOf(key)
    this.#forgetOld(use)
    const refusal = this.#refusal(use, limits)
    if (!refusal) {
      use.open.set(ticket, owner)
      if (limits.requests !== undefined) {
        use.newest = this.#now()
        use.recent.set(ticket, use.newest)
      }
    }
    return { refusedBy: undefined, waitMs: 0, ...refusal, ...this.#left(use, limits) }
  }

  leave({ key, ticket, limits, tokens, undone }: LimitEnd): void {
    const use = this.#useOf(key)
    use.open.delete(ticket)
    if (undone) use.recent.delete(ticket)
    if (limits.tokens === undefined || tokens === 0) return
    use.tokens = { left: this.#tokensLeft(use, limits.tokens) - tokens, at: this.#now() }
  }

  /** Gives back the places of a process that has ended. */
  leaveAll(owner: string): void {
    for (const { open } of this.#uses.values())
      for (const [ticket, holder] of open) if (holder === owner) open.delete(ticket)
  }

  #refusal(use: Use, limits: LimitWish['limits']): Pick<LimitVerdict, 'refusedBy' | 'waitMs'> | undefined {
    const { concurrent, requests, tokens } = limits
    if (concurrent !== undefined && use.open.size >= concurrent) return { refusedBy: 'concurrent', waitMs: 0 }
    if (requests !== undefined && use.recent.size >= requests) {
      // The limit may have been lowered since: then more than one has to grow old.
      const freeing = nth(use.recent.values(), use.recent.size - requests) ?? 0
      return { refusedBy: 'requests', waitMs: freeing + limitWindowMs - this.#now() }
    }
    if (tokens === undefined) return undefined
    const left = this.#tokensLeft(use, tokens)
    if (left >= 1) return undefined
    return { refusedBy: 'tokens', waitMs: ((1 - left) * limitWindowMs) / tokens }
  }

  #left(use: Use, { requests, tokens }: LimitWish['limits']): Pick<LimitVerdict, 'requests' | 'tokens'> {
    const left = tokens === undefined ? 0 : this.#tokensLeft(use, tokens)
    return {
      ...(requests === undefined
        ? {}
        : {
            requests: {
              left: Math.max(0, requests - use.recent.size),
              fullInMs: use.recent.size === 0 ? 0 : use.newest + limitWindowMs - this.#now(),
            },
          }),
      ...(tokens === undefined
        ? {}
        : {
            tokens: {
              left: Math.max(0, Math.floor(left)),
              fullInMs: ((tokens - left) * limitWindowMs) / tokens,
            },
          }),
    }
  }

  #tokensLeft({ tokens }: Use, limit: number): number {
    if (!tokens) return limit
    return Math.min(limit, tokens.left + ((this.#now() - tokens.at) * limit) / limitWindowMs)
  }

  #forgetOld({ recent }: Use): void {
    const until = this.#now() - limitWindowMs
    for (const [ticket, at] of recent) {
      if (at > until) return
      recent.delete(ticket)
    }
  }

  #useOf(key: string): Use {
    const use = this.#uses.get(key) ?? { open: new Map(), recent: new Map(), newest: 0, tokens: undefined }
    this.#uses.set(key, use)
    return use
  }
}

function nth<Item>(items: Iterable<Item>, index: number): Item | undefined {
  let at = 0
  for (const item of items) if (at++ === index) return item
  return undefined
}

/** Limits of a process of its own. */
export function memoryLimits(now: () => number): LimitStore {
  const table = new LimitTable(now)
  return {
    admit: async (wish) => table.admit('', wish),
    leave: async (end) => table.leave(end),
    close: async () => undefined,
  }
}
