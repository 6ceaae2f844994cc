import type { FastifyInstance } from 'fastify'
import type {} from 'fastify-metrics'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import type { EndpointDocs } from '../../sdk/endpoint-docs.ts'
import { RouterError } from '../../sdk/errors.ts'
import { recordCache } from './cache.ts'
import { metricsText } from './cluster.ts'
import { exposeEngines } from './engines.ts'
import { TargetLabels } from './labels.ts'
import { recordProcessors } from './processors.ts'
import { recordClients, recordModels, recordRequests } from './requests.ts'
import { exposeRouter } from './router.ts'
import { recordSteps } from './steps.ts'
import { exposeTargets } from './targets.ts'
import { exposeTeams } from './teams.ts'
import { recordUsage } from './usage.ts'

/**
 * Sampling intervals of the event loop in milliseconds. The library's defaults of 10 and 100 would wake an idle process
 * more than a hundred times per second. The first is also the resolution of `nodejs_eventloop_lag_*`.
 */
const samplingIntervals = { eventLoopMonitoringPrecision: 50, eventLoopUtilizationTimeout: 1_000 }

/**
 * Serves `/metrics` in the Prometheus text format if LLM_ROUTER_USE_PROMETHEUS is set. fastify-metrics provides the
 * registry and the process metrics. Requests are counted at the end of their exchange, because its own counters miss
 * requests whose client disconnected. docs/observability.md describes each metric.
 */
export default fp(
  async (app) => {
    if (!app.config.usePrometheus) return
    const { default: fastifyMetrics } = await import('fastify-metrics')
    await app.register(fastifyMetrics.default, {
      endpoint: null,
      routeMetrics: { enabled: false },
      clearRegisterOnInit: true,
      defaultMetrics: { enabled: true, ...samplingIntervals },
    })
    const labels = targetLabels(app)
    app.exchanges.onEnd(recordRequests(app))
    app.exchanges.onEnd(recordProcessors(app))
    app.exchanges.onEnd(recordCache(app))
    const requestAndInternalRecorders = [recordModels(app, labels), recordUsage(app, labels)]
    if (app.config.authEnabled) requestAndInternalRecorders.push(recordClients(app))
    for (const record of requestAndInternalRecorders) {
      app.exchanges.onEnd(record)
      app.internalCalls.onEnd(record)
    }
    app.exchanges.onStep(recordSteps(app, labels))
    exposeTargets(app, labels)
    exposeEngines(app, labels)
    exposeRouter(app)
    exposeTeams(app)
    const text = metricsText(app)
    const { contentType } = app.metrics.client.register
    const paths = endpointPaths(app.config.endpointPrefix, { fixed: ['/metrics'], prefixed: ['/metrics'] })
    for (const path of paths) {
      app.get(path, { config: { admin: true, docs } }, async (_request, reply) => {
        const metrics = await text().catch((cause: unknown) => {
          throw new RouterError('overloaded', 'The metrics are currently unavailable', { cause })
        })
        return reply.type(contentType).send(metrics)
      })
    }
  },
  {
    name: 'metrics',
    dependencies: [
      'config',
      'exchange',
      'internal-calls',
      'errors',
      'shedding',
      'admission',
      'admin-port',
      'models',
      'answer-cache',
      'balancer',
      'health',
      'engines',
      'directory',
      'usage',
      'budgets',
      'busy',
    ],
  },
)

function targetLabels({ models }: FastifyInstance): TargetLabels {
  const labels = new TargetLabels()
  labels.update(models.all())
  models.onChange(() => labels.update(models.all()))
  return labels
}

const docs: EndpointDocs = {
  id: 'metrics',
  tag: 'Operation',
  summary: 'Prometheus metrics',
  description: 'Only with LLM_ROUTER_USE_PROMETHEUS.',
  answers: [{ type: 'text/plain', description: 'The Prometheus text format.' }],
}
