import cluster from 'node:cluster'
import type { FastifyBaseLogger } from 'fastify'
import type { Status } from '../../core/status.ts'
import { type StatusLimits, sumOfStatuses } from '../../core/status-sum.ts'
import { primaryPipe } from '../../stores/primary-pipe.ts'
import { primaryRounds } from '../../stores/primary-rounds.ts'

/**
 * Gives the way to read the status of all processes of a cluster, whichever of them is asked. Never rejects: where the
 * primary does not answer it is that of this process, as it is outside of a cluster.
 */
export function wholeTree(
  read: () => Status,
  limits: StatusLimits,
  log: FastifyBaseLogger,
): () => Promise<Status> {
  if (!cluster.worker) return async () => read()
  const collect = primaryRounds(primaryPipe(cluster.worker), 'status', read)
  return async () => {
    try {
      const parts = await collect()
      return sumOfStatuses(read(), parts, limits)
    } catch (error) {
      log.warn({ error: String(error) }, 'the status of the other processes is not known')
      return read()
    }
  }
}
