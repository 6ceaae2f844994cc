import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { allTargets } from '../../sdk/target.ts'
import { lazyLeases, openLeases } from '../../stores/choose.ts'
import type { LeaseStore } from '../../stores/leases/store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Leases: which request holds a slot at which target. */
    leases: LeaseStore
  }
}

/**
 * Opens the lease store as soon as a model's strategy is exclusive or one of its targets has a limit. Other models must
 * not depend on a store that they never use.
 */
export default fp(
  async (app) => {
    const leases = needsLeases(app) ? await openLeases(app) : openedLater(app)
    app.decorate('leases', leases)
    app.addHook('onClose', () => leases.close())
  },
  { name: 'lease-store', dependencies: ['config', 'models', 'registries'] },
)

function needsLeases(app: FastifyInstance): boolean {
  return app.models.all().some((model) => {
    if (allTargets(model).some(({ maxInFlight }) => maxInFlight !== undefined)) return true
    const name = model.strategy ?? app.config.balanceStrategy
    return app.strategies.find(name)?.exclusive === true
  })
}

function openedLater(app: FastifyInstance): LeaseStore {
  const leases = lazyLeases(app)
  app.models.onChange(() => {
    if (needsLeases(app)) leases.open()
  })
  return leases
}
