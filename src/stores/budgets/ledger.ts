import type { BudgetRecord } from '../../sdk/teams/directory.ts'
import type { BudgetState, SliceRequest } from './slices.ts'

/** Weight of the newest request in the moving average. */
const newest = 0.2
/** A budget unused for this long is not renewed, and its slice is returned, in milliseconds. */
const idleMs = 10_000
/** How long a budget with too little left is not queried again, in milliseconds. */
const exhaustedMs = 250

export interface LedgerOptions {
  /** Records usage, then returns the slices. Rejects while the store is unavailable. */
  renew(budgets: SliceRequest['budgets']): Promise<BudgetState[]>
  /** Monotonic milliseconds. */
  now(): number
}

/** The slices of a budget in this process. */
interface Account {
  state: BudgetState | undefined
  /** The last one that was known. */
  former: BudgetState | undefined
  /** Expected usage of running requests. */
  reserved: number
  /** Usage of requests that ended since the last renewal began. */
  spent: number
  /** Moving average of one request's usage. */
  typical: number
  /** One per request that waits for a renewal. */
  waiting: number[]
  usedAt: number
  /** The last renewal that could not grant even the smallest requested amount, on the clock of `now`. */
  exhausted: { at: number; least: number } | undefined
}

export type Admission =
  /** Call `end` in the same turn of the event loop as `book`, so that no renewal sees the request in neither or in both. */
  | { end(): void; refusedBy?: undefined }
  | { refusedBy: string; state: BudgetState | undefined; isAway: boolean }

/**
 * Spending of one process. It spends from slices held in memory, which are renewed in the background.
 * A request waits for a renewal only if the slice is too small for it.
 */
export class BudgetLedger {
  readonly #options: LedgerOptions
  readonly #accounts = new Map<string, Account>()
  #renewing: Promise<boolean> = Promise.resolve(true)
  /** Begins when the current one has ended. */
  #next: Promise<boolean> | undefined
  /** Start of the store's outage, on the clock of `now`; undefined if there is none. */
  #awaySince: number | undefined

  constructor(options: LedgerOptions) {
    this.#options = options
  }

  get isAway(): boolean {
    return this.#awaySince !== undefined
  }

  stateOf(id: string): BudgetState | undefined {
    return this.#accounts.get(id)?.state
  }

  /** State of the current window as known to this process; undefined if unknown. */
  spentOf(id: string): number | undefined {
    const account = this.#accounts.get(id)
    return account?.state && account.state.spent + account.spent
  }

  /** The same, even for a budget that this process has not used recently. `now`: milliseconds since 1970. */
  lastSpentOf(id: string, now: number): number | undefined {
    const account = this.#accounts.get(id)
    const state = account?.state ?? account?.former
    return account && state && now < state.resetsAt ? state.spent + account.spent : undefined
  }

  /** Reads the state of budgets, if unknown to this process. */
  async look(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#account(id).usedAt = this.#options.now()
    if (ids.some((id) => this.stateOf(id) === undefined)) await this.renew()
  }

