import { mkdirSync, openSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../support/child.ts'
import type { Upstream } from '../cases.ts'
import { type MeasuredProxy, proxyCpu, startOn } from '../stage.ts'

/** A third-party gateway; it runs if an environment variable names its program. */
export interface Gateway {
  name: string
  /** The environment variable that names the program. */
  variable: string
  /** Writes its configuration into its own folder `folder`, and returns how to start it on 127.0.0.1. */
  prepare(setup: GatewaySetup): PreparedGateway
  /** Its name for an upstream's model, if it does not accept the upstream's own name. */
  modelFor?(upstream: Upstream): string
}

/** The upstreams that `bench:neighbours` uses. */
type AskedUpstream = 'openaiWhole' | 'openaiStream'

export interface PreparedGateway {
  /** The arguments of each of its processes: one that listens on `port` for all upstreams, or one for each port of `ports`. */
  instances: readonly (readonly string[])[]
  env?: Record<string, string>
}

export interface GatewaySetup {
  folder: string
  port: number
  /** If one instance serves only one upstream. */
  ports: Record<AskedUpstream, number>
  metricsPorts: Record<AskedUpstream, number>
  upstreamPorts: Record<Upstream, number>
}

/** Undefined if the variable is not set. Rejects with the program's output if it does not start. */
export async function startGateway(
  { name, variable, prepare, modelFor }: Gateway,
  parent: string,
  upstreamPorts: Record<Upstream, number>,
): Promise<MeasuredProxy | undefined> {
  const program = process.env[variable]
  if (!program) {
    console.log(`${variable} is not set: see bench/README.md`)
    return undefined
  }
  const folder = join(parent, name)
  mkdirSync(folder)
  const port = await freePort()
  const ports = { openaiWhole: port, openaiStream: await freePort() }
  const metricsPorts = { openaiWhole: await freePort(), openaiStream: await freePort() }
  const { instances, env } = prepare({ folder, port, ports, metricsPorts, upstreamPorts })
  const used = instances.length === 1 ? [port] : Object.values(ports)
  // A file, as for the router: with a pipe this process would have to read the log.
  const log = join(folder, 'stdout.log')
  const options = { stdout: openSync(log, 'a'), ...(env && { env }) }
  const model = modelFor?.('openaiWhole') ?? 'openaiWhole'
  const ready = async () =>
    (await Promise.all(used.map((each) => answers(each, model)))).every(Boolean) || undefined
  const started = startOn(proxyCpu, commandOf(program, instances), ready, options)
  const { child } = await started.catch((error: unknown) => {
    throw new Error(`${name} does not start: ${readFileSync(log, 'utf8')}`, { cause: error })
  })
  return {
    name,
    child,
    portOf: (upstream) => (instances.length > 1 && upstream === 'openaiStream' ? ports.openaiStream : port),
    ...(modelFor && { modelFor }),
    pingPath: '',
    forgetLog: () => truncateSync(log),
  }
}

/** Whether a request succeeds: some listen before they know their upstream. */
async function answers(port: number, model: string): Promise<boolean> {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'x' }] })
  try {
    const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false // no process listens yet
  }
}

/** Several instances have a parent shell, which ends them when it receives the signal. */
function commandOf(program: string, instances: PreparedGateway['instances']): string[] {
  const [first = []] = instances
  if (instances.length === 1) return [program, ...first]
  const starts = instances.map((args) => `${[program, ...args].map(quoted).join(' ')} & pids="$pids $!"`)
  return ['sh', '-c', `trap 'kill $pids; wait; exit 0' TERM\n${starts.join('\n')}\nwait`]
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
