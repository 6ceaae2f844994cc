import cluster from 'node:cluster'
import type { FastifyInstance } from 'fastify'
import type { LimitStore } from '../../sdk/limit-store.ts'
import { primaryLimits } from '../../stores/limits/cluster.ts'
import { RedisLimits } from '../../stores/limits/redis.ts'
import { sharedLimits } from '../../stores/limits/shared.ts'
import { memoryLimits } from '../../stores/limits/table.ts'
import { primaryPipe } from '../../stores/link.ts'
import { redisAddress } from '../../stores/redis/redis-address.ts'

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
