import type { FastifyInstance, FastifyRequest } from 'fastify'
import { userAgentAfter } from '../../relay/request/hops.ts'
import { DeclinedOperations } from '../../relay/request/operation-targets.ts'
import type { Acquire } from '../../relay/run/lease.ts'
import type { RelayServices } from '../../relay/services.ts'
import { refusesConnections } from '../../relay/upstream/connection-errors.ts'
import { modelNotFound } from '../../sdk/errors.ts'
import type { Model } from '../../sdk/target.ts'
import { clientAddress } from '../auth/client-address.ts'
import { turnOf } from './turn.ts'

/** Creates the services of each request; those shared by all requests are created once. */
export function createServices(app: FastifyInstance): (request: FastifyRequest) => RelayServices {
  const { acquire, retryBudget, isUnreliable } = app.balancer
  const shared: Omit<
    RelayServices,
    | 'acquire'
    | 'busy'
    | 'exchange'
    | 'clientHeaders'
    | 'clientName'
    | 'userAgent'
    | 'turn'
    | 'priority'
    | 'canary'
    | 'fallbacksOf'
    | 'onFailover'
  > = {
    dialectOf: (name) => app.dialects.get(name),
    declined: new DeclinedOperations(() => performance.now()),
    logOnce: onceLogger(app),
    transportOf: app.upstream.transportOf,
    collectsWholeAnswers: app.engines.collectsWholeAnswers,
    onWholeAnswer: app.engines.noteHeaders,
    budgetOf: retryBudget,
    isUnreliable,
    refusesConnections,
    timeoutMs: app.config.externalTimeoutMs,
    watch: app.health.attempts,
    loading: app.health.loading,
    hold: app.holding.hold,
  }
  return (request) => ({
    ...shared,
    acquire: acquireWithPermission(app, request, acquire),
    busy: app.busy.begin,
    exchange: request.exchange,
    clientHeaders: request.headers,
    userAgent: userAgentAfter(request.headers['user-agent']),
    clientName: () => request.exchange.client ?? clientAddress(request),
    ...turnOf(request),
    fallbacksOf: ({ fallbacks }) => fallbacksFor(app, request, fallbacks),
    onFailover: (target, error) => {
      const { exchange, log } = request
      const { causeCode, upstreamText } = error
      log.warn(
        {
          ...exchange.logIds,
          model: target.model,
          target: target.id,
          error_cause: causeCode,
          upstream_text: upstreamText,
        },
        'failover',
      )
    },
  })
}

const none: readonly never[] = []

function fallbacksFor(
  app: FastifyInstance,
  request: FastifyRequest,
  configured: readonly string[],
): readonly Model[] {
  const { client, autoChoice } = request
  const chosen = autoChoice?.fallbacks ?? none
  if (configured.length + chosen.length === 0) return none
  return [...new Set([...configured, ...chosen])]
    .map((alias) => app.rights.models(request).find(alias))
    .filter((model) => model !== undefined)
    .filter(({ alias }) => !client || !app.budgets.isUsedUp(client.id, alias))
}

/** Logs each message once per process; there are only a few different ones. */
function onceLogger({ log }: FastifyInstance): (message: string) => void {
  const logged = new Set<string>()
  return (message) => {
    if (logged.has(message)) return
    logged.add(message)
    log.info(message)
  }
}

/** Enforces permissions on the model for every caller. */
function acquireWithPermission(
  { rights }: FastifyInstance,
  { client }: FastifyRequest,
  acquire: Acquire,
): Acquire {
  if (!client?.models) return acquire
  return (model, context, signal) => {
    if (!rights.mayUse(client, model.alias)) throw modelNotFound(model.alias)
    return acquire(model, context, signal)
  }
}
