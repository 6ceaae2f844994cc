import cluster from 'node:cluster'
import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { LeaseStore } from '../../sdk/lease-store.ts'
import { primaryLeases } from '../../stores/leases/cluster.ts'
import { LateLeases } from '../../stores/leases/late.ts'
import { memoryLeases } from '../../stores/leases/memory-leases.ts'
import { introduce, primaryPipe } from '../../stores/link.ts'
import { redisAddress } from '../../stores/redis/redis-address.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Which request has which target for itself. */
    leases: LeaseStore
  }
}

/** Leases for the strategies that need them: in Redis where one is configured, else in the primary or right here. */
export default fp(
  async (app) => {
    // The other strategies must not depend on a store that they never ask.
    const store = hasExclusive(app) ? await sharedStore(app) : storeForLater(app)
    app.decorate('leases', store)
    app.addHook('onClose', () => store.close())
  },
  { name: 'lease-store', dependencies: ['config', 'models', 'registries'] },
)

function hasExclusive(app: FastifyInstance): boolean {
  return app.models.all().some((model) => {
    const name = model.strategy ?? app.config.balanceStrategy
    return app.strategies.find(name)?.exclusive === true
  })
}

function storeForLater(app: FastifyInstance): LeaseStore {
  if (!redisAddress(app.config) && !cluster.worker) return memoryLeases(now)
  const store = new LateLeases(() => sharedStore(app))
  app.models.onChange(() => {
    if (hasExclusive(app)) store.open()
  })
  return store
}

async function sharedStore(app: FastifyInstance): Promise<LeaseStore> {
  const address = redisAddress(app.config)
  if (address) {
    // Most routers have no Redis, and need not load what speaks to it.
    const { connectRedis } = await import('../../stores/redis/client.ts')
    const { RedisLeases } = await import('../../stores/leases/redis.ts')
    const worker = randomBytes(6).toString('hex')
    // Before the first lease: the primary must know what to free when this process dies.
    if (cluster.worker) introduce(cluster.worker, worker)
    const store = new RedisLeases({
      link: connectRedis(address),
      worker,
      whenDown: app.config.redisDown,
      now,
      log: {
        info: (message) => app.log.info(message),
        warn: (details, message) => app.log.warn(details, message),
      },
    })
    await store.started()
    return store
  }
  return cluster.worker ? primaryLeases(primaryPipe(cluster.worker)) : memoryLeases(now)
}

function now(): number {
  return performance.now()
}
