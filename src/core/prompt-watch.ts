import { existsSync, type FSWatcher, watch } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { type PromptTree, readPromptTree } from './prompt-tree.ts'

export interface PromptWatchOptions {
  /** Need not exist yet. */
  directory: string
  /** Silence to wait for after a change, so that a file is read when it is written and not before. */
  quietMs: number
  /** Hears of what is there after each change, and once at the start; undefined: no such directory. */
  onRead: (tree: PromptTree | undefined) => void
  /** The system refuses to watch (too many watches, say); told once. */
  onBlind: (error: unknown) => void
}

/** Changes that may put a reading off; what is written to without end is read all the same. */
const maxDelays = 20

/**
 * Reads a directory of prompts again after each change in it. Every directory is watched under its real path, for a
 * link that is turned elsewhere takes no watch along. So is the nearest directory above, where the whole may be
 * created, deleted or replaced. Not seen: a link turned elsewhere above that, and a file outside that a link of the
 * tree leads to. All watches are set anew for each reading, because one on a directory that was deleted and made again
 * is dead without a sign.
 */
export class PromptWatch {
  readonly #options: PromptWatchOptions
  readonly #directory: string
  #watchers: FSWatcher[] = []
  #timer: NodeJS.Timeout | undefined
  #delays = 0
  #reading: Promise<void> = Promise.resolve()
  #blind = false
  #closed = false

  constructor(options: PromptWatchOptions) {
    this.#options = options
    this.#directory = resolve(options.directory)
  }

  /** Resolves after the first reading. From then on no change is missed. */
  start(): Promise<void> {
    return this.#readNext()
  }

  /** Resolves when no watch, timer or reading is left; `onRead` is not called again. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    closeAll(this.#watchers)
    await this.#reading
  }

  #readNext(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#read())
    return this.#reading
  }

  /** Watches are set before what they watch is read: a change in between is read again, and never lost. */
  async #read(): Promise<void> {
    if (this.#closed) return
    const former = this.#watchers
    this.#watchers = []
    this.#watchAbove()
    const tree = await readPromptTree(this.#directory, (folder) => this.#watch(folder, () => true))
    closeAll(former)
    if (!this.#closed) this.#options.onRead(tree)
  }

  #watchAbove(): void {
    let child = this.#directory
    while (dirname(child) !== child) {
      const name = basename(child)
      // `..data`: the directory above may be a Kubernetes volume, see readPromptTree.
      const concerns = (changed: string): boolean => changed === name || changed.startsWith('..')
      if (!existsSync(dirname(child))) {
        child = dirname(child)
        continue
      }
      this.#watch(dirname(child), concerns)
      // Unless the child came to be just before the watch did: then the next one down has to be watched.
      if (child === this.#directory || !existsSync(child)) return
      child = this.#directory
    }
  }

  #watch(folder: string, concerns: (changed: string) => boolean): void {
    if (this.#closed) return
    try {
      const watcher = watch(folder, (_event, name) => {
        if (name === null || concerns(name)) this.#changed()
      })
      watcher.on('error', (error) => this.#tellBlind(error))
      this.#watchers.push(watcher)
    } catch (error) {
      if (existsSync(folder)) this.#tellBlind(error)
      else this.#changed()
    }
  }

  #tellBlind(error: unknown): void {
    if (!this.#blind) this.#options.onBlind(error)
    this.#blind = true
  }

  #changed(): void {
    if (this.#closed) return
    if (this.#timer === undefined) {
      this.#delays = 0
      this.#timer = setTimeout(() => {
        this.#timer = undefined
        void this.#readNext()
      }, this.#options.quietMs)
    } else if (this.#delays++ < maxDelays) this.#timer.refresh()
  }
}

function closeAll(watchers: readonly FSWatcher[]): void {
  for (const watcher of watchers) watcher.close()
}
