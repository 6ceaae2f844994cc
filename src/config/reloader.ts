import { createHash } from 'node:crypto'
import { FileWatch } from '../lib/watch-files.ts'

/**
 * Files that are one part of the configuration. A snapshot is plain JSON, since the processes of a cluster hand it to
 * each other: all are to take the same bytes, whatever happens to the files meanwhile.
 */
export interface ConfigSource<Snapshot> {
  /** The environment variable that says where they are. */
  readonly name: string
  /** Reads the current state. Never rejects: the snapshot reports a file that cannot be read. */
  read(): Promise<Snapshot>
  /** Every file and directory that the snapshot was made of, or that is missing in it. */
  paths(snapshot: Snapshot): readonly string[]
  /** What belongs to the snapshot and changes without its files. */
  readonly live?: LivePart<Snapshot>
}

/** A part of a snapshot that is found out while the router runs, such as the models that a server has. */
export interface LivePart<Snapshot> {
  /** Adds the part to what was read. Waits a moment for what is not known yet. Never rejects. */
  complete(read: Snapshot): Promise<Snapshot>
  /** The snapshot with the part as it is now. */
  update(inUse: Snapshot): Snapshot
  /** The snapshot without the part. */
  strip(snapshot: Snapshot): Snapshot
  /** From now on only what this snapshot needs is followed. */
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

/** What a snapshot is for. Two steps, so that many can take it together, or none of them. */
export interface ConfigTaker<Snapshot> {
  /** Looks for errors, and makes ready what `commit` puts to work. Gives the errors; none: it can be taken. */
  prepare(snapshot: Snapshot): Promise<readonly string[]>
  /** Takes what was prepared last, in one step. `notice`: this taker is the one of all to log and to count it. */
  commit(notice: boolean): void
  /** What was prepared last is not taken: here, or elsewhere, it has these errors. */
  drop(errors: readonly string[], notice: boolean): void
  /** What is in use, for the audit log: without secrets. */
  describe?(): object
}

/** Where a process has its snapshots from. */
export interface ConfigFeed<Snapshot> {
  /** The one to start with. */
  first(): Promise<Snapshot>
  /** Gives the taker each later one. Resolves when no change will be missed. */
  serve(taker: ConfigTaker<Snapshot>): Promise<void>
  /** Reads at once, also where nothing seems to have changed. Resolves when that has been taken or dropped. */
  reload(): Promise<void>
  close(): Promise<void>
}

export interface ReloaderOptions<Snapshot> {
  source: ConfigSource<Snapshot>
  /** How often to look for changes that no event tells, in milliseconds; 0 is never. */
  pollMs: number
  /** Called for each snapshot. */
  takers: () => readonly ConfigTaker<Snapshot>[]
  /** See `FileWatchOptions.onBlind`. */
  onBlind: (error: unknown) => void
}

/** From the last event to the reading, in milliseconds: who writes a file often writes it in pieces. */
const quietMs = 100
/** Until a change of the live part that was not taken is offered again, in milliseconds. */
const retryMs = 5_000
/** What goes on changing is taken as it is, and read again after the next event. */
const maxReadings = 3

/** Reads a source after each change of its files, and has all takers take it, or none. */
export class Reloader<Snapshot> {
  readonly #options: ReloaderOptions<Snapshot>
  readonly #watch: FileWatch
  #current: Snapshot
  /** Of the last one that was read, taken or not. */
  #seen: string
  #wanted: 'live' | 'changed' | 'asked' | undefined
  #retry: NodeJS.Timeout | undefined
  #rounds: Promise<void> | undefined
  #closed = false

  /** `first`: what is in use. */
  constructor(first: Snapshot, options: ReloaderOptions<Snapshot>) {
    this.#options = options
    this.#current = first
    this.#seen = digestOf(options.source.live?.strip(first) ?? first)
    this.#watch = new FileWatch({
      quietMs,
      pollMs: options.pollMs,
      onChange: () => void this.#want('changed'),
      onBlind: options.onBlind,
    })
  }

  /** Reads what has changed, if anything has. Resolves when no change since `first` was read will be missed. */
  start(): Promise<void> {
    this.#options.source.live?.listen(() => void this.#want('live'))
    return this.#want('changed')
  }

  /** See `ConfigFeed.reload`. */
  reload(): Promise<void> {
    return this.#want('asked')
  }

  /** What is in use, once no change of it is under way. */
  async settled(): Promise<Snapshot> {
    while (this.#rounds !== undefined) await this.#rounds
    return this.#current
  }

  /** Resolves when no watch, timer or reading is left. */
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
    // Nobody is there to look for errors: whoever comes next starts with what the last ones have taken, and asks again.
    if (this.#options.takers().length === 0) return
    this.#seen = digest
    const { live } = this.#options.source
    await this.#offer(live ? await live.complete(read) : read)
    live?.settle(this.#current)
  }

  /** A file that was rejected keeps nothing from following what the one in use names. */
  async #liveRound(): Promise<void> {
    const { live } = this.#options.source
    if (!live || this.#closed) return
    const snapshot = live.update(this.#current)
    if (digestOf(snapshot) === digestOf(this.#current) || (await this.#offer(snapshot))) return
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => void this.#want('live'), retryMs).unref()
  }

  /** Has all takers take the snapshot, or none. Returns whether they have. */
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

  /** What a reading names is watched before it is read for good: a change in between is no change lost. */
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

/** A bug of ours, or of an extension, must not end the router that it was to change. */
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

/** The feed of a process that has no other one to agree with. */
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
