import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { version } from '../core/version.ts'

/** For Kubernetes and for people: does it live, should it get requests, how is it. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/livez', admin, () => ({ status: 'ok' }))

  app.get('/readyz', admin, (_request, reply) => {
    const reasons = reasonsAgainst(app)
    if (reasons.length === 0) return { status: 'ready' }
    return reply.code(503).send({ status: 'not_ready', reasons })
  })

  app.get('/healthz', admin, () => {
    const { total, usable } = countTargets(app)
    return {
      status: reasonsAgainst(app).length === 0 ? 'ok' : 'degraded',
      reasons: reasonsAgainst(app),
      version,
      uptime_seconds: Math.round(performance.now() / 1000),
      models: app.models.all().length,
      targets: total,
      usable_targets: usable,
    }
  })
}

export default plugin

const admin = { config: { admin: true } }

function reasonsAgainst(app: FastifyInstance): string[] {
  const reasons: string[] = []
  if (app.drain.active) reasons.push('draining')
  if (countTargets(app).usable === 0) reasons.push('no usable target')
  return reasons
}

function countTargets(app: FastifyInstance): { total: number; usable: number } {
  const targets = app.models.all().flatMap((model) => model.targets)
  return {
    total: targets.length,
    usable: targets.filter((target) => app.health.breakerOf(target).available).length,
  }
}
