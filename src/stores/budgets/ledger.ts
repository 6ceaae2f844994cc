import type { BudgetRecord } from '../../sdk/teams/directory.ts'
import type { BudgetState, SliceRequest } from './slices.ts'

/** Weight of the newest request in the moving average. */
const newestWeight = 0.2
/** Idle time after which a budget is no longer renewed and its slice is returned, in milliseconds. */
const idleMs = 10_000
/** Time for which an exhausted budget is not queried again, in milliseconds. */
const exhaustedMs = 250

export interface LedgerOptions {
  /** Records usage, then renews the slices. Rejects while the store is unavailable. */
  renew(budgets: SliceRequest['budgets']): Promise<BudgetState[]>
  /** Monotonic milliseconds. */
  now(): number
}

/** A budget in this process. */
interface Account {
  state: BudgetState | undefined
  /** The last known state, kept when the budget is no longer renewed. */
  lastState: BudgetState | undefined
  /** Expected usage of running requests. */
  reserved: number
  /** Usage of requests that ended since the last renewal began. */
  spent: number
  /** Moving average of one request's usage. */
  typical: number
  /** Expected usage of each request that waits for a renewal. */
  waiting: number[]
  usedAt: number
  /** The last renewal that could not grant even `min`, the smallest requested amount; `at`: on the clock of `now`. */
  exhausted: { at: number; min: number } | undefined
}

export type Admission =
  /** Call `end` synchronously with `book`, so that no renewal sees the request in neither or in both. */
  | { end(): void; rejectedBy?: undefined }
  | { rejectedBy: string; state: BudgetState | undefined; isDown: boolean }

/**
 * The spending of one process, from slices of budgets that are held in memory and renewed in the background.
 * A request only waits for a renewal if the slice is too small for it.
 */
export class BudgetLedger {
  readonly #options: LedgerOptions
  readonly #accounts = new Map<string, Account>()
  #renewing: Promise<boolean> = Promise.resolve(true)
  /** A renewal that begins when the current one has ended. */
  #next: Promise<boolean> | undefined
  /** Start of the store's outage, on the clock of `now`; undefined if there is none. */
  #downSince: number | undefined

  constructor(options: LedgerOptions) {
    this.#options = options
  }

  get isDown(): boolean {
    return this.#downSince !== undefined
  }

  stateOf(id: string): BudgetState | undefined {
    return this.#accounts.get(id)?.state
  }

  /** Returns usage in the current window, as known to this process; undefined if unknown. */
  spentOf(id: string): number | undefined {
    const account = this.#accounts.get(id)
    return account?.state && account.state.spent + account.spent
  }

  /** Like `spentOf`, but also for budgets that this process has not used recently. `now`: milliseconds since 1970. */
  lastSpentOf(id: string, now: number): number | undefined {
    const account = this.#accounts.get(id)
    const state = account?.state ?? account?.lastState
    return account && state && now < state.resetsAt ? state.spent + account.spent : undefined
  }

  /** Loads the state of budgets that are unknown to this process. */
  async load(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#account(id).usedAt = this.#options.now()
    if (ids.some((id) => this.stateOf(id) === undefined)) await this.renew()
  }

  /**
   * Reserves the expected usage of a request, if all hard budgets allow it. `expected`: undefined for that of a typical
   * request. `whenDown`: whether to allow a request if the store is unavailable and a slice is used up.
   */
  async admit(
    budgets: readonly { id: string; record: BudgetRecord; expected: number | undefined }[],
    whenDown: 'allow' | 'refuse',
  ): Promise<Admission> {
    const demands = budgets.map(({ id, record, expected }) => {
      const account = this.#account(id)
      account.usedAt = this.#options.now()
      return { id, account, isHard: record.hard !== false, amount: expected ?? account.typical }
    })
    const findInsufficient = () =>
      demands.find(
        ({ account, isHard, amount }) => isHard && !(available(account) >= amount && available(account) > 0),
      )
    // Requests do not wait for an unavailable store, which is queried in the background.
    const isUnknown = demands.some(({ account }) => account.state === undefined)
    const first = findInsufficient()
    if (!this.isDown && (isUnknown || (first && !this.#isExhausted(first)))) {
      for (const { account, amount } of demands) account.waiting.push(amount)
      await this.renew()
      for (const { account, amount } of demands) account.waiting.splice(account.waiting.indexOf(amount), 1)
    }
    const insufficient = findInsufficient()
    if (insufficient && !(this.isDown && whenDown === 'allow'))
      return { rejectedBy: insufficient.id, state: insufficient.account.state, isDown: this.isDown }
    for (const { account, amount } of demands) account.reserved += amount
    let ended = false
    return {
      end() {
        if (ended) return
        ended = true
        for (const { account, amount } of demands) account.reserved = Math.max(0, account.reserved - amount)
      },
    }
  }

  #isExhausted({ account, amount }: { account: Account; amount: number }): boolean {
    const { exhausted } = account
    return (
      exhausted !== undefined && amount >= exhausted.min && this.#options.now() - exhausted.at < exhaustedMs
    )
  }

  /** Adds the actual usage of a request, which the next renewal must record. */
  charge(id: string, amount: number): void {
    const account = this.#account(id)
    account.spent += amount
    account.typical =
      account.typical === 0 ? amount : account.typical + newestWeight * (amount - account.typical)
  }

  /**
   * Renews the slices of all budgets in use, including those for waiting requests. Resolves to false if the store is
   * unavailable.
   */
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
    const recorded = new Map(used.map(([id, account]) => [id, account.spent]))
    const requests = used.map(([id, account]) => {
      const { reserved, typical, waiting } = account
      const min = waiting.length > 0 ? Math.min(...waiting) : typical
      const desired = Math.max(
        typical,
        waiting.reduce((sum, amount) => sum + amount, 0),
      )
      return { id, reserved, min, desired, retained: this.#retain(account, { min, desired }) }
    })
    try {
      const states = await this.#options.renew(requests)
      for (const state of states) {
        const account = this.#account(state.id)
        account.state = state
        account.lastState = state
        account.exhausted = exhaustion(state, requests, now)
        account.spent = Math.max(0, account.spent - (recorded.get(state.id) ?? 0))
      }
      // Without a state, a budget was removed.
      for (const [id] of used) if (!states.some((state) => state.id === id)) this.#accounts.delete(id)
      this.#downSince = undefined
      return true
    } catch {
      this.#downSince ??= now
      return false
    }
  }

  /**
   * Reduces the slice to what may be spent while a renewal is in flight, and returns that amount: the store may grant the rest
   * to another process before its response arrives. A remainder too small for a request is returned to the store. While the
   * store is unavailable, the whole slice is kept.
   */
  #retain(account: Account, { min, desired }: { min: number; desired: number }): number {
    const { state } = account
    const free = Math.max(0, available(account))
    if (state === undefined || free === 0) return 0
    const useful = free < min ? 0 : Math.min(free, Math.max(desired, free / 2))
    const retained = this.isDown ? free : useful
    account.state = { ...state, granted: state.granted - (free - retained) }
    return retained
  }

  #account(id: string): Account {
    const existing = this.#accounts.get(id)
    if (existing) return existing
    const account: Account = {
      state: undefined,
      lastState: undefined,
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
  requests: SliceRequest['budgets'],
  at: number,
): Account['exhausted'] {
  const request = requests.find((request) => request.id === id)
  if (!request || granted - request.reserved >= request.min) return undefined
  return { at, min: request.min }
}

function available({ state, reserved, spent }: Account): number {
  return state === undefined ? 0 : state.granted - reserved - spent
}
