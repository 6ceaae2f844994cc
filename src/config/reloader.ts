import { createHash } from 'node:crypto'
import { FileWatch } from '../lib/watch-files.ts'

/**
 * Files that form one part of the configuration. A snapshot is plain JSON, because the processes of a cluster pass it to
 * each other: all apply the same bytes, whatever happens to the files meanwhile.
 */
export interface ConfigSource<Snapshot> {
  /** The environment variable with their path. */
  readonly name: string
  /** Reads the current state. Never rejects: the snapshot reports a file that cannot be read. */
  read(): Promise<Snapshot>
  /** Every file and directory that the snapshot depends on, including missing ones. */
  paths(snapshot: Snapshot): readonly string[]
  /** The part of the snapshot that changes without its files. */
  readonly live?: LivePart<Snapshot>
}

/** A part of a snapshot that is discovered at runtime, such as the models of a server. */
export interface LivePart<Snapshot> {
  /** Adds the part to a snapshot. Waits briefly for what is not known yet. Never rejects. */
  complete(read: Snapshot): Promise<Snapshot>
  /** The snapshot with the current part. */
  update(inUse: Snapshot): Snapshot
  /** The snapshot without the part. */
  strip(snapshot: Snapshot): Snapshot
  /** Watches only what this snapshot needs from now on. */
  settle(inUse: Snapshot): void
  /** Calls the listener after each change; there is one. */
  listen(onChange: () => void): void
  close(): void
}

/** The first snapshot of a source, complete. */
export async function firstOf<Snapshot>({ read, live }: ConfigSource<Snapshot>): Promise<Snapshot> {
  const snapshot = await read()
  return live ? live.complete(snapshot) : snapshot
}

/** Applies snapshots in two phases, so that either all takers apply one or none does. */
export interface ConfigTaker<Snapshot> {
  /** Validates the snapshot and prepares what `commit` applies. Returns the errors; none if it can be applied. */
  prepare(snapshot: Snapshot): Promise<readonly string[]>
  /** Applies what was prepared last, atomically. `notice`: this taker logs and counts it on behalf of all. */
  commit(notice: boolean): void
  /** What was prepared last is rejected because of these errors, here or in another taker. */
  drop(errors: readonly string[], notice: boolean): void
  /** The applied state for the audit log, without secrets. */
  describe?(): object
}

/** Source of a process's snapshots. */
export interface ConfigFeed<Snapshot> {
  /** The initial snapshot. */
  first(): Promise<Snapshot>
  /** Passes each later one to the taker. Resolves when no change will be missed. */
  serve(taker: ConfigTaker<Snapshot>): Promise<void>
  /** Reloads immediately, even without a detected change. Resolves when the result was applied or rejected. */
  reload(): Promise<void>
  close(): Promise<void>
}

export interface ReloaderOptions<Snapshot> {
  source: ConfigSource<Snapshot>
  /** Polling interval for changes without an event, in milliseconds; 0: never. */
  pollMs: number
  /** Called for each snapshot. */
  takers: () => readonly ConfigTaker<Snapshot>[]
  /** See `FileWatchOptions.onWatchError`. */
  onWatchError: (error: unknown) => void
}

/** Delay between the last event and the read, in milliseconds: files are often written in pieces. */
const quietMs = 100
/** Delay before a rejected change of the live part is retried, in milliseconds. */
const retryMs = 5_000
/** Maximum reads of files that keep changing; they are read again after the next event. */
const maxReadings = 3

/** Reads a source after each change of its files; either all takers apply it or none does. */
export class Reloader<Snapshot> {
  readonly #options: ReloaderOptions<Snapshot>
  readonly #watch: FileWatch
  #current: Snapshot
  /** State of the last snapshot read, applied or not. */
  #seen: string
  #wanted: 'live' | 'changed' | 'asked' | undefined
  #retry: NodeJS.Timeout | undefined
  #rounds: Promise<void> | undefined
  #closed = false

