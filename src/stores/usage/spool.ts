import { createHash, randomBytes } from 'node:crypto'
import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { kill, pid as ownPid } from 'node:process'
import type { UsagePart } from './sums.ts'

/** A part of a batch. Parts of the same batch are summed, and a batch is written to the database once. */
export interface SpooledPart {
  batch: string
  part: UsagePart
}

/** Size in bytes above which the file is compacted. */
const maxBytes = 32 * 1024 * 1024
/** Age after which an unmodified file does not belong to a running process, in milliseconds. */
const abandonedMs = 60_000

/**
 * Usage on disk while the database is unavailable: one file per process with one line per part. After a crash, another
 * process with the same database and directory takes over the file.
 */
export class UsageSpool {
  readonly #folder: string
  readonly #prefix: string
  readonly #file: string
  #bytes = 0
  #exists = false

  /** `database`: its URL. Files for other databases are ignored. */
  constructor(folder: string, database: string) {
    const digest = createHash('sha256').update(database).digest('hex').slice(0, 12)
    this.#folder = folder
    this.#prefix = `usage-${digest}-`
    const host = hostname().replaceAll(/[^A-Za-z0-9.]/g, '_')
    this.#file = join(folder, `${this.#prefix}${host}-${ownPid}-${randomBytes(4).toString('hex')}.jsonl`)
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Whether the file should be compacted. */
  get isFull(): boolean {
    return this.#bytes > maxBytes
  }

  /** Appends all parts, or none if it rejects. */
  async append(parts: readonly SpooledPart[]): Promise<void> {
    const text = linesOf(parts)
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    this.#exists = true
    try {
      await appendFile(this.#file, text, { mode: 0o600 })
    } catch (error) {
      // A full disk may have taken some of the parts, which the caller appends again.
      await truncate(this.#file, this.#bytes).catch(() => undefined)
      throw error
    }
    this.#bytes += Buffer.byteLength(text)
  }

  async replace(parts: readonly SpooledPart[]): Promise<void> {
    const text = linesOf(parts)
    const next = `${this.#file}.next`
    await writeFile(next, text, { mode: 0o600 })
    await rename(next, this.#file)
    this.#bytes = Buffer.byteLength(text)
  }

  /** Updates the modification time, to mark the process as running. */
  async touch(now: Date): Promise<void> {
    if (this.#exists) await utimes(this.#file, now, now)
  }

  async remove(): Promise<void> {
    if (!this.#exists) return
    await rm(this.#file, { force: true })
    this.#exists = false
    this.#bytes = 0
  }

  /** Reads the parts of exited processes. Call `done` when they are in the database. */
  async abandoned(): Promise<{ parts: SpooledPart[]; done(): Promise<void> }> {
    const parts: SpooledPart[] = []
    const files: string[] = []
    for (const name of await readdir(this.#folder).catch(() => [])) {
      const file = join(this.#folder, name)
      if (!name.startsWith(this.#prefix) || !name.endsWith('.jsonl') || file === this.#file) continue
      if (!(await hasEnded(name, file))) continue
      files.push(file)
      for (const line of (await readFile(file, 'utf8').catch(() => '')).split('\n')) {
        const part = partOf(line)
        if (part) parts.push(part)
      }
    }
    return {
      parts,
      async done() {
        for (const file of files) await rm(file, { force: true })
      },
    }
  }
}

/** Whether the process of a file has exited: by process id for this host, by the file's age for another host. */
async function hasEnded(name: string, file: string): Promise<boolean> {
  const [, host, pid] = /^usage-[0-9a-f]+-([^-]*)-(\d+)-[0-9a-f]+\.jsonl$/.exec(name) ?? []
  if (host === hostname().replaceAll(/[^A-Za-z0-9.]/g, '_')) {
    if (Number(pid) === ownPid) return isOld(file)
    try {
      kill(Number(pid), 0)
    } catch (error) {
      return Object(error).code === 'ESRCH'
    }
  }
  return isOld(file)
}

async function isOld(file: string): Promise<boolean> {
  const { mtimeMs } = await stat(file)
  return Date.now() - mtimeMs > abandonedMs
}

function linesOf(parts: readonly SpooledPart[]): string {
  return parts.map((part) => `${JSON.stringify(part)}\n`).join('')
}

/** Parses a line; undefined if it was truncated by a crash. */
function partOf(line: string): SpooledPart | undefined {
  try {
    const { batch, part }: Partial<SpooledPart> = JSON.parse(line)
    return typeof batch === 'string' && Array.isArray(part?.rows) ? { batch, part } : undefined
  } catch {
    return undefined
  }
}
