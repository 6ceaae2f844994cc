import fp from 'fastify-plugin'
import type { Demand, ModelDemand } from '../stores/fleet/store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    scaling: {
      /** Demand for a model in all routers that share a Redis; undefined if there is no such model. */
      read(alias: string): Promise<Scale | undefined>
    }
  }
}

export interface Scale {
  /** Requests that need a server: running, waiting, and rejected within the last minute. */
  value: number
  running: number
  waiting: number
  /** Usable targets. */
  ready: number
}

/** Interval at which routers publish their counts, and age at which these expire; in milliseconds. */
const publishIntervalMs = 2_000
const forgetMs = 10_000

interface Others {
  models: ModelDemand
  /** Monotonic milliseconds. */
  receivedAt: number
}

/** Counts for autoscalers such as KEDA. */
export default fp(
  (app, _options, done) => {
    const others = new Map<string, Others>()
    let hadDemand = false
    app.engines.onDemand((router, models) => others.set(router, { models, receivedAt: performance.now() }))
    const own = async (): Promise<ModelDemand> => {
      const { models } = await app.status.readAll()
      return Object.fromEntries(
        models.map((model) => [model.name, demandOf(model)] as const).filter(([, demand]) => isAny(demand)),
      )
    }
    const timer = setInterval(() => {
      const news = performance.now() - forgetMs
      for (const [router, { receivedAt }] of others) if (receivedAt < news) others.delete(router)
      void app.engines.shareDemand(async () => {
        const models = await own()
        const isNews = hadDemand || Object.keys(models).length > 0
        hadDemand = Object.keys(models).length > 0
        return isNews ? models : undefined
      })
    }, publishIntervalMs).unref()
    app.addHook('preClose', (closed) => {
      clearInterval(timer)
      closed()
    })
    app.decorate('scaling', {
      async read(alias) {
        const { models } = await app.status.readAll()
        const model = models.find(({ name }) => name === alias)
        if (!model) return undefined
        const elsewhere = [...others.values()].flatMap(({ models: demands }) =>
          Object.hasOwn(demands, alias) ? (demands[alias] ?? []) : [],
        )
        const all = [demandOf(model), ...elsewhere]
        const running = sum(all, (demand) => demand.running)
        const waiting = sum(all, (demand) => demand.waiting)
        const refused = sum(all, (demand) => demand.refused)
        const ready = model.targets.filter(({ state }) => state === 'up' || state === 'trial').length
        return { value: running + waiting + refused, running, waiting, ready }
      },
    })
    done()
  },
  { name: 'scaling', dependencies: ['engines', 'status'] },
)

interface Counted {
  waiting: number
  refused_per_minute: number
  targets: readonly { in_flight: number }[]
}

function demandOf({ waiting, refused_per_minute: refused, targets }: Counted): Demand {
  return { running: sum(targets, (target) => target.in_flight), waiting, refused }
}

function isAny({ running, waiting, refused }: Demand): boolean {
  return running + waiting + refused > 0
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}