  /** `first`: the snapshot in use. */
  constructor(first: Snapshot, options: ReloaderOptions<Snapshot>) {
    this.#options = options
    this.#current = first
    this.#seen = digestOf(options.source.live?.strip(first) ?? first)
    this.#watch = new FileWatch({
      quietMs,
      pollMs: options.pollMs,
      onChange: () => void this.#want('changed'),
      onWatchError: options.onWatchError,
    })
  }

  /** Reads changes, if any. Resolves when no change since `first` will be missed. */
  start(): Promise<void> {
    this.#options.source.live?.listen(() => void this.#want('live'))
    return this.#want('changed')
  }

  /** See `ConfigFeed.reload`. */
  reload(): Promise<void> {
    return this.#want('asked')
  }

  /** The snapshot in use, once no change is in progress. */
  async settled(): Promise<Snapshot> {
    while (this.#rounds !== undefined) await this.#rounds
    return this.#current
  }

  /** Resolves when all watches, timers and reads have ended. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    await this.#watch.close()
    await this.#rounds
  }

  #want(why: 'live' | 'changed' | 'asked'): Promise<void> {
    if (this.#closed) return Promise.resolve()
    if (this.#wanted === undefined || this.#wanted === 'live' || why === 'asked') this.#wanted = why
    this.#rounds ??= this.#runRounds()
    return this.#rounds
  }

  async #runRounds(): Promise<void> {
    try {
      while (this.#wanted && !this.#closed) {
        const why = this.#wanted
        this.#wanted = undefined
        await this.#liveRound()
        if (why === 'live') continue
        await this.#fileRound(why === 'asked')
        await this.#liveRound()
      }
    } finally {
      this.#rounds = undefined
    }
  }

  async #fileRound(asked: boolean): Promise<void> {
    const read = await this.#read()
    const digest = digestOf(read)
    if (this.#closed || (digest === this.#seen && !asked)) return
    // Without takers nothing can be validated: the next taker starts with the last applied snapshot and reloads.
    if (this.#options.takers().length === 0) return
    this.#seen = digest
    const { live } = this.#options.source
    await this.#offer(live ? await live.complete(read) : read)
    live?.settle(this.#current)
  }

  /** A rejected file does not stop watching what the applied one depends on. */
  async #liveRound(): Promise<void> {
    const { live } = this.#options.source
    if (!live || this.#closed) return
    const snapshot = live.update(this.#current)
    if (digestOf(snapshot) === digestOf(this.#current) || (await this.#offer(snapshot))) return
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => void this.#want('live'), retryMs).unref()
  }

  /** Applies the snapshot in all takers or in none. Returns whether it was applied. */
  async #offer(snapshot: Snapshot): Promise<boolean> {
    const takers = this.#options.takers()
    if (takers.length === 0) return false
    const verdicts = await Promise.all(takers.map((taker) => verdictOf(taker, snapshot)))
    const errors = verdicts.find((found) => found.length > 0)
    if (!errors) this.#current = snapshot
    for (const [index, taker] of takers.entries()) {
      if (errors) taker.drop(errors, index === 0)
      else taker.commit(index === 0)
    }
    return !errors
  }

  /** Files are watched before their final read, so no change in between is lost. */
  async #read(): Promise<Snapshot> {
    const { source } = this.#options
    let snapshot = await source.read()
    for (let readings = 1; readings < maxReadings; readings++) {
      if (this.#closed || !(await this.#watch.set(source.paths(snapshot)))) break
      snapshot = await source.read()
    }
    return snapshot
  }
}

function digestOf(snapshot: unknown): string {
  return createHash('sha256').update(JSON.stringify(snapshot)).digest('base64url')
}

/** A bug of the router or an extension must not crash it during a reload. */
async function verdictOf<Snapshot>(
  taker: ConfigTaker<Snapshot>,
  snapshot: Snapshot,
): Promise<readonly string[]> {
  try {
    return await taker.prepare(snapshot)
  } catch (error) {
    return [`cannot be read: ${error instanceof Error ? error.message : error}`]
  }
}

/** The feed of a single process. */
export function localFeed<Snapshot>(
  options: Omit<ReloaderOptions<Snapshot>, 'takers'>,
): ConfigFeed<Snapshot> {
  const takers: ConfigTaker<Snapshot>[] = []
  let reading: Promise<Snapshot> | undefined
  let reloader: Reloader<Snapshot> | undefined
  const first = (): Promise<Snapshot> => {
    reading ??= firstOf(options.source)
    return reading
  }
  return {
    first,
    async serve(taker) {
      takers.push(taker)
      reloader = new Reloader(await first(), { ...options, takers: () => takers })
      await reloader.start()
    },
    reload: async () => reloader?.reload(),
    async close() {
      options.source.live?.close()
      await reloader?.close()
    },
  }
}
