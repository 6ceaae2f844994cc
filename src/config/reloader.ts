import { createHash } from 'node:crypto'
import { FileWatch } from '../lib/watch-files.ts'

/**
 * Files that are one part of the configuration. A snapshot is plain JSON, since the processes of a cluster hand it to
 * each other: all are to take the same bytes, whatever happens to the files meanwhile.
 */
export interface ConfigSource<Snapshot> {
  /** The environment variable that says where they are. */
  readonly name: string
  /** What is there now. Never rejects: a file that cannot be read is told in the snapshot. */
  read(): Promise<Snapshot>
  /** Every file and directory that the snapshot was made of, or that is missing in it. */
  paths(snapshot: Snapshot): readonly string[]
}

/** What a snapshot is for. Two steps, so that many can take it together, or none of them. */
export interface ConfigTaker<Snapshot> {
  /** Looks for errors, and makes ready what `commit` puts to work. Gives the errors; none: it can be taken. */
  prepare(snapshot: Snapshot): Promise<readonly string[]>
  /** Takes what was prepared last, in one step. `notice`: this taker is the one of all to log and to count it. */
  commit(notice: boolean): void
  /** What was prepared last is not taken: here, or elsewhere, it has these errors. */
  drop(errors: readonly string[], notice: boolean): void
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
  /** Asked anew for each snapshot. */
  takers: () => readonly ConfigTaker<Snapshot>[]
  /** See `FileWatchOptions.onBlind`. */
  onBlind: (error: unknown) => void
}

/** From the last event to the reading, in milliseconds: who writes a file often writes it in pieces. */
const quietMs = 100
/** What goes on changing is taken as it is, and read again after the next event. */
const maxReadings = 3

/** Reads a source after each change of its files, and has all takers take it, or none. */
export class Reloader<Snapshot> {
  readonly #options: ReloaderOptions<Snapshot>
  readonly #watch: FileWatch
  #current: Snapshot
  /** Of the last one that was read, taken or not. */
  #seen: string
  #wanted: 'changed' | 'asked' | undefined
  #rounds: Promise<void> | undefined
  #closed = false

  /** `first`: what is in use. */
  constructor(first: Snapshot, options: ReloaderOptions<Snapshot>) {
    this.#options = options
    this.#current = first
    this.#seen = digestOf(first)
    this.#watch = new FileWatch({
      quietMs,
      pollMs: options.pollMs,
      onChange: () => void this.#want('changed'),
      onBlind: options.onBlind,
    })
  }

  /** Reads what has changed, if anything has. Resolves when no change since `first` was read will be missed. */
  start(): Promise<void> {
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
    await this.#watch.close()
    await this.#rounds
  }

  #want(why: 'changed' | 'asked'): Promise<void> {
    if (this.#closed) return Promise.resolve()
    if (this.#wanted !== 'asked') this.#wanted = why
    this.#rounds ??= this.#runRounds()
    return this.#rounds
  }

  async #runRounds(): Promise<void> {
    try {
      while (this.#wanted && !this.#closed) {
        const asked = this.#wanted === 'asked'
        this.#wanted = undefined
        await this.#round(asked)
      }
    } finally {
      this.#rounds = undefined
    }
  }

  async #round(asked: boolean): Promise<void> {
    const snapshot = await this.#read()
    const digest = digestOf(snapshot)
    if (this.#closed || (digest === this.#seen && !asked)) return
    const takers = this.#options.takers()
    // Nobody is there to look for errors: whoever comes next starts with what the last ones have taken, and asks again.
    if (takers.length === 0) return
    this.#seen = digest
    const verdicts = await Promise.all(takers.map((taker) => verdictOf(taker, snapshot)))
    const errors = verdicts.find((found) => found.length > 0)
    if (!errors) this.#current = snapshot
    for (const [index, taker] of takers.entries()) {
      if (errors) taker.drop(errors, index === 0)
      else taker.commit(index === 0)
    }
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
    return [`cannot be looked at: ${error instanceof Error ? error.message : error}`]
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
    reading ??= options.source.read()
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
    close: async () => reloader?.close(),
  }
}
