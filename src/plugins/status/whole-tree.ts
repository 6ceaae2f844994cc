import cluster from 'node:cluster'
import type { FastifyBaseLogger } from 'fastify'
import { primaryRounds } from '../../cluster/survey.ts'
import type { Status } from '../../sdk/status.ts'
import { primaryPipe } from '../../stores/link.ts'
import { type StatusLimits, sumOfStatuses } from './status-sum.ts'

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
      log.warn({ error: String(error) }, 'the status of the other processes is unknown')
      return read()
    }
  }
}
