import { type FSWatcher, watch } from 'node:fs'
import { lstat, readlink, stat } from 'node:fs/promises'
import { basename, join, parse, resolve, sep } from 'node:path'

export interface FileWatchOptions {
  /** Quiet time to wait for after a change, in milliseconds, so that a file is only read once it is completely written. */
  quietMs: number
  /** Polling interval for changes without an event, in milliseconds; 0: never. */
  pollMs: number
  /** Called when something may have changed. Reads from now on see the change, and no later change is missed. */
  onChange: () => void
  /** Called once if the system cannot watch, for example because of too many watches. Polling continues. */
  onWatchError: (error: unknown) => void
}

/** Maximum number of changes that may postpone `onChange`, so that continuous writes are still reported. */
const maxDelays = 20
/** Maximum number of retries for a path that changes while its watch is being set. */
const maxTries = 3
/** Maximum number of symlinks that Linux follows in a path; path_resolution(7). */
const maxLinks = 40

/**
 * Watches files and directories (not recursively) until it is closed. They need not exist yet.
 *
 * Watches the parent directory of each path and of each symlink on the way to it. This detects an edit in place, a file renamed
 * over another, and the symlink that Kubernetes swaps in a volume (`..data`, pkg/volume/util/atomic_writer.go). All watches are
 * recreated after each change, because a watch on a directory that was deleted and recreated never fires. Some file systems
 * emit no events (NFS, some FUSE ones), so the paths are also polled.
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
  #hasFailed = false
  #closed = false

  constructor(options: FileWatchOptions) {
    this.#options = options
  }

  /**
   * Watches these paths instead of the previous ones. Resolves when no later change will be missed, with whether anything has
   * changed since the last check.
   */
  set(paths: readonly string[]): Promise<boolean> {
    return this.#afterPrevious(async () => {
      this.#paths = paths.map((path) => resolve(path))
      return this.#renewWatches()
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

  #afterPrevious<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#work.then(work)
    this.#work = done.catch(() => undefined) // the caller handles the error
    return done
  }

  /** Recreates all watches and returns whether the paths have changed. */
  async #renewWatches(): Promise<boolean> {
    const previous = this.#watchers
    this.#watchers = []
    let directories = await directoriesToWatch(this.#paths)
    for (let tries = 0; tries < maxTries; tries++) {
      closeAll(this.#watchers.splice(0))
      for (const [directory, names] of directories) this.#watch(directory, names)
      const now = await directoriesToWatch(this.#paths)
      if (isSame(directories, now)) break
      directories = now
    }
    closeAll(previous)
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
      watcher.on('error', (error) => this.#reportFailure(error))
      this.#watchers.push(watcher)
    } catch (error) {
      // The directory has just been deleted, which the next check detects.
      if (codeOf(error) !== 'ENOENT') this.#reportFailure(error)
    }
  }

  #reportFailure(error: unknown): void {
    if (!this.#hasFailed && !this.#closed) this.#options.onWatchError(error)
    this.#hasFailed = true
  }

  #changed(): void {
    if (this.#closed) return
    if (this.#quiet === undefined) {
      this.#delays = 0
      this.#quiet = setTimeout(() => {
        this.#quiet = undefined
        void this.#afterPrevious(() => this.#renewWatches()).then(() => {
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
type Directories = Map<string, Names>

/** Returns the directories to watch for these paths, by real path, each with the relevant names in it. */
async function directoriesToWatch(paths: readonly string[]): Promise<Directories> {
  const directories: Directories = new Map()
  const known = new Map<string, Promise<Entry>>()
  for (const path of paths) await addPaths(path, directories, known)
  return directories
}

/** What is at a path. */
type Entry = { kind: 'missing' | 'directory' | 'other' } | { kind: 'link'; to: string }

async function addPaths(
  path: string,
  directories: Directories,
  known: Map<string, Promise<Entry>>,
): Promise<void> {
  let directory = parse(path).root
  let steps = stepsOf(path)
  for (let links = 0; links < maxLinks; ) {
    const [name, ...rest] = steps
    if (name === undefined) break
    const here = join(directory, name)
    const reading = known.get(here) ?? entryAt(here)
    known.set(here, reading)
    const entry = await reading
    if (entry.kind !== 'directory' || rest.length === 0) add(directories, directory, name)
    if (entry.kind === 'link') {
      const target = resolve(directory, entry.to)
      links++
      steps = [...stepsOf(target), ...rest]
      directory = parse(target).root
      continue
    }
    if (entry.kind !== 'directory') return
    if (rest.length === 0) directories.set(here, 'all')
    steps = rest
    directory = here
  }
}

function add(directories: Directories, directory: string, name: string): void {
  const names = directories.get(directory) ?? new Set<string>()
  if (names !== 'all') names.add(name)
  directories.set(directory, names)
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
    return { kind: 'missing' } // or not accessible, which is treated the same
  }
}

function isSame(a: Directories, b: Directories): boolean {
  return a.size === b.size && [...a.keys()].every((directory) => b.has(directory))
}

/** Returns a string that changes when a file or the entries of a directory change. Links are followed. */
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
