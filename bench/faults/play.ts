import { freePort } from '../support/child.ts'
import { ask, clientOf, type Outcome } from './ask.ts'
import type { Backend } from './backend.ts'
import type { FaultCase } from './cases.ts'
import { type FaultServer, startFaultServer } from './fault-server.ts'

export type Counts = Record<Outcome, number>

/** A failure, the server that has it, and its name in the proxy's configuration. */
export interface Scene {
  fault: FaultCase
  backend: Backend
  /** Absent if no process listens. */
  server: FaultServer | undefined
}

/** A server for each failure. `name` is the prefix of the backend names; `partner` is the port of a working server. */
export async function scenesOf(
  cases: readonly FaultCase[],
  name: string,
  partner?: number,
): Promise<Scene[]> {
  const scenes: Scene[] = []
  for (const [index, fault] of cases.entries()) {
    const server = fault.act === 'refuses' ? undefined : await startFaultServer(fault.act)
    const port = server?.port ?? (await freePort())
    const ports = partner === undefined ? [port] : [port, partner]
    scenes.push({ fault, server, backend: { name: `${name}${index}`, ports } })
  }
  return scenes
}

/** Concurrent requests for one failure. */
const atOnce = 4

/** Sends `tries` requests through the proxy at `port`. Throws if none of them met the failure. */
export async function play({ fault, backend, server }: Scene, port: number, tries: number): Promise<Counts> {
  const client = clientOf(port, backend.name)
  const counts: Counts = { good: 0, error: 0, silent: 0, hang: 0 }
  const before = server?.requests
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < tries) {
      // In pairs: alternating single requests would let a round-robin proxy send all streams to the same server.
      const wantsStream = fault.asks === 'both' ? next % 4 > 1 : fault.asks === 'stream'
      next++
      counts[await ask(client, backend.name, wantsStream)]++
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  if (server && server.requests === before) throw new Error(`no request met the server that ${fault.name}`)
  return counts
}
