import cluster from 'node:cluster'
import type { FastifyInstance } from 'fastify'
import type { LimitStore } from '../../core/key-limits.ts'
import { memoryLimits } from '../../stores/limit-table.ts'
import { primaryLimits } from '../../stores/primary-limits.ts'
import { primaryPipe } from '../../stores/primary-pipe.ts'
import { redisAddress } from '../../stores/redis-address.ts'
import { RedisLimits } from '../../stores/redis-limits.ts'
import { sharedLimits } from '../../stores/shared-limits.ts'

/** Counts in Redis where one is configured, else in the primary or right here. */
export function limitStoreOf(app: FastifyInstance): LimitStore {
  const local = memoryLimits(now)
  const address = redisAddress(app.config)
  if (address) {
    const log = {
      info: (message: string) => app.log.info(message),
      warn: (details: object, message: string) => app.log.warn(details, message),
    }
    return sharedLimits(new RedisLimits({ address, now, log }), local)
  }
  return cluster.worker ? sharedLimits(primaryLimits(primaryPipe(cluster.worker)), local) : local
}

function now(): number {
  return performance.now()
}
