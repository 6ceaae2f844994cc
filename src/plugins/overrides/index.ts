import fp from 'fastify-plugin'
import { allTargets, type Model, type Target } from '../../sdk/target.ts'
import { openOverrides } from '../../stores/choose.ts'
import type { Override } from '../../stores/overrides/store.ts'
import { targetsInUse } from '../health/index.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Operator overrides of targets at runtime, in all processes, and with Redis in all routers. */
    overrides: {
      /** Models with a target of this id, standby ones included. */
      modelsWith(targetId: string): readonly Model[]
      /** Models that no other target could serve. */
      servedOnlyBy(targetId: string): readonly Model[]
      drain(targetId: string, on: boolean, by: string): Promise<void>
      reset(targetId: string, by: string): Promise<void>
      /** Whether Redis is configured but unavailable, so that overrides apply on this host only. */
      isRedisAway(): boolean
      /** Sets weights by the ids of targets; null: the configured weight. */
      setWeights(model: string, weights: Readonly<Record<string, number | null>>, by: string): Promise<void>
    }
  }
}

/** Applies operator overrides to health and balancer, and again after reloads. */
export default fp(
  async (app) => {
    const store = await openOverrides(app, (override) => {
      const { kind, target, value, by } = override
      const set = kind === 'weight' ? { model: override.model, weights: { [target]: value } } : { target }
      app.log.info({ ...set, client: by, from: 'another router' }, overrideWords(override))
    })
    const current = (): readonly Override[] => store.all()
    const applyDrains = (): void => {
      app.health.drain(
        new Set(current().flatMap((each) => (each.kind === 'drain' && each.value ? each.target : []))),
      )
      app.balancer.wake()
    }
    const applyWeights = (): void => {
      const all = current()
      for (const { alias } of app.models.all()) app.balancer.setWeights(alias, weightsIn(all, alias))
    }
    const targetsWith = (id: string): Target[] =>
      app.models
        .all()
        .flatMap(allTargets)
        .filter((target) => target.id === id)
    const reset = (id: string): void => {
      for (const target of targetsWith(id)) app.health.of(target).reset()
      app.balancer.reset(id)
      app.balancer.wake()
    }
    store.onChange(({ kind, target }) => {
      if (kind === 'drain') applyDrains()
      else if (kind === 'weight') applyWeights()
      else reset(target)
    })
    app.models.onChange(applyWeights)
    app.decorate('overrides', {
      modelsWith: (id) => {
        const models = new Set(targetsWith(id).map(({ model }) => model))
        return app.models.all().filter(({ alias }) => models.has(alias))
      },
      servedOnlyBy: (id) =>
        app.models.all().filter((model) => {
          const usable = targetsInUse(app, model).filter(app.health.isUsable)
          return usable.length > 0 && usable.every((target) => target.id === id)
        }),
      drain: (target, value, by) => store.set([{ kind: 'drain', target, value, by }]),
      reset: (target, by) => store.set([{ kind: 'reset', target, value: null, by }]),
      isRedisAway: () => store.isDown,
      setWeights: (model, weights, by) =>
        store.set(
          Object.entries(weights).map(([target, value]) => ({ kind: 'weight', model, target, value, by })),
        ),
    })
    app.addHook('onClose', async () => store.close())
    await store.started()
  },
  { name: 'overrides', dependencies: ['config', 'models', 'health', 'balancer'] },
)

/** Worded like the log line of the router on which it was set. */
export function overrideWords({ kind, value }: Pick<Override, 'kind' | 'value'>): string {
  if (kind === 'weight') return 'weights set'
  if (kind === 'reset') return 'target reset'
  return value ? 'target drained' : 'target resumed'
}

function weightsIn(overrides: readonly Override[], alias: string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>()
  for (const each of overrides)
    if (each.kind === 'weight' && each.model === alias && each.value !== null)
      weights.set(each.target, each.value)
  return weights
}
