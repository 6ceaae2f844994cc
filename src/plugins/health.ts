import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Target } from '../core/target.ts'
import { version } from '../core/version.ts'
import { Breaker } from '../relay/breaker.ts'
import { checkHealth } from '../relay/health-check.ts'

declare module 'fastify' {
  interface FastifyInstance {
    health: {
      /** What the router holds of a target; the same for all models that it would serve. */
      breakerOf(target: Target): Breaker
    }
  }
}

const timeoutMs = 2_000
/** Checks in a row that must agree before they count. */
const fall = 3
const rise = 2
/** While a target changes its state it is looked at more often. */
const transitionMs = 1_000

/**
 * Keeps a breaker for each target, and asks the servers for a sign of life: a cheap request, never a model call. A good
 * answer ends the pause of a server that was unreachable; it says nothing for one that is there and stalls.
 */
export default fp(
  (app, _options, done) => {
    const breakers = new Map<Target, Breaker>()
    const environment = { now: () => performance.now(), random: Math.random }
    app.decorate('health', {
      breakerOf(target) {
        let breaker = breakers.get(target)
        if (!breaker) {
          breaker = new Breaker(environment)
          breakers.set(target, breaker)
        }
        return breaker
      },
    })
    const stops: (() => void)[] = []
    app.addHook('onReady', (ready) => {
      if (app.config.healthIntervalMs > 0) {
        for (const target of app.models.all().flatMap(({ targets }) => targets)) {
          if (target.healthPath !== undefined) stops.push(watch(app, target, target.healthPath))
        }
      }
      ready()
    })
    app.addHook('preClose', (closed) => {
      for (const stop of stops) stop()
      closed()
    })
    done()
  },
  { name: 'health', dependencies: ['config', 'models', 'upstream'] },
)

function watch(app: FastifyInstance, target: Target, path: string): () => void {
  const breaker = app.health.breakerOf(target)
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let stopCheck: (() => void) | undefined
  let inRow = 0
  let healthy = true
  const next = (ms: number): void => {
    if (!stopped) timer = setTimeout(() => void look(), ms * (0.8 + 0.4 * Math.random()))
  }
  const look = async (): Promise<void> => {
    const transport = app.upstream.transportOf(target)
    const check = checkHealth({ target, path, transport, timeoutMs, userAgent: `llm-router/${version}` })
    stopCheck = check.stop
    const alive = await check.result
    stopCheck = undefined
    if (stopped) return
    inRow = alive === healthy ? 0 : inRow + 1
    if (inRow >= (healthy ? fall : rise)) {
      healthy = !healthy
      inRow = 0
      app.log.warn({ target: target.id, healthy }, 'health check')
      breaker.checked(healthy)
    }
    next(inRow > 0 ? Math.min(transitionMs, app.config.healthIntervalMs) : app.config.healthIntervalMs)
  }
  next(app.config.healthIntervalMs)
  return () => {
    stopped = true
    clearTimeout(timer)
    stopCheck?.()
  }
}
