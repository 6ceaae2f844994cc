import { hostname } from 'node:os'
import fp from 'fastify-plugin'
import type { Router, Routers } from '../sdk/console/routers.ts'

declare module 'fastify' {
  interface FastifyInstance {
    routers: {
      /** This router, and the others that share its Redis. */
      read(): Promise<Routers>
    }
  }
}

/** Interval at which routers announce themselves, and age at which announcements expire; in milliseconds. */
const announceIntervalMs = 2_000
const forgetMs = 10_000

/** The known routers. */
export default fp(
  (app, _options, done) => {
    const others = new Map<string, { router: Router; receivedAt: number }>()
    app.engines.onRouter((id, router) => others.set(id, { router, receivedAt: performance.now() }))
    const own = async (): Promise<Router> => {
      const { version, started_at, uptime_seconds, state, workers, config, requests, models } =
        await app.status.readAll()
      const address = app.server.address()
      const port = typeof address === 'object' && address ? address.port : app.config.serverPort
      return {
        name: `${hostname()}:${port}`,
        version,
        started_at,
        uptime_seconds,
        state,
        workers: workers.length,
        config: config.version,
        requests_per_minute: requests.per_minute,
        in_flight: sum(models.flatMap(({ targets }) => targets.map(({ in_flight }) => in_flight))),
        waiting: sum(models.map(({ waiting }) => waiting)),
      }
    }
    const timer = setInterval(() => void app.engines.shareRouter(own), announceIntervalMs).unref()
    app.addHook('preClose', (closed) => {
      clearInterval(timer)
      closed()
    })
    app.decorate('routers', {
      async read() {
        const now = performance.now()
        for (const [id, { receivedAt }] of others) if (now - receivedAt > forgetMs) others.delete(id)
        return {
          this: await own(),
          others: [...others.values()]
            .map(({ router, receivedAt }) => ({
              ...router,
              seen_at: new Date(Date.now() - (now - receivedAt)).toISOString(),
            }))
            .toSorted((a, b) => a.name.localeCompare(b.name)),
          shared: app.config.redisUrl !== '' || app.config.redisHost !== '',
        }
      },
    })
    done()
  },
  { name: 'routers', dependencies: ['config', 'engines', 'status'] },
)

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
