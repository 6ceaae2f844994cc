import type { BudgetRecord } from '../../sdk/teams/directory.ts'
import type { Database } from '../database/tables.ts'
import type { StoreLog } from '../store.ts'
import type { BudgetSpending } from './slices.ts'
import type { Webhook } from './webhook.ts'

/** Percent of a budget's limit. */
const thresholds = [50, 80, 100]
/** Retry interval and maximum duration, in milliseconds. */
const retryMs = 30_000
const giveUpMs = 3_600_000
/** How long a shutdown waits for a message that is on its way, in milliseconds. */
const closeMs = 2_000
/** Delay after which a router whose database failed tries again, in milliseconds. */
const databaseRetryMs = 1_000
/** Time for which a router claims a notice while it sends it, in milliseconds. */
const claimMs = 25_000

export interface NoticesOptions {
  db: Database
  webhook: Webhook
  log: StoreLog
}

/**
 * Notifies a webhook when budgets reach 50, 80 and 100 %: once per threshold and window, by one of the routers, with retries
 * for an hour while the webhook does not respond. Pending notices are in the database, so that another router sends them if one
 * is killed.
 */
export class BudgetNotices {
  readonly #options: NoticesOptions
  /** Thresholds recorded in the database, by budget and window. */
  readonly #recorded = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #sending: Promise<void> | undefined
  /** Whether a notice may have been recorded after the current pass read the due ones. */
  #hasPending = false
  #isClosed = false

  constructor(options: NoticesOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.send(), retryMs).unref()
    void this.send()
  }

  /** Records reached thresholds. `now`: milliseconds since 1970. */
  async recordThresholds(
    states: readonly BudgetSpending[],
    budgets: readonly { id: string; record: BudgetRecord }[],
    now: number,
  ): Promise<void> {
    const records = new Map(budgets.map(({ id, record }) => [id, record]))
    for (const state of states) {
      const record = records.get(state.id)
      if (!record) continue
      const percent = (state.spent / record.limit) * 100
      // A rolling window starts anew every 15 minutes: its thresholds apply again once usage has fallen below them.
      const key = `${state.id}/${record.window === 'rolling' ? '' : state.start}/${record.limit}`
      const before = this.#recorded.get(key) ?? 0
      const reached = thresholds.filter((threshold) => percent >= threshold)
      for (const threshold of reached.filter((threshold) => threshold > before)) {
        // Sent at once, even if the database fails before the next one is recorded.
        if (await this.#add(state, record, threshold, now)) void this.send()
      }
      this.#recorded.set(key, reached.at(-1) ?? 0)
    }
  }

  /** Sends due notices, including those recorded while others are being sent. */
  send(): Promise<void> {
    this.#hasPending = true
    this.#sending ??= this.#sendPending()
    return this.#sending
  }

  /** Waits a little for a message that is on its way: another router would send it again. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    await Promise.race([this.#sending, new Promise((resolve) => setTimeout(resolve, closeMs).unref())])
  }

  async #sendPending(): Promise<void> {
    try {
      while (this.#hasPending && !this.#isClosed) {
        this.#hasPending = false
        await this.#sendAll()
      }
    } catch {
      // Another process may have held SQLite's lock for too long: waiting for the interval would delay the notice by half a
      // minute.
      if (!this.#isClosed) setTimeout(() => void this.send(), databaseRetryMs).unref()
    } finally {
      this.#sending = undefined
    }
  }

  async #add(
    { id, spent, start, resetsAt }: BudgetSpending,
    record: BudgetRecord,
    threshold: number,
    now: number,
  ): Promise<boolean> {
    const { client = null, group = null, model = null, unit, limit, window } = record
    const time = (at: number): string => new Date(at).toISOString()
    const body = JSON.stringify({
      type: 'budget.threshold',
      timestamp: time(now),
      data: {
        budget: id,
        threshold,
        spent,
        limit,
        unit,
        client,
        group,
        model,
        window,
        window_start: time(start),
        resets_at: time(resetsAt),
      },
    })
    const added = await this.#options.db
      .insertInto('budget_notices')
      .values({
        budget: id,
        period: periodOf(record, start),
        threshold,
        at: now,
        body,
        claimed_until: 0,
        sent_at: null,
      })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst()
    return added.numInsertedOrUpdatedRows !== 0n
  }

  async #sendAll(): Promise<void> {
    const { db, webhook, log } = this.#options
    const now = Date.now()
    const due = await db
      .selectFrom('budget_notices')
      .selectAll()
      .where('sent_at', 'is', null)
      .where('at', '>', now - giveUpMs)
      .where('claimed_until', '<', now)
      .orderBy('at')
      .limit(100)
      .execute()
    for (const { budget, period, threshold, body } of due) {
      if (this.#isClosed) return
      const notice = { budget, period, threshold }
      const claim = await this.#update(notice, { claimed_until: Date.now() + claimMs }, Date.now())
      if (!claim) continue
      const error = await webhook.send(`${budget}.${period}.${threshold}`, body)
      if (error === undefined) await this.#update(notice, { sent_at: Date.now() })
      else log.warn({ budget, threshold, error }, 'the budget webhook could not be reached')
    }
  }

  /** Updates a notice. `unclaimedAt`: only if no router has claimed it at this time. Returns whether it was updated. */
  async #update(
    { budget, period, threshold }: { budget: string; period: number; threshold: number },
    change: { claimed_until?: number; sent_at?: number },
    unclaimedAt?: number,
  ): Promise<boolean> {
    let query = this.#options.db
      .updateTable('budget_notices')
      .set(change)
      .where('budget', '=', budget)
      .where('period', '=', period)
      .where('threshold', '=', threshold)
    if (unclaimedAt !== undefined)
      query = query.where('claimed_until', '<', unclaimedAt).where('sent_at', 'is', null)
    const { numUpdatedRows } = await query.executeTakeFirst()
    return numUpdatedRows > 0n
  }
}

/** The period in which a threshold is reported once: the window, or for a rolling one a fixed interval of its length. */
function periodOf({ window, hours }: BudgetRecord, start: number): number {
  if (window !== 'rolling') return start
  const lengthMs = (hours ?? 1) * 3_600_000
  return Math.floor(start / lengthMs) * lengthMs
}
