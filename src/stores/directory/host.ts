import { type TimeZone, timeZone } from '../../lib/time-zone.ts'
import type {
  BudgetRecord,
  ClientRecord,
  GroupRecord,
  PriceRecord,
  Snapshot,
} from '../../sdk/teams/directory.ts'
import { BudgetNotices } from '../budgets/notices.ts'
import {
  type BudgetState,
  readSpending,
  renewSlices,
  returnSlices,
  type SliceRequest,
} from '../budgets/slices.ts'
import { chargeBudgets } from '../budgets/spent.ts'
import type { Webhook } from '../budgets/webhook.ts'
import type { OpenDatabase } from '../database/open.ts'
import type { Database } from '../database/tables.ts'
import type { StoreLog } from '../store.ts'
import { applyRetention, type UsageRetention } from '../usage/retention.ts'
import type { UsageSpool } from '../usage/spool.ts'
import { type UsageBacklog, UsageWriter } from '../usage/writer.ts'
import type { Command, CommandName, CommandResult } from './commands.ts'
import { endedPrefix, execute } from './execute.ts'
import type { ChangeHints } from './hints.ts'

/** Interval of polling the revision, in milliseconds: a revoked key is rejected everywhere within two intervals. */
const pollMs = 1_000
/** Intervals of taking over usage of exited processes, and of removing old usage, in milliseconds. */
const recoverMs = 60_000
const retentionMs = 3_600_000

export interface HostOptions {
  log: StoreLog
  hints: ChangeHints
  spool: UsageSpool
  retention: UsageRetention
  /** Notified of budgets that reach a threshold. */
  webhook?: Webhook | undefined
}

/**
 * The records of the database, held in memory by the process that owns the connection. Polls a revision number every second and
 * reads all records again when it has changed, so that no client request waits for the database.
 */
export class DirectoryHost {
  readonly #database: OpenDatabase
  readonly #log: StoreLog
  readonly #hints: ChangeHints
  readonly #listeners: ((snapshot: Snapshot) => void)[] = []
  #snapshot: Snapshot
  #timer: NodeJS.Timeout | undefined
  #isReachable = true
  #isClosed = false
  #lastRefresh: Promise<void> = Promise.resolve()
  /** A refresh that has not begun. */
  #nextRefresh: Promise<void> | undefined
  /** Writes the usage of all processes. */
  readonly usage: UsageWriter
  readonly #zone: TimeZone
  readonly #notices: BudgetNotices | undefined
  readonly #maintenance: readonly NodeJS.Timeout[]
  readonly #backlogListeners: ((backlog: UsageBacklog) => void)[] = []
  readonly #reachableListeners: ((isReachable: boolean) => void)[] = []

