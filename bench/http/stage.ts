import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { askChild } from '../support/ask-child.ts'
import { type Child, freePort, listening, startChild } from '../support/child.ts'
import { routerArgs } from '../support/router-command.ts'
import { type BenchCase, providerTypes, type Upstream } from './cases.ts'
import type { LoadJob, LoadResult } from './load.ts'

export interface MeasuredProxy {
  name: string
  child: Child
  portOf(upstream: Upstream): number
  /** Whether responses are forwarded unchanged. */
  bare?: boolean
  /** Headers that it needs to find the upstream. */
  headersFor?(upstream: Upstream): Record<string, string>
  /** The model in a request to it, if it differs from the case's model. */
  modelFor?(upstream: Upstream): string
  /** A path that it answers itself, to measure how long it does not respond; empty disables it. */
  pingPath: string
  /** Called before a measurement, so that logs do not grow without limit. */
  forgetLog(): void
}

/** The upstream servers, the proxies and the load generator, each a separate process. */
export interface Stage {
  pipe: MeasuredProxy
  router: MeasuredProxy
  upstreamPorts: Record<Upstream, number>
  /** `perSecond`: maximum number of requests started per second. */
  load(
    proxy: MeasuredProxy,
    benchCase: BenchCase,
    durationMs: number,
    perSecond?: number,
  ): Promise<LoadResult>
  /** An additional router over the same servers, with these settings in addition to the usual ones; it ends with the stage. */
  addRouter(name: string, env: Record<string, string>): Promise<MeasuredProxy>
  close(): Promise<void>
}

export interface StageOptions {
  /** The upstream program with its arguments; it prints its ports as `upstream.ts` does. */
  upstream?: readonly string[]
  /** Leaves all programs on all processors. */
  unpinned?: boolean
  /** Options for Node, if the pipe should get some too. */
  pipeNodeOptions?: readonly string[]
}

/** With two processors and `taskset`, proxies use the first and everything else the second. */
const canPin = availableParallelism() > 1
export const proxyCpu = 0
export const otherCpu = 1
type Cpu = number | 'any'

export async function startStage(
  nodeOptions: readonly string[] = [],
  { upstream: program = ['upstream.ts'], unpinned = false, pipeNodeOptions = [] }: StageOptions = {},
): Promise<Stage> {
  const [proxies, others]: [Cpu, Cpu] = unpinned ? ['any', 'any'] : [proxyCpu, otherCpu]
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-bench-'))
  const upstream = await startNode(others, program, portsIn)
  const ports = upstream.found as Record<Upstream, number>
  const pipe = await startPipe(proxies, ports, pipeNodeOptions)
  const newRouter = (name: string, more: RouterOptions): Promise<MeasuredProxy> =>
    startRouter(proxies, ports, { name, folder: mkdtempSync(join(folder, 'router-')), ...more })
  const router = await newRouter('llm-router', { nodeOptions })
  const generator = await startGenerator(others, 'load.ts')
  const added: MeasuredProxy[] = []
  return {
    pipe,
    router,
    upstreamPorts: ports,
    async addRouter(name, env) {
      const one = await newRouter(name, { env })
      added.push(one)
      return one
    },
    load: (proxy, benchCase, durationMs, perSecond = 0) =>
      runLoad(generator, proxy, benchCase, { durationMs, perSecond }),
    async close() {
      generator.kill('SIGKILL')
      for (const each of [router, ...added]) await each.child.stop('SIGTERM')
      await pipe.child.stop()
      await upstream.child.stop()
      rmSync(folder, { recursive: true })
    },
  }
}

/** A load generator that is controlled by messages. */
export async function startGenerator(cpu: Cpu, file: string): Promise<ChildProcess> {
  const generator = fork(join(import.meta.dirname, file), { stdio: 'inherit' })
  if (!canPin || cpu === 'any' || !generator.pid) return generator
  const { child } = await startChild('taskset', ['-pc', `${cpu}`, `${generator.pid}`], (text) =>
    text.includes('new affinity') ? true : undefined,
  )
  await child.stop()
  return generator
}

async function startPipe(
  cpu: Cpu,
  ports: Record<Upstream, number>,
  nodeOptions: readonly string[],
): Promise<MeasuredProxy> {
  const names = Object.keys(ports)
  const { child, found } = await startNode(
    cpu,
    [...nodeOptions, 'bare-pipe.ts', ...Object.values(ports).map(String)],
    portsIn,
  )
  const own = found as number[]
  return {
    name: 'bare pipe',
    child,
    portOf: (upstream) => own[names.indexOf(upstream)] ?? 0,
    bare: true,
    pingPath: '',
    forgetLog: () => undefined,
  }
}

interface RouterOptions {
  nodeOptions?: readonly string[]
  env?: Record<string, string>
}

