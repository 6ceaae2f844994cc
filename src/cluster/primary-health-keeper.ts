import type { Worker } from 'node:cluster'
import { afterLastMessage, primaryPipe } from '../stores/link.ts'
// biome-ignore-start lint/style/noRestrictedImports: the primary says which worker checks the servers.
import { HealthDesk } from './health.ts'

// biome-ignore-end lint/style/noRestrictedImports: only the stores.

/** Lets one worker check the servers, and tells all of them what it finds; called with each worker that starts. */
export function primaryHealthKeeper(): (worker: Worker) => void {
  const desk = new HealthDesk()
  return (worker) => {
    const owner = String(worker.id)
    desk.addWorker(owner, primaryPipe(worker))
    afterLastMessage(worker, () => desk.removeWorker(owner))
  }
}