  private constructor(
    database: OpenDatabase,
    snapshot: Snapshot,
    { log, hints, spool, retention, webhook }: HostOptions,
  ) {
    this.#database = database
    this.#hints = hints
    hints.onHint(() => void this.#refresh())
    this.#snapshot = snapshot
    this.#log = log
    this.#zone = timeZone(retention.timeZone)
    const { db } = database
    this.#notices = webhook && new BudgetNotices({ db, webhook, log })
    this.usage = new UsageWriter({
      db,
      spool,
      log,
      alsoWrite: (rows, usage) => chargeBudgets(rows, usage, this.#snapshot),
      onBacklog: (backlog) => {
        for (const listener of this.#backlogListeners) listener(backlog)
      },
    })
    this.#maintenance = [
      atInterval(recoverMs, async () => {
        await this.usage.recover()
        await this.#checkThresholds()
      }),
      atInterval(retentionMs, () => applyRetention(db, retention, Date.now())),
    ]
    this.#schedule()
  }

  static async start(database: OpenDatabase, options: HostOptions): Promise<DirectoryHost> {
    const host = new DirectoryHost(database, await readSnapshot(database), options)
    // A start only requires that the records can be read: a database may be read-only for a while, or its usage locked.
    await host.usage.recover().catch(({ code }) => {
      options.log.warn({ code }, 'usage spooled by an earlier process cannot be written to the database yet')
    })
    void applyRetention(database.db, options.retention, Date.now()).catch(() => undefined)
    void host.#checkThresholds().catch(() => undefined)
    return host
  }

  /** Records usage that was added before, then renews the slices of a process. Rejects while the database is unavailable. */
  async renewBudgets(request: SliceRequest): Promise<BudgetState[]> {
    if (!(await this.usage.flush())) throw new Error('the database is unavailable')
    const { budgets } = this.#snapshot
    const now = Date.now()
    const context = { budgets, zone: this.#zone, now }
    const states = await renewSlices(this.#database.db, request, context)
    // In the background: requests do not wait for the webhook.
    void this.#notices?.recordThresholds(states, budgets, now).catch(() => undefined)
    return states
  }

  /** Releases the slices of a stopping process. */
  async returnBudgets(holder: string): Promise<void> {
    await this.usage.flush()
    await returnSlices(this.#database.db, holder)
  }

  /** Calls `listener` when the database becomes unavailable, and when it is available again. */
  onReachable(listener: (isReachable: boolean) => void): void {
    this.#reachableListeners.push(listener)
  }

  onBacklog(listener: (backlog: UsageBacklog) => void): void {
    this.#backlogListeners.push(listener)
  }

  get snapshot(): Snapshot {
    return this.#snapshot
  }

  /** Whether the last query of the database succeeded. */
  get isReachable(): boolean {
    return this.#isReachable
  }

  onChange(listener: (snapshot: Snapshot) => void): void {
    this.#listeners.push(listener)
  }

  /** Runs a command. Rejects only if the database fails. When it resolves, this process and its workers use the change. */
  async run<Name extends CommandName>(command: Command<Name>): Promise<CommandResult<Name>> {
    const { revision } = this.#snapshot
    const result = await execute(this.#database.db, command, Date.now)
    await this.#refresh()
    if (this.#snapshot.revision !== revision) this.#hints.announce()
    return result
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#hints.close()
    for (const timer of this.#maintenance) clearInterval(timer)
    await this.#notices?.close()
    await this.usage.close()
    await this.#database.close()
  }

  /** For usage after which nothing was renewed, because its router has stopped and nobody has used the budget since. */
  async #checkThresholds(): Promise<void> {
    const notices = this.#notices
    if (!notices) return
    for (const budget of this.#snapshot.budgets) {
      if (this.#isClosed) return
      if (budget.record.enabled === false) continue
      const now = Date.now()
      const spending = await readSpending(this.#database.db, budget, { zone: this.#zone, now })
      await notices.recordThresholds([spending], [budget], now)
    }
  }

  #schedule(): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => {
      void this.#refresh().finally(() => this.#schedule())
    }, pollMs).unref()
  }

  /**
   * Reads the records again if they have changed. One read at a time: otherwise an earlier one that ends later would bring back
   * keys that have been revoked since. All calls during a read share the next one.
   */
  #refresh(): Promise<void> {
    this.#nextRefresh ??= this.#lastRefresh.then(() => {
      this.#lastRefresh = this.#nextRefresh ?? this.#lastRefresh
      this.#nextRefresh = undefined
      return this.#readChanges()
    })
    return this.#nextRefresh
  }

  async #readChanges(): Promise<void> {
    try {
      const revision = await readRevision(this.#database.db)
      if (revision !== this.#snapshot.revision) {
        this.#snapshot = await readSnapshot(this.#database)
        for (const listener of this.#listeners) listener(this.#snapshot)
      }
      if (!this.#isReachable) this.#log.info('the database is available again')
      this.#setReachable(true)
    } catch (error) {
      if (this.#isClosed) return
      if (this.#isReachable) {
        const { code } = Object(error)
        this.#log.warn({ code }, 'the database is unavailable: the last known clients and keys stay in use')
      }
      this.#setReachable(false)
    }
  }

  #setReachable(isReachable: boolean): void {
    if (this.#isReachable === isReachable) return
    this.#isReachable = isReachable
    for (const listener of this.#reachableListeners) listener(isReachable)
  }
}

/** Runs work at an interval. Errors are ignored: the next run retries. */
function atInterval(intervalMs: number, work: () => Promise<void>): NodeJS.Timeout {
  return setInterval(() => void work().catch(() => undefined), intervalMs).unref()
}

async function readRevision(db: Database): Promise<number> {
  const row = await db.selectFrom('meta').select('value').where('key', '=', 'revision').executeTakeFirst()
  return Number(row?.value ?? 0)
}

/** Reads all records as of one moment: without its group, a client would have the permissions that the group withholds. */
function readSnapshot({ db }: OpenDatabase): Promise<Snapshot> {
  return db
    .transaction()
    .setAccessMode('read only')
    .setIsolationLevel('repeatable read')
    .execute(async (rows) => {
      const revision = await readRevision(rows)
      const clients = await rows.selectFrom('clients').select(['id', 'record']).orderBy('id').execute()
      const groups = await rows.selectFrom('client_groups').select(['id', 'record']).orderBy('id').execute()
      const keys = await rows
        .selectFrom('client_keys')
        .select(['id', 'client_id', 'sha256', 'expires_at', 'revoked_at'])
        .execute()
      const prices = await rows.selectFrom('prices').select(['id', 'record']).orderBy('id').execute()
      const budgets = await rows.selectFrom('budgets').select(['id', 'record']).orderBy('id').execute()
      const ended = await rows
        .selectFrom('meta')
        .select('key')
        .where('key', 'like', `${endedPrefix}%`)
        .execute()
      return {
        revision,
        endedSessions: ended.map(({ key }) => key.slice(endedPrefix.length)),
        prices: prices.map(({ id, record }) => ({ id, record: JSON.parse(record) as PriceRecord })),
        budgets: budgets.map(({ id, record }) => ({ id, record: JSON.parse(record) as BudgetRecord })),
        clients: clients.map(({ id, record }) => ({ id, record: JSON.parse(record) as ClientRecord })),
        groups: groups.map(({ id, record }) => ({ id, record: JSON.parse(record) as GroupRecord })),
        keys: keys.map(({ id, client_id, sha256, expires_at, revoked_at }) => ({
          id,
          client: client_id,
          sha256,
          // Not the time of the revocation: the clock of the router that revoked it may be ahead.
          endsAt: revoked_at === null ? expires_at : 0,
        })),
      }
    })
}
