import { mkdirSync, openSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, listening } from '../support/child.ts'
import type { Upstream } from './cases.ts'
import { type MeasuredProxy, proxyCpu, startOn } from './stage.ts'

/** A gateway that is no package of ours; it runs where an environment variable names its program. */
export interface Gateway {
  name: string
  /** The environment variable that names the program. */
  variable: string
  /** Writes its configuration into `folder`, which is its own, and says how to start it on 127.0.0.1. */
  prepare(place: GatewayPlace): { args: readonly string[]; env?: Record<string, string> }
  /** What it calls the model of an upstream, where it does not take the upstream's own name. */
  modelFor?(upstream: Upstream): string
}

export interface GatewayPlace {
  folder: string
  port: number
  upstreamPorts: Record<Upstream, number>
}

/** Undefined where the variable is not set. Rejects with what the program wrote when it does not start. */
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
  const { args, env } = prepare({ folder, port, upstreamPorts })
  // A file, as for the router: a pipe would cost this process what it reads.
  const log = join(folder, 'stdout.log')
  const options = { stdout: openSync(log, 'a'), ...(env && { env }) }
  const started = startOn(proxyCpu, [program, ...args], () => listening(port), options)
  const { child } = await started.catch((error: unknown) => {
    throw new Error(`${name} does not start: ${readFileSync(log, 'utf8')}`, { cause: error })
  })
  return {
    name,
    child,
    portOf: () => port,
    ...(modelFor && { modelFor }),
    pingPath: '',
    forgetLog: () => truncateSync(log),
  }
}
