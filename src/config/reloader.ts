import { createHash } from 'node:crypto'
import { FileWatch } from '../lib/watch-files.ts'

/**
 * Files that form one part of the configuration. A snapshot is plain JSON, so that the primary can send it to all workers,
 * which then apply the same bytes even if the files change in the meantime.
 */
export interface ConfigSource<Snapshot> {
  /** The environment variable that names the files. */
  readonly name: string
  /** Reads the current state. Never rejects: the snapshot reports a file that cannot be read. */
  read(): Promise<Snapshot>
  /** Returns every file and directory that the snapshot depends on, including missing ones. */
  paths(snapshot: Snapshot): readonly string[]
  /** The part of the snapshot that can change while the files do not. */
  readonly live?: LivePart<Snapshot>
}

/** A part of a snapshot that is discovered at runtime, such as the models of a server. */
export interface LivePart<Snapshot> {
  /** Adds the part to a snapshot. Waits briefly for values that are not known yet. Never rejects. */
  complete(read: Snapshot): Promise<Snapshot>
  /** Returns the snapshot with the current part. */
  update(inUse: Snapshot): Snapshot
  /** Returns the snapshot without the part. */
  strip(snapshot: Snapshot): Snapshot
  /** From now on, watches only what this snapshot needs. */
  settle(inUse: Snapshot): void
  /** Sets the listener that is called after each change. */
  listen(onChange: () => void): void
  close(): void
}

/** Reads the first snapshot of a source, including its live part. */
export async function readFirst<Snapshot>({ read, live }: ConfigSource<Snapshot>): Promise<Snapshot> {
  const snapshot = await read()
  return live ? live.complete(snapshot) : snapshot
}

/** Applies snapshots in two phases, so that either all subscribers apply a snapshot or none does. */
export interface ConfigSubscriber<Snapshot> {
  /** Validates the snapshot and prepares `commit`. Returns the errors; none if it can be applied. */
  prepare(snapshot: Snapshot): Promise<readonly string[]>
  /** Applies the last prepared snapshot atomically. `reports`: whether this subscriber logs and counts it on behalf of all. */
  commit(reports: boolean): void
  /** Discards the last prepared snapshot because of these errors, from this or another subscriber. */
  discard(errors: readonly string[], reports: boolean): void
  /** Returns the applied state for the audit log, without secrets. */
  describe?(): object
}

/** Source of a process's snapshots. */
export interface ConfigFeed<Snapshot> {
  /** The initial snapshot. */
  first(): Promise<Snapshot>
  /** Passes each later snapshot to the subscriber. Resolves when no change will be missed. */
  serve(subscriber: ConfigSubscriber<Snapshot>): Promise<void>
  /** Reloads immediately, even without a detected change. Resolves when the result was applied or rejected. */
  reload(): Promise<void>
  close(): Promise<void>
}

export interface ReloaderOptions<Snapshot> {
  source: ConfigSource<Snapshot>
  /** Polling interval for changes without an event, in milliseconds; 0: never. */
  pollMs: number
  /** Returns the processes or objects that apply a snapshot; called for each snapshot. */
  subscribers: () => readonly ConfigSubscriber<Snapshot>[]
  /** See `FileWatchOptions.onWatchError`. */
  onWatchError: (error: unknown) => void
}

/** Delay between the last event and the read, in milliseconds, because files are often written in several steps. */
const quietMs = 100
/** Delay before a rejected change is retried, in milliseconds: a file may be readable again without having changed. */
const retryMs = 5_000
/** Maximum consecutive reads of files that keep changing; they are read again after the next event. */
const maxReadings = 3

/** Reads a source after each change of its files; either all subscribers apply it or none does. */
export class Reloader<Snapshot> {
  readonly #options: ReloaderOptions<Snapshot>
  readonly #watch: FileWatch
  #current: Snapshot
  /** Digest of the last snapshot read, applied or not. */
  #lastDigest: string
  #isRejected = false
  #pending: 'live' | 'changed' | 'requested' | undefined
  #retry: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #closed = false

