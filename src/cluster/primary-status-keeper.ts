import type { Worker } from 'node:cluster'
import type { Status } from '../sdk/status.ts'
// biome-ignore-start lint/style/noRestrictedImports: the primary asks its workers for one another.
import { primaryPipe } from '../stores/link.ts'
import { RoundDesk } from './survey.ts'

// biome-ignore-end lint/style/noRestrictedImports: only the stores.

/** Lets any worker tell how all of them are; called with each worker that starts. */
export function primaryStatusKeeper(): (worker: Worker) => void {
  const desk = new RoundDesk<Status>('status')
  return (worker) => {
    const owner = String(worker.id)
    desk.addWorker(owner, primaryPipe(worker))
    worker.once('exit', () => desk.removeWorker(owner))
  }
}
