import cluster, { type Worker } from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A request that a process works on. */
export interface RunningRequest {
  id: string
  /** Undefined until the router knows which one is asked for. */
  model: string | undefined
  /** Size of the body, if known. */
  bytes: number
  startedAtMs: number
}

/**
 * The running requests of a process, in a file that another process can read after a crash: a request that
 * crashes its process immediately is included. No messages are sent, and nothing is left behind: the file is
 * unlinked, and both processes keep it open. It is in memory if the system supports that (`/dev/shm`, shm_overview(7)).
 *
 * Each request has a slot of `slotBytes`: start, size, id and model, with tabs between them and a line feed behind; a slot
 * whose first byte is `free` is not in use.
 */
const slotBytes = 512
/** Longer names of models are cut, so that a record fits in its slot: 3 bytes a UTF-16 unit at most, 64 for an id. */
const maxModelLength = 128
const free = 0x20
const separator = '\t'
const end = '\n'

/** Opens a new list; undefined if no directory is writable, so running requests are unknown. */
function openRunningRequests(folders: readonly string[] = ['/dev/shm', tmpdir()]): number | undefined {
  for (const folder of folders) {
    const path = join(folder, `llm-router-${randomBytes(12).toString('hex')}`)
    try {
      const fd = openSync(path, 'wx+', 0o600)
      unlinkSync(path)
      return fd
    } catch {
      // not there, read-only or full: the next one
    }
  }
  return undefined
}

/** Entries of a list, newest first. */
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

/** A worker's side. Each method is one small write to memory; none of them throws. */
export class RunningRequests {
  readonly #fd: number
  readonly #record = Buffer.alloc(slotBytes)
  readonly #free = Buffer.from([free])
  /** Slots below `#slots` that are not in use; the last one is used next, so the file stays small. */
  readonly #unused: number[] = []
  #slots = 0

  constructor(fd: number) {
    this.#fd = fd
  }

  /** Returns the slot of a request, to be released with `end`. */
  begin(request: RunningRequest): number {
    const slot = this.#unused.pop() ?? this.#slots++
    this.update(slot, request)
    return slot
  }

  /** More is known of the request. */
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
      // No room for the list: a request is not named, and nothing else depends on it.
    }
  }
}

/** Passes the file descriptor for running requests to a worker. */
export const runningRequestsVariable = 'ROUTER_RUNNING_REQUESTS_FD'
/** Behind the standard streams and the pipe to the primary. */
const workerFd = 4

export interface WorkerRequests {
  /** Starts a worker that lets the primary see its running requests. */
  fork(): Worker
  /** Running requests of an exited worker, newest first. Removes the worker. */
  takeRequests(worker: Worker): RunningRequest[]
}

/** The primary's side: which requests ran in a worker that died. `kill -9` and a crash leave it no time to report them. */
export function workerRequests(): WorkerRequests {
  const files = new Map<Worker, number>()
  return {
    fork() {
      const fd = openRunningRequests()
      cluster.setupPrimary({
        // The same as in every start script; duplicate options are harmless.
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
