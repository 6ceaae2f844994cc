import type { Worker } from 'node:cluster'
import type { Config } from '../config/settings.ts'
// biome-ignore-start lint/style/noRestrictedImports: the primary counts for its workers, so it knows the stores.
import { LimitDesk } from '../stores/limits/cluster.ts'
import { primaryPipe } from '../stores/link.ts'
import { redisAddress } from '../stores/redis/redis-address.ts'

// biome-ignore-end lint/style/noRestrictedImports: only the stores.

export interface PrimaryLimitKeeper {
  workerStarted(worker: Worker): void
  /** Gives back the places of its requests. */
  workerEnded(worker: Worker): void
}

/** Counts what client keys use, for all workers, where no Redis does. */
export function primaryLimitKeeper(config: Config): PrimaryLimitKeeper {
  if (!config.authEnabled || redisAddress(config)) {
    return { workerStarted: () => undefined, workerEnded: () => undefined }
  }
  const desk = new LimitDesk(() => performance.now())
  return {
    workerStarted: (worker) => desk.addWorker(String(worker.id), primaryPipe(worker)),
    workerEnded: (worker) => desk.removeWorker(String(worker.id)),
  }
}
