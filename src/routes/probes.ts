import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { type EndpointDocs, json } from '../core/api-docs.ts'
import { version } from '../core/version.ts'

/** For Kubernetes and for people: does it live, should it get requests, how is it. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/livez', { config: { admin: true, docs: liveDocs } }, () => ({ status: 'ok' }))

  app.get('/readyz', { config: { admin: true, docs: readyDocs } }, (_request, reply) => {
    const reasons = reasonsAgainst(app)
    if (reasons.length === 0) return { status: 'ready' }
    return reply.code(503).send({ status: 'not_ready', reasons })
  })

  app.get('/healthz', { config: { admin: true, docs: healthDocs } }, () => {
    const { total, usable } = countTargets(app)
    const reasons = [...reasonsAgainst(app), ...failedReloads(app), ...failedLogFile(app)]
    return {
      status: reasons.length === 0 ? 'ok' : 'degraded',
      reasons,
      version,
      uptime_seconds: Math.round(performance.now() / 1000),
      models: app.models.all().length,
      targets: total,
      usable_targets: usable,
    }
  })
}

export default plugin

const liveDocs: EndpointDocs = {
  id: 'livez',
  tag: 'Operation',
  summary: 'Probe: does the process live',
  answers: [json('It does.')],
}

const readyDocs: EndpointDocs = {
  id: 'readyz',
  tag: 'Operation',
  summary: 'Probe: should it get requests',
  description: '503 with `reasons` while it should not: no server can be used, or the process ends.',
  answers: [json('It should.')],
}

const healthDocs: EndpointDocs = {
  id: 'healthz',
  tag: 'Operation',
  summary: 'How it is, in short',
  answers: [json('Its state, with reasons, and how many models and servers it has.')],
}

function reasonsAgainst(app: FastifyInstance): string[] {
  const reasons: string[] = []
  if (app.drain.active) reasons.push('draining')
  if (countTargets(app).usable === 0) reasons.push('no usable target')
  return reasons
}

/** None of them keeps a request away: the configuration before is in use. */
function failedReloads(app: FastifyInstance): string[] {
  return [...app.reload.failures().keys()].map((setting) => `the last reload of ${setting} failed`)
}

/** Lines that it does not get are on stdout. */
function failedLogFile(app: FastifyInstance): string[] {
  const fault = app.logFault()
  return fault === undefined ? [] : [fault]
}

function countTargets(app: FastifyInstance): { total: number; usable: number } {
  const targets = app.models.all().flatMap((model) => model.targets)
  return {
    total: targets.length,
    usable: targets.filter((target) => app.health.breakerOf(target).available).length,
  }
}