  /** `first`: the snapshot in use. */
  constructor(first: Snapshot, options: ReloaderOptions<Snapshot>) {
    this.#options = options
    this.#current = first
    this.#lastDigest = digestOf(options.source.live?.strip(first) ?? first)
    this.#watch = new FileWatch({
      quietMs,
      pollMs: options.pollMs,
      onChange: () => void this.#request('changed'),
      onWatchError: options.onWatchError,
    })
  }

  /** Reads changes, if any. Resolves when no change since `first` will be missed. */
  start(): Promise<void> {
    this.#options.source.live?.listen(() => void this.#request('live'))
    return this.#request('changed')
  }

  /** See `ConfigFeed.reload`. */
  reload(): Promise<void> {
    return this.#request('requested')
  }

  /** The snapshot in use, once no change is in progress. */
  async settled(): Promise<Snapshot> {
    while (this.#running !== undefined) await this.#running
    return this.#current
  }

  /** Resolves when all watches, timers and reads have ended. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    await this.#watch.close()
    await this.#running
  }

  #request(why: 'live' | 'changed' | 'requested'): Promise<void> {
    if (this.#closed) return Promise.resolve()
    if (this.#pending === undefined || this.#pending === 'live' || why === 'requested') this.#pending = why
    this.#running ??= this.#run()
    return this.#running
  }

  async #run(): Promise<void> {
    try {
      while (this.#pending && !this.#closed) {
        const why = this.#pending
        this.#pending = undefined
        await this.#reloadLive()
        if (why === 'live') continue
        await this.#reloadFiles(why === 'requested')
        await this.#reloadLive()
      }
    } finally {
      this.#running = undefined
    }
  }

  async #reloadFiles(isRequested: boolean): Promise<void> {
    const read = await this.#read()
    const digest = digestOf(read)
    if (this.#closed) return
    if (digest === this.#lastDigest && !isRequested) {
      if (this.#isRejected) this.#retryLater()
      return
    }
    // Without subscribers nothing can be validated. The next subscriber starts with the last applied snapshot and reloads.
    if (this.#options.subscribers().length === 0) return
    this.#lastDigest = digest
    const { live } = this.#options.source
    this.#isRejected = !(await this.#apply(live ? await live.complete(read) : read))
    live?.settle(this.#current)
    if (this.#isRejected) this.#retryLater()
  }

  /** Offers the current live part with the files in use, which may be older than rejected ones. */
  async #reloadLive(): Promise<void> {
    const { live } = this.#options.source
    if (!live || this.#closed) return
    const snapshot = live.update(this.#current)
    if (digestOf(snapshot) === digestOf(this.#current) || (await this.#apply(snapshot))) return
    this.#retryLater()
  }

  #retryLater(): void {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => void this.#request('changed'), retryMs).unref()
  }

  /** Applies the snapshot in all subscribers or in none. Returns whether it was applied. */
  async #apply(snapshot: Snapshot): Promise<boolean> {
    const subscribers = this.#options.subscribers()
    if (subscribers.length === 0) return false
    const results = await Promise.all(subscribers.map((subscriber) => errorsOf(subscriber, snapshot)))
    const errors = results.find((found) => found.length > 0)
    if (!errors) this.#current = snapshot
    for (const [index, subscriber] of subscribers.entries()) {
      if (errors) subscriber.discard(errors, index === 0)
      else subscriber.commit(index === 0)
    }
    return !errors
  }

  /** Reads the source. Files are watched before their final read, so that no change is missed. */
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

/** Prepares a snapshot. A bug in the router or an extension counts as an error, so that it does not crash the process. */
async function errorsOf<Snapshot>(
  subscriber: ConfigSubscriber<Snapshot>,
  snapshot: Snapshot,
): Promise<readonly string[]> {
  try {
    return await subscriber.prepare(snapshot)
  } catch (error) {
    return [`cannot be read: ${error instanceof Error ? error.message : error}`]
  }
}

/** Creates the feed of a single process. */
export function localFeed<Snapshot>(
  options: Omit<ReloaderOptions<Snapshot>, 'subscribers'>,
): ConfigFeed<Snapshot> {
  const subscribers: ConfigSubscriber<Snapshot>[] = []
  let reading: Promise<Snapshot> | undefined
  let reloader: Reloader<Snapshot> | undefined
  const first = (): Promise<Snapshot> => {
    reading ??= readFirst(options.source)
    return reading
  }
  return {
    first,
    async serve(subscriber) {
      subscribers.push(subscriber)
      reloader = new Reloader(await first(), { ...options, subscribers: () => subscribers })
      await reloader.start()
    },
    reload: async () => reloader?.reload(),
    async close() {
      options.source.live?.close()
      await reloader?.close()
    },
  }
}
