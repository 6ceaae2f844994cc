import cluster, { type Worker } from 'node:cluster'
// biome-ignore-start lint/style/noRestrictedImports: the primary reads what its dead workers worked on.
import {
  closeRunningRequests,
  openRunningRequests,
  type RunningRequest,
  readRunningRequests,
} from './running-requests.ts'

// biome-ignore-end lint/style/noRestrictedImports: only the stores.

/** Tells a worker the number of the file for its running requests. */
export const runningRequestsVariable = 'ROUTER_RUNNING_REQUESTS_FD'
/** Behind the standard streams and the pipe to the primary. */
const workerFd = 4

export interface PrimaryRequestKeeper {
  /** Starts a worker that lets the primary see its running requests. */
  fork(): Worker
  /** What a worker that has ended was working on, newest first. Forgets the worker. */
  takeRequests(worker: Worker): RunningRequest[]
}

/** Knows which requests ran in a worker that died: `kill -9` and a crash leave no time to tell. */
export function primaryRequestKeeper(): PrimaryRequestKeeper {
  const files = new Map<Worker, number>()
  return {
    fork() {
      const fd = openRunningRequests()
      cluster.setupPrimary({
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
        closeRunningRequests(fd)
      }
    },
  }
}
