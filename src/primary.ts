import cluster from 'node:cluster'

/** First pause before a crashed worker starts again, in milliseconds; doubles up to the last. */
const firstPauseMs = 100
const lastPauseMs = 10_000
/** So many crashes within a minute are no accident: the primary gives up. */
const maxCrashesPerMinute = 5
/** The exit code of a start that cannot succeed; starting again would not help. */
const configFault = 2

/** Starts the workers, which share one port, and keeps them: `LLM_ROUTER_SERVER_TYPE=cluster`. */
export function runPrimary(workers: number): void {
  const crashes: number[] = []
  let stopping = false
  const startAgain = (): void => {
    if (!stopping) cluster.fork()
  }
  cluster.on('exit', (_worker, code, signal) => {
    if (stopping) {
      if (Object.keys(cluster.workers ?? {}).length === 0) process.exit(0)
      return
    }
    if (code === configFault) {
      stopping = true
      signalWorkers('SIGTERM')
      process.exit(configFault)
    }
    const now = Date.now()
    crashes.push(now)
    while (crashes[0] !== undefined && crashes[0] < now - 60_000) crashes.shift()
    process.stderr.write(`a worker ended (${signal ?? `exit code ${code}`})\n`)
    if (crashes.length > maxCrashesPerMinute) {
      process.stderr.write('workers keep crashing; giving up\n')
      stopping = true
      signalWorkers('SIGTERM')
      process.exit(1)
    }
    setTimeout(startAgain, Math.min(lastPauseMs, firstPauseMs * 2 ** (crashes.length - 1)))
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      const again = stopping
      stopping = true
      signalWorkers(again ? 'SIGKILL' : 'SIGTERM')
      if (again) process.exit(1)
    })
  }
  process.on('SIGUSR2', () => signalWorkers('SIGUSR2'))
  for (let index = 0; index < workers; index++) cluster.fork()
}

function signalWorkers(signal: NodeJS.Signals): void {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill(signal)
}
