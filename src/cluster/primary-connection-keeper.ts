import type { Worker } from 'node:cluster'
import { primaryPipe } from '../stores/link.ts'
// biome-ignore-start lint/style/noRestrictedImports: the primary knows how many connections its workers hold.
import { ConnectionsDesk } from './connections.ts'

// biome-ignore-end lint/style/noRestrictedImports: only the stores.

/** Tells the workers how many connections they hold on average; called with each worker that starts. */
export function primaryConnectionKeeper(): (worker: Worker) => void {
  const desk = new ConnectionsDesk()
  return (worker) => {
    const owner = String(worker.id)
    desk.addWorker(owner, primaryPipe(worker))
    worker.once('exit', () => desk.removeWorker(owner))
  }
}
