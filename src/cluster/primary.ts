import cluster from 'node:cluster'
import type { Config } from '../config/settings/settings.ts'
import type { ConfigSources } from '../config/sources.ts'
import { WorkerChannels } from '../lib/worker-channels.ts'
import type { Logging } from '../runtime/logger.ts'
import { ConfigError } from '../sdk/errors.ts'
import { serveDatabase, serveStores } from '../stores/choose.ts'
import { serveConfig } from './config-reload.ts'
import { serveConnections } from './connections.ts'
import { serveHealth } from './health.ts'
import { serveMetrics } from './metrics.ts'
import { type WorkerRequests, workerRequests } from './running-requests.ts'
import { serveStatus } from './status.ts'
import { ready, Supervisor, type WorkerEnd } from './supervisor.ts'

/** Maximum number of running requests of an exited worker that are logged. */
const maxNamedRequests = 100

/**
 * Starts and supervises the workers, which share one port (`LLM_ROUTER_SERVER_TYPE=cluster`). Over its channels to them, the
 * primary keeps their shared state (leases, limits, stored responses), aggregates their metrics and elects the worker that
 * checks servers. It never handles a request itself.
 */
export function runPrimary(config: Config, logging: Logging, sources: ConfigSources): void {
  const { logger } = logging
  // Workers accept connections themselves: one handed over by the primary would hang if the worker were killed before accepting
  // it; see docs/decisions/0001-cluster-scheduling.md.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  const requests = workerRequests()
  const warn = (line: string): void => logger.warn(line)
  const channels = new WorkerChannels()
  const reload = serveConfig(channels, config, sources, warn)
  serveStores(channels, config, warn)
  const clients = serveDatabase(channels, config, logger)
  clients.catch((error: unknown) => {
    const errors = error instanceof ConfigError ? error.errors : [String(error)]
    for (const line of errors) process.stderr.write(`${line}\n`)
    workers.stop('SIGKILL')
    process.exit(2)
  })
  serveMetrics(channels)
  serveHealth(channels)
  serveStatus(channels)
  serveConnections(channels)
  const workers = new Supervisor({
    count: config.workersCount,
    fork() {
      const worker = requests.fork()
      channels.connect(worker)
      return worker
    },
    onEnd: (end) => logger.error(...logLineOf(end, requests)),
    onFinish(code, why) {
      if (why !== undefined) logger.fatal(why)
      void closed(clients)
        .then(() => logging.flush())
        .then(() => process.exit(code))
    },
  })
  channels.on(ready, (_, { id }) => workers.ready(Number(id)))
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      workers.stop(stopping ? 'SIGKILL' : 'SIGTERM')
      if (stopping) process.exit(1)
      stopping = true
    })
  }
  process.on('SIGUSR2', () => {
    logging.reopen()
    workers.passOn('SIGUSR2')
  })
  process.on('SIGHUP', reload)
  workers.start()
}

/** Waits until the remaining usage of all workers is written. */
async function closed(clients: ReturnType<typeof serveDatabase>): Promise<void> {
  try {
    const host = await clients
    await host?.close()
  } catch {
    // The database was never opened, or is unavailable.
  }
}

/** Log fields and message for an exited worker. */
function logLineOf(
  { worker, code, signal, restartInMs }: WorkerEnd,
  requests: WorkerRequests,
): [fields: object, message: string] {
  const running = requests.takeRequests(worker)
  const fields = {
    worker: worker.id,
    worker_pid: worker.process.pid,
    ...(restartInMs === undefined ? {} : { restart_in_seconds: restartInMs / 1000 }),
    running_requests: running.length,
    requests: running.slice(0, maxNamedRequests).map(({ id, model, bytes, startedAtMs }) => ({
      request_id: id,
      ...(model === undefined ? {} : { model }),
      request_bytes: bytes,
      started_at: new Date(startedAtMs).toISOString(),
    })),
  }
  return [fields, `worker exited (${signal ?? `exit code ${code}`})`]
}
