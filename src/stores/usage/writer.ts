import { randomBytes } from 'node:crypto'
import type { Database, UsageRow } from '../database/tables.ts'
import type { StoreLog } from '../store.ts'
import type { UsageSpool } from './spool.ts'
import { type UsagePart, UsageSums } from './sums.ts'
import { type AdditionalWrites, writeBatch } from './write.ts'

/** Amount of usage that is not in the database yet. */
export interface UsageBacklog {
  /** Rows waiting for the database. */
  rows: number
  /** Bytes on disk; 0 if nothing is waiting there. */
  spoolBytes: number
  /** Why the spool cannot be written; undefined if it can. */
  spoolError: string | undefined
}

/** Delay after which unwritten usage is spooled to disk, in milliseconds. */
const tickMs = 500

interface Batch {
  id: string
  sums: UsageSums
  /** Parts that are not on disk. */
  unspooled: UsagePart[]
}

export interface UsageWriterOptions {
  db: Database
  spool: UsageSpool
  log: StoreLog
  alsoWrite?: AdditionalWrites
  /** Called when the backlog becomes empty or non-empty. */
  onBacklog?: (backlog: UsageBacklog) => void
}

/**
 * Writes usage to the database, each part exactly once. While the database is unavailable, usage is kept in memory and on disk.
 * There are at most two batches: one that may have been written, and one with later usage.
 */
export class UsageWriter {
  readonly #options: UsageWriterOptions
  #current: Batch = newBatch()
  /** A batch that may or may not have been written; known when the database responds. */
  #inDoubt: Batch | undefined
  #previous: string | undefined
  #writing: Promise<boolean> | undefined
  #spooling: Promise<void> = Promise.resolve()
  #spoolError: string | undefined
  #isDown = false
  readonly #timer: NodeJS.Timeout
  #wasBehind = false

  constructor(options: UsageWriterOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#tick(), tickMs).unref()
  }

  /** Adds usage, which is written as soon as no other write is running. */
  add(part: UsagePart): void {
    this.#current.sums.addAll(part)
    this.#current.unspooled.push(part)
    if (!this.#isDown) void this.flush()
  }

  get backlog(): UsageBacklog {
    return {
      rows: this.#current.sums.size + (this.#inDoubt?.sums.size ?? 0),
      spoolBytes: this.#options.spool.bytes,
      spoolError: this.#spoolError,
    }
  }

  /** Resolves to true when all usage added before is in the database, or to false if the database is unavailable. */
  async flush(): Promise<boolean> {
    // A write that began earlier may not include usage added since.
    await this.#writing
    if (this.#writing === undefined && !this.#isDone) this.#writing = this.#write()
    return (await this.#writing) ?? true
  }

  /** Writes the usage of exited processes that is on disk. Throws if the database is unavailable. */
  async recover(): Promise<void> {
    const { spool, db, alsoWrite = writeNothing, log } = this.#options
    const { parts, done } = await spool.abandoned()
    if (parts.length === 0) return
    for (const [id, ofBatch] of Map.groupBy(parts, ({ batch }) => batch)) {
      const sums = new UsageSums(Number.POSITIVE_INFINITY)
      for (const { part } of ofBatch) sums.addAll(part)
      const options = { now: Date.now(), previous: undefined, alsoWrite, onRejected: this.#onRejected }
      await writeBatch(db, { id, part: sums.part() }, options)
    }
    await done()
    log.info('usage spooled by an earlier process written to the database')
  }

  /** Writes the remaining usage to the database, or to disk if it is unavailable. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    const isDone = await Promise.race([this.flush(), after(tickMs * 4, false)])
    if (isDone) return
    await this.#spool()
    this.#options.log.warn(
      { rows: this.backlog.rows, spool_error: this.#spoolError },
      'usage that could not be written to the database stays on disk for the next start',
    )
  }

  get #isDone(): boolean {
    return this.#inDoubt === undefined && this.#current.sums.isEmpty
  }

  #tick(): void {
    if (this.#isDone) return
    // Includes the batch being written, which must not be dropped if this process is killed.
    void this.#spool()
    if (this.#writing === undefined) void this.flush()
  }

  async #write(): Promise<boolean> {
    const { db, alsoWrite = writeNothing, log } = this.#options
    try {
      while (!this.#isDone) {
        const batch = this.#inDoubt ?? this.#current
        if (batch === this.#current) {
          this.#inDoubt = batch
          this.#current = newBatch()
        }
        const now = Date.now()
        const options = { now, previous: this.#previous, alsoWrite, onRejected: this.#onRejected }
        await writeBatch(db, { id: batch.id, part: batch.sums.part() }, options)
        this.#previous = batch.id
        this.#inDoubt = undefined
      }
      if (this.#isDown) log.info('usage is written to the database again')
      this.#isDown = false
      // After a pending append.
      this.#spooling = this.#spooling.then(() => this.#removeSpool())
      await this.#spooling
      return true
    } catch (error) {
      if (!this.#isDown)
        log.warn(
          { code: Object(error).code },
          'usage cannot be written to the database and is spooled to disk',
        )
      this.#isDown = true
      return false
    } finally {
      this.#writing = undefined
      this.#reportBacklog()
    }
  }

  readonly #onRejected = ({ client, model, target, requests }: UsageRow, error: unknown): void => {
    const { code } = Object(error)
    const names = { client: shortened(client), model: shortened(model), target: shortened(target) }
    this.#options.log.warn({ code, ...names, requests }, 'usage that the database rejects is not recorded')
  }

  /** Appends parts that are not on disk. */
  #spool(): Promise<void> {
    this.#spooling = this.#spooling.then(() => this.#append())
    return this.#spooling
  }

  async #append(): Promise<void> {
    const { spool, log } = this.#options
    const batches = [this.#inDoubt, this.#current].filter((batch) => batch !== undefined)
    const parts = batches.flatMap((batch) =>
      batch.unspooled.splice(0).map((part) => ({ batch: batch.id, part })),
    )
    try {
      if (parts.length > 0) await spool.append(parts)
      else await spool.touch(new Date())
      if (spool.isFull) await spool.replace(batches.map(({ id, sums }) => ({ batch: id, part: sums.part() })))
      this.#spoolError = undefined
    } catch (error) {
      for (const { batch, part } of parts) batches.find(({ id }) => id === batch)?.unspooled.push(part)
      const { code, message } = Object(error)
      if (this.#spoolError === undefined)
        log.warn({ code, error: message }, 'usage cannot be spooled to disk and is only in memory')
      this.#spoolError = String(code ?? 'error')
    }
    this.#reportBacklog()
  }

  async #removeSpool(): Promise<void> {
    if (!this.#isDone) return
    this.#spoolError = undefined
    await this.#options.spool.remove().catch(() => undefined)
  }

  #reportBacklog(): void {
    const isBehind = this.#options.spool.bytes > 0 || this.#spoolError !== undefined
    if (!isBehind && !this.#wasBehind) return
    this.#wasBehind = isBehind
    this.#options.onBacklog?.(this.backlog)
  }
}

function shortened(name: string): string {
  return name.slice(0, 200)
}

function newBatch(): Batch {
  return { id: randomBytes(9).toString('base64url'), sums: new UsageSums(), unspooled: [] }
}

async function writeNothing(): Promise<void> {}

function after<Value>(ms: number, value: Value): Promise<Value> {
  return new Promise((resolve) => setTimeout(resolve, ms, value))
}
