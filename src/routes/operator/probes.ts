import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { version } from '../../lib/version.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import type { Target } from '../../sdk/target.ts'

/** Liveness and readiness probes for Kubernetes, and a health summary. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/livez', { config: { admin: true, docs: liveDocs } }, () => ({ status: 'ok' }))

  app.get('/readyz', { config: { admin: true, docs: readyDocs } }, (request, reply) => {
    const reasons = reasonsNotReady(app)
    const without = maySeeNames(app, request, reply) ? modelsWithoutTarget(app) : []
    const models = without.length === 0 ? {} : { models_without_usable_target: without }
    if (reasons.length === 0) return { status: 'ready', ...models }
    return reply.code(503).send({ status: 'not_ready', reasons, ...models })
  })

  app.get('/healthz', { config: { admin: true, docs: healthDocs } }, (request, reply) => {
    const unusable = unusableTargets(app)
    const panicking = app.models.all().filter((model) => app.health.isPanicking(model))
    const reasons = [
      ...reasonsNotReady(app),
      ...failedReloads(app),
      ...failedLogFile(app),
      ...usageBacklog(app),
      ...unusable.map(({ model, target, state }) => `target '${target}' of '${model}' is ${state}`),
      ...panicking.map(({ alias }) => `all targets of '${alias}' are down and used anyway`),
    ]
    const total = app.models.all().reduce((sum, { targets }) => sum + targets.length, 0)
    const names = { reasons, down: unusable, models_without_usable_target: modelsWithoutTarget(app) }
    return {
      status: reasons.length === 0 ? 'ok' : 'degraded',
      ...(maySeeNames(app, request, reply) ? names : {}),
      version,
      uptime_seconds: Math.round(performance.now() / 1000),
      models: app.models.all().length,
      targets: total,
      usable_targets: total - unusable.length,
    }
  })
}

export default fp(plugin, { name: 'routes/operator/probes', encapsulate: true })

const LiveSchema = Type.Object({ status: Type.Literal('ok') })
const ReadySchema = Type.Object({
  status: Type.Literal('ready'),
  models_without_usable_target: Type.Optional(Type.Array(Type.String())),
})

const HealthSchema = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('degraded')]),
  reasons: Type.Optional(Type.Array(Type.String())),
  down: Type.Optional(
    Type.Array(Type.Object({ model: Type.String(), target: Type.String(), state: Type.String() })),
  ),
  models_without_usable_target: Type.Optional(Type.Array(Type.String())),
  version: Type.String(),
  uptime_seconds: Type.Integer(),
  models: Type.Integer(),
  targets: Type.Integer(),
  usable_targets: Type.Integer(),
})

const liveDocs: EndpointDocs = {
  id: 'livez',
  tag: 'Operation',
  summary: 'Liveness probe',
  answers: [json('The process is alive.', LiveSchema)],
}

const readyDocs: EndpointDocs = {
  id: 'readyz',
  tag: 'Operation',
  summary: 'Readiness probe',
  description:
    '503 with `reasons` while no model has a usable server or the process is draining. Names the models without a usable server; with client keys, for operators only.',
  answers: [json('Ready.', ReadySchema)],
}

const healthDocs: EndpointDocs = {
  id: 'healthz',
  tag: 'Operation',
  summary: 'Health summary',
  answers: [
    json(
      '`ok` or `degraded`, and the numbers of models and servers. With client keys, only operators get the reasons and the servers that are down.',
      HealthSchema,
    ),
  ],
}

/** A client must not learn the names of models that it may not use. */
function maySeeNames(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): boolean {
  if (!app.config.authEnabled || app.adminPort.isUsedBy(request.raw)) return true
  return app.rights.isOperator(request, reply)
}

function reasonsNotReady(app: FastifyInstance): string[] {
  const reasons: string[] = []
  if (app.drain.active) reasons.push('draining')
  if (modelsWithoutTarget(app).length === app.models.all().length) reasons.push('no usable target')
  return reasons
}

/** Failed reloads do not affect readiness: the previous configuration stays in use. */
function failedReloads(app: FastifyInstance): string[] {
  return [...app.reload.failures().keys()].map((setting) => `the last reload of ${setting} failed`)
}

/** Does not affect readiness either: log lines go to stdout instead. */
function failedLogFile(app: FastifyInstance): string[] {
  const error = app.logError()
  return error === undefined ? [] : [error]
}

/** Spooled usage is written to the database when it is available again. */
function usageBacklog({ directory }: FastifyInstance): string[] {
  const { spoolBytes = 0, spoolError } = directory?.usageBacklog() ?? {}
  return [
    ...(spoolBytes > 0
      ? [`usage is spooled to disk until the database is available (${spoolBytes} bytes)`]
      : []),
    ...(spoolError === undefined ? [] : [`usage cannot be spooled to disk (${spoolError})`]),
  ]
}

/** Names of models whose requests fail or go to fallback models. */
function modelsWithoutTarget(app: FastifyInstance): string[] {
  return app.models
    .all()
    .filter((model) => !app.health.canServe(model))
    .map(({ alias }) => alias)
}

interface UnusableTarget {
  model: string
  target: string
  state: string
}

function unusableTargets(app: FastifyInstance): UnusableTarget[] {
  return app.models.all().flatMap((model) =>
    app.balancer
      .signals(model)
      .filter(({ target }) => !app.health.isUsable(target))
      .map(({ target }) => ({ model: model.alias, target: target.id, state: describeState(app, target) })),
  )
}

function describeState(app: FastifyInstance, target: Target): string {
  const state = app.health.stateOf(target)
  switch (state) {
    case 'refused':
      return 'down: it refuses connections'
    case 'silent':
      return 'down: its health checks time out'
    case 'failing':
      return 'down: its health checks fail'
    case 'loading':
    case 'asleep':
      return state
    case 'up':
    case 'degraded': {
      if (app.health.isHung(target)) return 'hung: it does not start to respond'
      const { cooldownMs, breaker } = app.health.of(target)
      return cooldownMs > 0 ? 'asked for a pause' : `${breaker.state}: its requests fail`
    }
  }
}
