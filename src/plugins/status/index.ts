import cluster from 'node:cluster'
import { memoryUsage, pid, versions } from 'node:process'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { clusterStatus } from '../../cluster/status.ts'
import { version } from '../../lib/version.ts'
import { outcomeOf } from '../../relay/attempt/attempt-result.ts'
import type { ModelStatus, Status, WorkerStatus } from '../../sdk/console/status.ts'
import { allTargets, type Model, type Target } from '../../sdk/target.ts'
import {
  errorSummary,
  maxEntries,
  newCount,
  prependBounded,
  rounded,
  type TargetHistory,
  timestamp,
} from './history.ts'
import { modelStatus, type StatusSources } from './model-status.ts'
import { countRequests } from './request-counts.ts'
import { sumOfStatuses } from './status-sum.ts'
import { targetStatesSince } from './target-states.ts'

declare module 'fastify' {
  interface FastifyInstance {
    status: {
      /** Current status of this process and its targets. */
      read(): Status
      /** Combined status of all processes in the cluster; in a single process the same as `read`. Never rejects. */
      readAll(): Promise<Status>
    }
  }
}

/** Collects what operators need first during an incident: the state of each target, its load, and the latest errors. */
export default fp(
  (app, _options, done) => {
    const startedAt = new Date(Date.now() - performance.now()).toISOString()
    const requests = countRequests(app)
    const histories = new WeakMap<Target, TargetHistory>()
    const historyOf = (target: Target): TargetHistory => {
      const history = histories.get(target) ?? { ended: newCount(), failed: newCount(), errors: [] }
      histories.set(target, history)
      return history
    }
    app.balancer.onSettled((target, result) => {
      if (outcomeOf(result) === 'cancelled') return
      const history = historyOf(target)
      history.ended.add()
      if (result?.type !== 'failure') return
      history.failed.add()
      prependBounded(history.errors, { at: timestamp(), ...errorSummary(result.error) }, maxEntries.errors)
    })
    const states = targetStatesSince(app)
    const read = (): Status => ownStatus(app, { startedAt, requests, historyOf, states })
    app.decorate('status', { read, readAll: readerOfAll(app, read) })
    done()
  },
  {
    name: 'status',
    dependencies: [
      'config',
      'reload',
      'models',
      'engines',
      'health',
      'balancer',
      'holding',
      'exchange',
      'drain',
    ],
  },
)

/** Falls back to the status of this process if the primary does not respond. */
function readerOfAll({ primary, log }: FastifyInstance, read: () => Status): () => Promise<Status> {
  if (!primary) return async () => read()
  const collect = clusterStatus(primary, read)
  return async () => {
    try {
      const parts = await collect()
      return sumOfStatuses(read(), parts, maxEntries)
    } catch (error) {
      log.warn({ error: String(error) }, 'status of the other processes unavailable')
      return read()
    }
  }
}

interface OwnStatusSources extends StatusSources {
  startedAt: string
}

function ownStatus(
  app: FastifyInstance,
  { startedAt, requests, historyOf, states }: OwnStatusSources,
): Status {
  const { version: configVersion, at } = app.models.loading()
  const used = app.models.all()
  const sources = { historyOf, requests, states, serverOf: serverNames(used) }
  const models = used.map((model) => modelStatus(app, model, sources))
  const own: Omit<Status, 'workers'> = {
    version,
    node: versions.node,
    config: { version: configVersion, loaded_at: at.toISOString(), failed: failedReloads(app) },
    started_at: startedAt,
    uptime_seconds: rounded(performance.now() / 1000),
    worker: cluster.worker?.id ?? 0,
    state: stateOf(app, models),
    strategy: app.config.balanceStrategy,
    requests: requests.read(),
    models,
    failures: [...requests.failures],
  }
  return { ...own, workers: [workerStatus(own)] }
}

/** This process as one row of the worker list. */
function workerStatus(status: Omit<Status, 'workers'>): WorkerStatus {
  const { worker, state, started_at, uptime_seconds, models, requests, config } = status
  const targets = models.flatMap((model) => model.targets)
  return {
    worker,
    pid,
    state,
    started_at,
    uptime_seconds,
    in_flight: targets.reduce((sum, { in_flight }) => sum + in_flight, 0),
    waiting: models.reduce((sum, { waiting }) => sum + waiting, 0),
    finished: requests.finished,
    failed: requests.failed,
    memory_bytes: memoryUsage.rss(),
    config: config.version,
  }
}

function failedReloads(app: FastifyInstance): Status['config']['failed'] {
  return Array.from(app.reload.failures(), ([setting, { at, errors }]) => {
    return { setting, at: at.toISOString(), errors: errors.length }
  })
}

function stateOf(app: FastifyInstance, models: readonly ModelStatus[]): Status['state'] {
  if (app.drain.active) return 'draining'
  const states = models
    .flatMap(({ targets }) => targets.map(({ state }) => state))
    .filter((state) => state !== 'standby' && state !== 'drained')
  const isUsed = states.some((state) => state === 'up' || state === 'trial' || state === 'misconfigured')
  if (!isUsed && !models.some(({ panic }) => panic)) return 'unusable'
  return states.every((state) => state === 'up') ? 'ready' : 'degraded'
}

/**
 * Names the server of each target; targets with the same name share it: its id in the configuration, otherwise `server 2`,
 * numbering hosts in configuration order, which is the same in all processes and reveals no address. A target without a host
 * is a separate server.
 */
function serverNames(models: readonly Model[]): (target: Target) => string {
  const hosts = new Map<string, string>()
  for (const { serverName, origin } of models.flatMap(allTargets)) {
    const host = hostIn(origin)
    if (serverName === undefined && host !== '' && !hosts.has(host))
      hosts.set(host, `server ${hosts.size + 1}`)
  }
  return ({ id, serverName, origin }) => serverName ?? hosts.get(hostIn(origin)) ?? id
}

function hostIn(origin: string): string {
  return origin === '' ? '' : new URL(origin).host
}
