import type { Worker } from 'node:cluster'
import type { Config } from '../config/settings.ts'
// biome-ignore-start lint/style/noRestrictedImports: the primary keeps its workers' answers, so it knows the stores.
import { primaryPipe } from '../stores/link.ts'
import { redisAddress } from '../stores/redis/redis-address.ts'
import { ResponseDesk } from '../stores/responses/cluster.ts'
import { responseBounds } from '../stores/responses/response-bounds.ts'

// biome-ignore-end lint/style/noRestrictedImports: only the stores.

/** Keeps the answers of the Responses API for all workers, where no Redis does; called with each worker that starts. */
export function primaryResponseKeeper(config: Config): (worker: Worker) => void {
  if (redisAddress(config)) return () => undefined
  const desk = new ResponseDesk(responseBounds(config), () => performance.now())
  return (worker) => desk.addWorker(primaryPipe(worker))
}