  /**
   * Reserves the expected usage of a request on hard budgets; `expected` undefined: that of a typical request. While the
   * store is unavailable and a slice is used up, `whenDown` decides.
   */
  async admit(
    budgets: readonly { id: string; record: BudgetRecord; expected: number | undefined }[],
    whenDown: 'allow' | 'refuse',
  ): Promise<Admission> {
    const wishes = budgets.map(({ id, record, expected }) => {
      const account = this.#account(id)
      account.usedAt = this.#options.now()
      return { id, account, isHard: record.hard !== false, amount: expected ?? account.typical }
    })
    const short = () =>
      wishes.find(
        ({ account, isHard, amount }) => isHard && !(available(account) >= amount && available(account) > 0),
      )
    // While the store is unavailable, requests do not wait: it is queried in the background.
    const isUnknown = wishes.some(({ account }) => account.state === undefined)
    const first = short()
    if (!this.isAway && (isUnknown || (first && !this.#isExhausted(first)))) {
      for (const { account, amount } of wishes) account.waiting.push(amount)
      await this.renew()
      for (const { account, amount } of wishes) account.waiting.splice(account.waiting.indexOf(amount), 1)
    }
    const lacking = short()
    if (lacking && !(this.isAway && whenDown === 'allow'))
      return { refusedBy: lacking.id, state: lacking.account.state, isAway: this.isAway }
    for (const { account, amount } of wishes) account.reserved += amount
    let ended = false
    return {
      end() {
        if (ended) return
        ended = true
        for (const { account, amount } of wishes) account.reserved = Math.max(0, account.reserved - amount)
      },
    }
  }

  #isExhausted({ account, amount }: { account: Account; amount: number }): boolean {
    const { exhausted } = account
    return (
      exhausted !== undefined && amount >= exhausted.least && this.#options.now() - exhausted.at < exhaustedMs
    )
  }

  /** Actual usage of a request, which must be recorded by the next renewal. */
  book(id: string, amount: number): void {
    const account = this.#account(id)
    account.spent += amount
    account.typical = account.typical === 0 ? amount : account.typical + newest * (amount - account.typical)
  }

  /** Renews the slices of all budgets in use, including for waiting requests. False if the store is unavailable. */
  renew(): Promise<boolean> {
    this.#next ??= this.#renewing.then(() => {
      this.#next = undefined
      this.#renewing = this.#renew()
      return this.#renewing
    })
    return this.#next
  }

  async #renew(): Promise<boolean> {
    const now = this.#options.now()
    const used = [...this.#accounts].filter(([, account]) => isUsed(account, now))
    for (const account of this.#accounts.values()) if (!isUsed(account, now)) account.state = undefined
    if (used.length === 0) return true
    const taken = new Map(used.map(([id, account]) => [id, account.spent]))
    const asked = used.map(([id, account]) => {
      const { reserved, typical, waiting } = account
      const least = waiting.length > 0 ? Math.min(...waiting) : typical
      const wanted = Math.max(
        typical,
        waiting.reduce((sum, amount) => sum + amount, 0),
      )
      return { id, reserved, least, wanted, kept: this.#keep(account, { least, wanted }) }
    })
    try {
      const states = await this.#options.renew(asked)
      for (const state of states) {
        const account = this.#account(state.id)
        account.state = state
        account.former = state
        account.exhausted = exhaustion(state, asked, now)
        account.spent = Math.max(0, account.spent - (taken.get(state.id) ?? 0))
      }
      // A budget that was removed.
      for (const [id] of used) if (!states.some((state) => state.id === id)) this.#accounts.delete(id)
      this.#awaySince = undefined
      return true
    } catch {
      this.#awaySince ??= now
      return false
    }
  }

  /**
   * Limits spending while a renewal is in flight: the store may grant the rest of the slice to another process before its response
   * arrives. A remainder too small for a request is returned. While the store is unavailable, the whole slice is kept.
   */
  #keep(account: Account, { least, wanted }: { least: number; wanted: number }): number {
    const { state } = account
    const free = Math.max(0, available(account))
    if (state === undefined || free === 0) return 0
    const useful = free < least ? 0 : Math.min(free, Math.max(wanted, free / 2))
    const kept = this.isAway ? free : useful
    account.state = { ...state, granted: state.granted - (free - kept) }
    return kept
  }

  #account(id: string): Account {
    const known = this.#accounts.get(id)
    if (known) return known
    const account: Account = {
      state: undefined,
      former: undefined,
      reserved: 0,
      spent: 0,
      typical: 0,
      waiting: [],
      usedAt: this.#options.now(),
      exhausted: undefined,
    }
    this.#accounts.set(id, account)
    return account
  }
}

function isUsed({ reserved, spent, waiting, usedAt }: Account, now: number): boolean {
  return reserved > 0 || spent > 0 || waiting.length > 0 || now - usedAt < idleMs
}

function exhaustion(
  { id, granted }: BudgetState,
  asked: SliceRequest['budgets'],
  at: number,
): Account['exhausted'] {
  const request = asked.find((each) => each.id === id)
  if (!request || granted - request.reserved >= request.least) return undefined
  return { at, least: request.least }
}

function available({ state, reserved, spent }: Account): number {
  return state === undefined ? 0 : state.granted - reserved - spent
}
