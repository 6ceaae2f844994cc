import cluster from 'node:cluster'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { ResponseStore } from '../sdk/response-store.ts'
import { primaryPipe } from '../stores/link.ts'
import { redisAddress } from '../stores/redis/redis-address.ts'
import { primaryResponses } from '../stores/responses/cluster.ts'
import { RedisResponses } from '../stores/responses/redis.ts'
import { responseBounds } from '../stores/responses/response-bounds.ts'
import { createMemoryResponseStore } from '../stores/responses/response-store.ts'
import { withLocalResponses } from '../stores/responses/shared.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Answers that `previous_response_id` may go on from. */
    responses: ResponseStore
  }
}

/** Kept in Redis where one is configured, else in the primary or right here. */
export default fp(
  (app, _options, done) => {
    app.decorate('responses', storeOf(app))
    done()
  },
  { name: 'response-store', dependencies: ['config'] },
)

function storeOf(app: FastifyInstance): ResponseStore {
  const bounds = responseBounds(app.config)
  const local = createMemoryResponseStore({ ...bounds, now })
  const address = redisAddress(app.config)
  if (address) {
    const log = {
      info: (message: string) => app.log.info(message),
      warn: (details: object, message: string) => app.log.warn(details, message),
    }
    const redis = new RedisResponses({ ...bounds, address, now, log })
    app.addHook('onClose', () => redis.close())
    return withLocalResponses(redis, local)
  }
  if (!cluster.worker) return local
  return withLocalResponses(primaryResponses(primaryPipe(cluster.worker)), local)
}

function now(): number {
  return performance.now()
}
