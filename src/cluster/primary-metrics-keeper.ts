import type { Worker } from 'node:cluster'
import { afterLastMessage, primaryPipe } from '../stores/link.ts'
// biome-ignore-start lint/style/noRestrictedImports: the primary adds up its workers' numbers.
import { MetricsDesk } from './metrics.ts'

// biome-ignore-end lint/style/noRestrictedImports: only the stores.

/** Adds up the metrics of all workers, and keeps those of dead ones; called with each worker that starts. */
export function primaryMetricsKeeper(): (worker: Worker) => void {
  const desk = new MetricsDesk()
  return (worker) => {
    const owner = String(worker.id)
    desk.addWorker(owner, primaryPipe(worker))
    afterLastMessage(worker, () => desk.removeWorker(owner))
  }
}