/** As in production: metrics enabled, each request logged as JSON. */
async function startRouter(
  cpu: Cpu,
  ports: Record<Upstream, number>,
  { name, folder, nodeOptions = [], env: more = {} }: RouterOptions & { name: string; folder: string },
): Promise<MeasuredProxy> {
  const file = join(folder, 'models.json')
  const log = join(folder, 'stdout.log')
  writeFileSync(file, JSON.stringify(modelsConfig(ports)))
  const port = await freePort()
  const env = {
    LLM_ROUTER_MODELS_CONFIG: file,
    LLM_ROUTER_SERVER_HOST: '127.0.0.1',
    LLM_ROUTER_SERVER_PORT: `${port}`,
    LLM_ROUTER_LOG_FILENAME: '',
    LLM_ROUTER_LOG_FORMAT: 'json',
    LLM_ROUTER_USE_PROMETHEUS: '1',
    LLM_ROUTER_DRAIN_ACCEPT: '0',
    ...givenSettings(),
    ...more,
  }
  const args = [...nodeOptions, ...routerArgs()]
  const { child } = await startNode(cpu, args, () => listening(port), {
    env,
    stdout: openSync(log, 'a'),
  })
  return {
    name,
    child,
    portOf: () => port,
    pingPath: '/ping',
    forgetLog: () => truncateSync(log),
  }
}

/** The caller's variables take precedence, to measure a single part: `LLM_ROUTER_LOG_LEVEL=fatal npm run bench`. */
function givenSettings(): Record<string, string> {
  const given: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith('LLM_ROUTER_') && value !== undefined) given[name] = value
  }
  return given
}

/** A model for each kind of upstream; `targets`: the number of its targets, all of them the same server. */
export function modelsConfig(ports: Record<Upstream, number>, targets = 1): object {
  const models = Object.entries(providerTypes).map(([name, type]) => {
    const host = `http://127.0.0.1:${ports[name as Upstream]}`
    const target = { api_type: type, api_host: host, model_path: 'served/model-8b', api_token: 'k' }
    const providers = Array.from({ length: targets }, (_, index) => ({ id: `${name}-${index}`, ...target }))
    return [name, { providers }]
  })
  return { bench: Object.fromEntries(models), active_models: { bench: Object.keys(providerTypes) } }
}

/** Runs one of our programs; paths are relative to this folder, Node options come first. */
function startNode<T>(
  cpu: Cpu,
  args: readonly string[],
  ready: (output: string) => Promise<T | undefined> | T | undefined,
  options: { env?: Record<string, string>; stdout?: number } = {},
): Promise<{ child: Child; found: T }> {
  const resolved = args.map((arg) => (arg.endsWith('.ts') ? resolve(import.meta.dirname, arg) : arg))
  return startOn(cpu, [process.execPath, ...resolved], ready, options)
}

/** Runs a program on one of the processors, or on any. */
export function startOn<T>(
  cpu: Cpu,
  command: readonly string[],
  ready: (output: string) => Promise<T | undefined> | T | undefined,
  options: { env?: Record<string, string>; stdout?: number } = {},
): Promise<{ child: Child; found: T }> {
  const [program = '', ...rest] = canPin && cpu !== 'any' ? ['taskset', '-c', `${cpu}`, ...command] : command
  const env = { PATH: process.env.PATH ?? '', ...options.env }
  return startChild(program, rest, ready, { ...options, env })
}

/** A request's JSON, without its filling. */
export function bodyFor(proxy: MeasuredProxy, { body, upstream }: BenchCase): string {
  return JSON.stringify({ ...body, ...(proxy.modelFor && { model: proxy.modelFor(upstream) }) })
}

function portsIn(output: string): unknown {
  const text = /^ports (.*)$/m.exec(output)?.[1]
  return text === undefined ? undefined : JSON.parse(text)
}

async function runLoad(
  generator: ChildProcess,
  proxy: MeasuredProxy,
  benchCase: BenchCase,
  pace: Pick<LoadJob, 'durationMs' | 'perSecond'>,
): Promise<LoadResult> {
  const { path, upstream, fillingBytes, concurrency, endsWith } = benchCase
  const job: LoadJob = {
    port: proxy.portOf(upstream),
    path,
    body: bodyFor(proxy, benchCase),
    fillingBytes,
    concurrency,
    ...pace,
    // The bare pipe forwards responses unchanged.
    endsWith: proxy.bare ? '' : endsWith,
    headers: proxy.headersFor?.(upstream) ?? {},
    // Pings also cost something, which must not count when the cost is compared.
    pingPath: pace.perSecond === 0 ? proxy.pingPath : '',
  }
  const result = await askChild<LoadResult>(generator, job).catch((error: unknown) => {
    throw new Error(`${proxy.name}: ${proxy.child.output()}`, { cause: error })
  })
  if (result.bad > 0)
    throw new Error(`${result.bad} bad answers of ${result.requests}: ${proxy.name}, ${path}`)
  return result
}
