import cluster from 'node:cluster'
import type { Config } from '../config/settings/settings.ts'
import type { ConfigSources } from '../config/sources.ts'
import { WorkerChannels } from '../lib/worker-channels.ts'
import type { Logging } from '../runtime/logger.ts'
import { ConfigError } from '../sdk/errors.ts'
import { serveClients, serveStores } from '../stores/choose.ts'
import { serveConfig } from './config-reload.ts'
import { serveConnections } from './connections.ts'
import { serveHealth } from './health.ts'
import { serveMetrics } from './metrics.ts'
import { type WorkerRequests, workerRequests } from './running-requests.ts'
import { serveStatus } from './status.ts'
import { ready, Supervisor, type WorkerEnd } from './supervisor.ts'

/** Maximum number of requests of a dead worker that are named in the log. */
const maxNamedRequests = 100

/**
 * Starts and supervises the workers, which share one port: `LLM_ROUTER_SERVER_TYPE=cluster`. Over its channels to them it
 * holds or releases their leases, stores their responses, aggregates their metrics and elects the one that checks the servers.
 * It does nothing else for a request.
 */
export function runPrimary(config: Config, logging: Logging, sources: ConfigSources): void {
  const { logger } = logging
  // Workers accept connections themselves. A connection handed over by the primary would be lost with a worker that is killed
  // before accepting it. docs/decisions/0001-cluster-scheduling.md
  cluster.schedulingPolicy = cluster.SCHED_NONE
  const requests = workerRequests()
  const warn = (line: string): void => logger.warn(line)
  const channels = new WorkerChannels()
  const reload = serveConfig(channels, config, sources, warn)
  serveStores(channels, config, warn)
  const clients = serveClients(channels, config, logger)
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
    onEnd: (end) => logger.error(...lineOf(end, requests)),
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

/** Writes the remaining usage of all workers. */
async function closed(clients: ReturnType<typeof serveClients>): Promise<void> {
  try {
    const host = await clients
    await host?.close()
  } catch {
    // It was never open, or is away.
  }
}

/** Log fields of a dead worker. */
function lineOf(
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
  return [fields, `a worker ended (${signal ?? `exit code ${code}`})`]
}
