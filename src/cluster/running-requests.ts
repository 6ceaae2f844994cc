import cluster, { type Worker } from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A request that a process is handling. */
export interface RunningRequest {
  id: string
  /** Undefined until the requested model is known. */
  model: string | undefined
  /** Size of the body, if known. */
  bytes: number
  startedAtMs: number
}

/**
 * The running requests of a process, in a file that the primary can read after a crash, so that even a request that crashes its
 * process immediately is included. The file is unlinked and kept open by both processes, so nothing is left behind. It is in
 * memory if the system supports it (`/dev/shm`, shm_overview(7)).
 *
 * Each request has a slot of `slotBytes`: start, size, id and model, separated by tabs and followed by a line feed. A slot
 * whose first byte is `free` is unused.
 */
const slotBytes = 512
/**
 * Longer model names are truncated so that a record fits in its slot: at most 3 bytes per UTF-16 unit, and 64 bytes for an id.
 */
const maxModelLength = 128
const free = 0x20
const separator = '\t'
const end = '\n'

/** Creates a file; undefined if no directory is writable, in which case running requests are not recorded. */
function openRunningRequests(folders: readonly string[] = ['/dev/shm', tmpdir()]): number | undefined {
  for (const folder of folders) {
    const path = join(folder, `llm-router-${randomBytes(12).toString('hex')}`)
    try {
      const fd = openSync(path, 'wx+', 0o600)
      unlinkSync(path)
      return fd
    } catch {
      // Missing, read-only or full: try the next directory.
    }
  }
  return undefined
}

/** Reads the entries of a file, newest first. */
function readRunningRequests(fd: number): RunningRequest[] {
  const bytes = Buffer.alloc(fstatSync(fd).size)
  const length = readSync(fd, bytes, 0, bytes.length, 0)
  const found: RunningRequest[] = []
  for (let at = 0; at < length; at += slotBytes) {
    if (bytes[at] === free || bytes[at] === 0) continue
    const [record = ''] = bytes.toString('utf8', at, Math.min(at + slotBytes, length)).split(end)
    const [startedAtMs, size, id = '', model = ''] = record.split(separator)
    found.push({
      id,
      model: model === '' ? undefined : model,
      bytes: Number(size),
      startedAtMs: Number(startedAtMs),
    })
  }
  return found.toSorted((a, b) => b.startedAtMs - a.startedAtMs)
}

/** The worker's side. Each method makes one small write to memory; none of them throws. */
export class RunningRequests {
  readonly #fd: number
  readonly #record = Buffer.alloc(slotBytes)
  readonly #free = Buffer.from([free])
  /** Unused slots below `#slots`, which are reused first, so that the file stays small. */
  readonly #unused: number[] = []
  #slots = 0

  constructor(fd: number) {
    this.#fd = fd
  }

  /** Adds a request. Returns its slot, to be released with `end`. */
  begin(request: RunningRequest): number {
    const slot = this.#unused.pop() ?? this.#slots++
    this.update(slot, request)
    return slot
  }

  /** Replaces the record of a request when more is known of it. */
  update(slot: number, { id, model = '', bytes, startedAtMs }: RunningRequest): void {
    const name = model.length > maxModelLength ? model.slice(0, maxModelLength) : model
    const record = startedAtMs + separator + bytes + separator + id + separator + name + end
    this.#put(this.#record, this.#record.write(record), slot)
  }

  end(slot: number): void {
    this.#unused.push(slot)
    this.#put(this.#free, 1, slot)
  }

  #put(bytes: Buffer, length: number, slot: number): void {
    try {
      writeSync(this.#fd, bytes, 0, length, slot * slotBytes)
    } catch {
      // No space left: the request is missing in the log after a crash.
    }
  }
}

/** Environment variable with the file descriptor for a worker's running requests. */
export const runningRequestsVariable = 'ROUTER_RUNNING_REQUESTS_FD'
/** The first descriptor after the standard streams and the pipe to the primary. */
const workerFd = 4

export interface WorkerRequests {
  /** Starts a worker whose running requests the primary can read. */
  fork(): Worker
  /** Returns the running requests of an exited worker, newest first, and closes its file. */
  takeRequests(worker: Worker): RunningRequest[]
}

/** The primary's side: finds out which requests a worker was handling when it was killed or crashed. */
export function workerRequests(): WorkerRequests {
  const files = new Map<Worker, number>()
  return {
    fork() {
      const fd = openRunningRequests()
      cluster.setupPrimary({
        // As in all start scripts; a duplicate option is harmless.
        execArgv: ['--expose-gc', ...process.execArgv],
        stdio: ['inherit', 'inherit', 'inherit', 'ipc', ...(fd === undefined ? [] : [fd])],
      })
      const worker = cluster.fork(fd === undefined ? {} : { [runningRequestsVariable]: String(workerFd) })
      if (fd !== undefined) files.set(worker, fd)
      return worker
    },
    takeRequests(worker) {
      const fd = files.get(worker)
      files.delete(worker)
      if (fd === undefined) return []
      try {
        return readRunningRequests(fd)
      } finally {
        closeSync(fd)
      }
    },
  }
}
