import cluster from 'node:cluster'
import type { Config } from '../config/settings.ts'
import type { Logging } from '../runtime/logger.ts'
import { primaryConfigKeeper } from './primary-config-keeper.ts'
import { primaryConnectionKeeper } from './primary-connection-keeper.ts'
import { primaryHealthKeeper } from './primary-health-keeper.ts'
import { primaryLeaseKeeper } from './primary-lease-keeper.ts'
import { primaryLimitKeeper } from './primary-limit-keeper.ts'
import { primaryMetricsKeeper } from './primary-metrics-keeper.ts'
import { type PrimaryRequestKeeper, primaryRequestKeeper } from './primary-request-keeper.ts'
import { primaryResponseKeeper } from './primary-response-keeper.ts'
import { primaryStatusKeeper } from './primary-status-keeper.ts'
import { type WorkerEnd, WorkerKeeper } from './worker-keeper.ts'

/** Of the requests that ran in a worker that died, so many are named in the log. */
const maxNamedRequests = 100

/**
 * Starts the workers, which share one port, and keeps them: `LLM_ROUTER_SERVER_TYPE=cluster`. It holds or frees the
 * leases of its workers, keeps their stored answers, adds up their metrics and says which of them checks the servers; it
 * does nothing else for a request.
 */
export function runPrimary(config: Config, logging: Logging): void {
  const { logger } = logging
  // The workers accept connections themselves. Handed over by the primary, a connection is lost with a worker that is killed
  // before it has taken it. docs/decisions/0001-cluster-scheduling.md
  cluster.schedulingPolicy = cluster.SCHED_NONE
  const requests = primaryRequestKeeper()
  const say = (line: string): void => logger.warn(line)
  const files = primaryConfigKeeper(config, say)
  const leases = primaryLeaseKeeper(config, say)
  const limits = primaryLimitKeeper(config)
  const keepers = [
    files.workerStarted,
    leases.workerStarted,
    limits.workerStarted,
    primaryResponseKeeper(config),
    primaryMetricsKeeper(),
    primaryHealthKeeper(),
    primaryStatusKeeper(),
    primaryConnectionKeeper(),
  ]
  const workers = new WorkerKeeper({
    count: config.workersCount,
    fork() {
      const worker = requests.fork()
      for (const keep of keepers) keep(worker)
      worker.once('exit', () => {
        leases.workerEnded(worker)
        limits.workerEnded(worker)
      })
      return worker
    },
    onEnd: (end) => logger.error(...lineOf(end, requests)),
    onFinish(code, why) {
      if (why !== undefined) logger.fatal(why)
      void logging.flush().then(() => process.exit(code))
    },
  })
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
  process.on('SIGHUP', () => files.reload())
  workers.start()
}

/** What the log says of a worker that died. */
function lineOf(
  { worker, code, signal, restartInMs }: WorkerEnd,
  requests: PrimaryRequestKeeper,
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
