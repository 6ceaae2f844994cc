import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { childEnv, root } from './child-env.ts'

export interface RouterProcess {
  /** `http://127.0.0.1:port` */
  readonly url: string
  readonly child: ChildProcess
  /** Its models-config.json. */
  readonly file: string
  /** Its exit code, once it has exited. */
  readonly exit: Promise<number | null>
  /** Every log line so far, parsed. */
  readonly logs: readonly Record<string, unknown>[]
  /** Fulfilled with the lines of finished requests once there are this many (excluding `/ping` and other probes). */
  requestsLogged(count: number): Promise<Record<string, unknown>[]>
  /** The first line, existing or future, for which this is true. */
  logged(wanted: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>
  /** The first future line for which this is true. */
  next(wanted: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>
  /** The ids of the processes that have listened so far, in order, once there are this many: the workers of a cluster. */
  listening(count: number): Promise<number[]>
  /** Everything that it has written so far to stdout and stderr. */
  output(): string
  /** Its current memory use in bytes. */
  memoryBytes(): number
  /** Its peak memory use since `forgetPeak`, in bytes. */
  peakBytes(): number
  forgetPeak(): void
  /** Kills it if it is still running, and removes its files. */
  stop(): Promise<void>
}

export interface RouterProcessOptions {
  env?: Record<string, string>
  /** The whole models-config.json. */
  models: unknown
  /** Node's arguments: options, a script and its arguments. */
  args?: readonly string[]
}

/** The router as its users run it: in a separate process, on a free port. */
export async function startRouterProcess({
  env = {},
  models,
  args = ['--expose-gc', 'src/server.ts'],
}: RouterProcessOptions): Promise<RouterProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-process-'))
  const file = join(folder, 'models-config.json')
  writeFileSync(file, JSON.stringify(models))
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: childEnv({
      LLM_ROUTER_SERVER_PORT: '0',
      LLM_ROUTER_SERVER_HOST: '127.0.0.1',
      LLM_ROUTER_LOG_FILENAME: '',
      LLM_ROUTER_LOG_FORMAT: 'json',
      LLM_ROUTER_HEALTH_INTERVAL: '0',
      // A machine that is busy with other tests delays it.
      LLM_ROUTER_SHED_DELAY: '0',
      LLM_ROUTER_MODELS_CONFIG: file,
      ...env,
    }),
  })
  // A test that has timed out may never stop it.
  const kill = (): boolean => child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  const exit = once(child, 'close').then(([code]) => code as number | null) // as the event's documentation says
  const logs = new LogLines()
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    logs.push(text)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const early = exit.then((code) => {
    throw new Error(`the router ended with ${code}: ${output}`)
  })
  early.catch(() => undefined) // reported by the race below, or no error at all
  const line = await Promise.race([logs.first(({ msg }) => msg === 'listening'), early])
  const pid = child.pid ?? 0
  return {
    url: `http://127.0.0.1:${line.port}`,
    child,
    file,
    exit,
    logs: logs.lines,
    requestsLogged: (count) => logs.requests(count),
    logged: (wanted) => logs.first(wanted),
    next: (wanted) => logs.first(wanted, logs.lines.length),
    listening: (count) => logs.listening(count),
    output: () => output,
    memoryBytes: () => statusOf(pid, 'VmRSS'),
    peakBytes: () => statusOf(pid, 'VmHWM'),
    // proc(5): writing 5 resets the peak to the current use.
    forgetPeak: () => writeFileSync(`/proc/${pid}/clear_refs`, '5'),
    async stop() {
      if (child.exitCode === null) child.kill('SIGKILL')
      await exit
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function statusOf(pid: number, field: string): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024
}

class LogLines {
  readonly lines: Record<string, unknown>[] = []
  readonly #added = new EventTarget()
  #rest = ''

  push(text: string): void {
    const pieces = (this.#rest + text).split('\n')
    this.#rest = pieces.pop() ?? ''
    for (const piece of pieces) if (piece !== '') this.lines.push(JSON.parse(piece))
    this.#added.dispatchEvent(new Event('line'))
  }

  async first(
    wanted: (line: Record<string, unknown>) => boolean,
    from = 0,
  ): Promise<Record<string, unknown>> {
    for (;;) {
      const line = this.lines.find((each, index) => index >= from && wanted(each))
      if (line) return line
      await once(this.#added, 'line')
    }
  }

  async listening(count: number): Promise<number[]> {
    const pids = new Set<number>()
    while (pids.size < count) {
      const line = await this.first(({ msg, pid }) => msg === 'listening' && !pids.has(Number(pid)))
      pids.add(Number(line.pid))
    }
    return [...pids]
  }

  async requests(count: number): Promise<Record<string, unknown>[]> {
    for (;;) {
      const found = this.lines.filter(({ msg, model }) => msg === 'request' && model !== undefined)
      if (found.length >= count) return found
      await once(this.#added, 'line')
    }
  }
}
