import cluster, { type Worker } from 'node:cluster'
import type { Config } from './core/env-config.ts'
import { primaryConfigKeeper } from './primary-config-keeper.ts'
import { primaryHealthKeeper } from './primary-health-keeper.ts'
import { primaryLeaseKeeper } from './primary-lease-keeper.ts'
import { primaryLimitKeeper } from './primary-limit-keeper.ts'
import { primaryMetricsKeeper } from './primary-metrics-keeper.ts'
import { primaryResponseKeeper } from './primary-response-keeper.ts'
import { primaryStatusKeeper } from './primary-status-keeper.ts'

/** First pause before a crashed worker starts again, in milliseconds; doubles up to the last. */
const firstPauseMs = 100
const lastPauseMs = 10_000
/** So many crashes within a minute are no accident: the primary gives up. */
const maxCrashesPerMinute = 5
/** The exit code of a start that cannot succeed; starting again would not help. */
const configFault = 2

/**
 * Starts the workers, which share one port, and keeps them: `LLM_ROUTER_SERVER_TYPE=cluster`. It holds or frees the
 * leases of its workers, keeps their stored answers, adds up their metrics and says which of them checks the servers; it
 * does nothing else for a request.
 */
export function runPrimary(config: Config): void {
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  const files = primaryConfigKeeper(config, say)
  const leases = primaryLeaseKeeper(config, say)
  const limits = primaryLimitKeeper(config)
  const keepResponses = primaryResponseKeeper(config)
  const keepMetrics = primaryMetricsKeeper()
  const keepHealth = primaryHealthKeeper()
  const keepStatus = primaryStatusKeeper()
  const startWorker = (): void => {
    const worker = cluster.fork()
    files.workerStarted(worker)
    leases.workerStarted(worker)
    limits.workerStarted(worker)
    keepResponses(worker)
    keepMetrics(worker)
    keepHealth(worker)
    keepStatus(worker)
  }
  const crashes: number[] = []
  let stopping = false
  cluster.on('exit', (worker, code, signal) => {
    leases.workerEnded(worker)
    limits.workerEnded(worker)
    if (stopping) {
      if (livingWorkers().length === 0) process.exit(0)
      return
    }
    if (code === configFault) {
      stopping = true
      signalWorkers('SIGTERM')
      process.exit(configFault)
    }
    process.stderr.write(`a worker ended (${signal ?? `exit code ${code}`})\n`)
    const count = countCrash(crashes, performance.now())
    if (count > maxCrashesPerMinute) {
      process.stderr.write('workers keep crashing; giving up\n')
      stopping = true
      signalWorkers('SIGTERM')
      process.exit(1)
    }
    const pauseMs = Math.min(lastPauseMs, firstPauseMs * 2 ** (count - 1))
    setTimeout(() => {
      if (!stopping) startWorker()
    }, pauseMs)
  })
  stopOnSignals(() => {
    const again = stopping
    stopping = true
    signalWorkers(again ? 'SIGKILL' : 'SIGTERM')
    // Between a crash and the next start there is nobody to wait for.
    if (again || livingWorkers().length === 0) process.exit(again ? 1 : 0)
  })
  process.on('SIGUSR2', () => signalWorkers('SIGUSR2'))
  process.on('SIGHUP', () => files.reload())
  for (let index = 0; index < config.workersCount; index++) startWorker()
}

/** How many there were within the last minute, with this one. */
function countCrash(crashes: number[], now: number): number {
  crashes.push(now)
  while (crashes[0] !== undefined && crashes[0] < now - 60_000) crashes.shift()
  return crashes.length
}

function stopOnSignals(stop: () => void): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop)
}

function livingWorkers(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
}

function signalWorkers(signal: NodeJS.Signals): void {
  for (const worker of livingWorkers()) worker.process.kill(signal)
}
