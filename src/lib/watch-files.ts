import { type FSWatcher, watch } from 'node:fs'
import { lstat, readlink, stat } from 'node:fs/promises'
import { basename, join, parse, resolve, sep } from 'node:path'

export interface FileWatchOptions {
  /** Silence to wait for after a change, in milliseconds, so that a file is read when it is written and not before. */
  quietMs: number
  /** Polling interval for changes without an event, in milliseconds; 0: never. */
  pollMs: number
  /** Something may have changed. Reads from now on see the change, and no later one is missed. */
  onChange: () => void
  /** The system refuses to watch, for example because of too many watches; called once. Polling continues. */
  onBlind: (error: unknown) => void
}

/** Maximum number of changes that may postpone a call, so that continuous writes are still reported. */
const maxDelays = 20
/** Maximum number of retries for a path that changes while its watch is being set. */
const maxTries = 3
/** As many links as the system follows; path_resolution(7). */
const maxLinks = 40

/**
 * Watches files and directories, which need not exist yet, until it is closed. Of a directory its own entries are
 * watched, not those of directories in it.
 *
 * Watches the parent directories of each path and of each link on the way to it: this detects an edit in place, a
 * file renamed over another, and the symlink that Kubernetes swaps in a volume (`..data`, pkg/volume/util/
 * atomic_writer.go). All watches are recreated after each change, because one on a directory that was
 * deleted and recreated is silently dead. Some file systems emit no events (NFS, some of FUSE), so the paths are
 * also polled.
 */
export class FileWatch {
  readonly #options: FileWatchOptions
  #paths: readonly string[] = []
  #seen = ''
  #watchers: FSWatcher[] = []
  #quiet: NodeJS.Timeout | undefined
  #poll: NodeJS.Timeout | undefined
  #delays = 0
  #work: Promise<unknown> = Promise.resolve()
  #blind = false
  #closed = false

  constructor(options: FileWatchOptions) {
    this.#options = options
  }

  /**
   * Watches these paths instead of the former ones. Resolves when no later change will be missed, with whether
   * anything has changed since the last check and must be read again.
   */
  set(paths: readonly string[]): Promise<boolean> {
    return this.#inTurn(async () => {
      this.#paths = paths.map((path) => resolve(path))
      return this.#look()
    })
  }

  /** Resolves when all watches and timers are closed; `onChange` is not called again. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#quiet)
    clearTimeout(this.#poll)
    closeAll(this.#watchers.splice(0))
    await this.#work
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#work.then(work)
    this.#work = done.catch(() => undefined) // its caller hears of it
    return done
  }

  /** Sets all watches, and returns whether the paths have changed. */
  async #look(): Promise<boolean> {
    const former = this.#watchers
    this.#watchers = []
    let places = await placesOf(this.#paths)
    for (let tries = 0; tries < maxTries; tries++) {
      closeAll(this.#watchers.splice(0))
      for (const [directory, names] of places) this.#watch(directory, names)
      const now = await placesOf(this.#paths)
      if (isSame(places, now)) break
      places = now
    }
    closeAll(former)
    const seen = await fingerprint(this.#paths)
    const changed = seen !== this.#seen
    this.#seen = seen
    this.#pollLater()
    return changed
  }

  #watch(directory: string, names: Names): void {
    if (this.#closed) return
    try {
      const watcher = watch(directory, (_event, name) => {
        // A removed directory is reported under its own name.
        const concerns = name === null || names === 'all' || names.has(name) || name === basename(directory)
        if (concerns) this.#changed()
      })
      watcher.on('error', (error) => this.#tellBlind(error))
      this.#watchers.push(watcher)
    } catch (error) {
      // It has just been deleted, which the next check detects.
      if (codeOf(error) !== 'ENOENT') this.#tellBlind(error)
    }
  }

  #tellBlind(error: unknown): void {
    if (!this.#blind && !this.#closed) this.#options.onBlind(error)
    this.#blind = true
  }

  #changed(): void {
    if (this.#closed) return
    if (this.#quiet === undefined) {
      this.#delays = 0
      this.#quiet = setTimeout(() => {
        this.#quiet = undefined
        void this.#inTurn(() => this.#look()).then(() => {
          if (!this.#closed) this.#options.onChange()
        })
      }, this.#options.quietMs)
    } else if (this.#delays++ < maxDelays) this.#quiet.refresh()
  }

  #pollLater(): void {
    clearTimeout(this.#poll)
    if (this.#closed || this.#options.pollMs === 0) return
    this.#poll = setTimeout(() => {
      void fingerprint(this.#paths).then((seen) => {
        if (seen !== this.#seen) this.#changed()
        this.#pollLater()
      })
    }, this.#options.pollMs)
  }
}

/** Names of entries in a directory. */
type Names = Set<string> | 'all'
type Places = Map<string, Names>

/** The directories to watch for these paths, by their real paths, each with the names in it that matter. */
async function placesOf(paths: readonly string[]): Promise<Places> {
  const places: Places = new Map()
  const known = new Map<string, Promise<Entry>>()
  for (const path of paths) await addPaths(path, places, known)
  return places
}

/** Identity of a path: a link's target with its kind. */
type Entry = { kind: 'missing' | 'directory' | 'other' } | { kind: 'link'; to: string }

async function addPaths(path: string, places: Places, known: Map<string, Promise<Entry>>): Promise<void> {
  let directory = parse(path).root
  let steps = stepsOf(path)
  for (let links = 0; links < maxLinks; ) {
    const [name, ...rest] = steps
    if (name === undefined) break
    const here = join(directory, name)
    const reading = known.get(here) ?? entryAt(here)
    known.set(here, reading)
    const entry = await reading
    if (entry.kind !== 'directory' || rest.length === 0) add(places, directory, name)
    if (entry.kind === 'link') {
      const target = resolve(directory, entry.to)
      links++
      steps = [...stepsOf(target), ...rest]
      directory = parse(target).root
      continue
    }
    if (entry.kind !== 'directory') return
    if (rest.length === 0) places.set(here, 'all')
    steps = rest
    directory = here
  }
}

function add(places: Places, directory: string, name: string): void {
  const names = places.get(directory) ?? new Set<string>()
  if (names !== 'all') names.add(name)
  places.set(directory, names)
}

function stepsOf(path: string): string[] {
  return path.slice(parse(path).root.length).split(sep).filter(Boolean)
}

async function entryAt(path: string): Promise<Entry> {
  try {
    const found = await lstat(path)
    if (found.isSymbolicLink()) return { kind: 'link', to: await readlink(path) }
    return { kind: found.isDirectory() ? 'directory' : 'other' }
  } catch {
    return { kind: 'missing' } // or not to be seen, which is the same for a watch
  }
}

function isSame(a: Places, b: Places): boolean {
  return a.size === b.size && [...a.keys()].every((directory) => b.has(directory))
}

/** What changes when a file or the entries of a directory do. Links are followed. */
async function fingerprint(paths: readonly string[]): Promise<string> {
  const marks = paths.map(async (path) => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
      return [path, dev, ino, size, mtimeNs, ctimeNs].join(' ')
    } catch (error) {
      return `${path} ${codeOf(error)}`
    }
  })
  return (await Promise.all(marks)).join('\n')
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}

function closeAll(watchers: readonly FSWatcher[]): void {
  for (const watcher of watchers) watcher.close()
}
