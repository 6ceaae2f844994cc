import type { Status } from '../../src/sdk/console/status.ts'
import { eventually } from '../helpers/eventually.ts'
import { bearer } from '../helpers/keys-file.ts'
import type { RouterProcess } from '../helpers/router-process.ts'
import { connectTo, type Send } from './conversation.ts'

export const workersCount = 2

/** A part of the tests that share a cluster, with its own models and clients. */
export interface Topic {
  /** Starts its model servers; returns its models, as in models-config.json. */
  models(): Promise<Record<string, object>>
  /** Registers its tests; they leave as many workers as there were. */
  tests(cluster: { readonly router: RouterProcess; readonly config: () => Config }): void
  close(): Promise<void>
}

/** The whole models-config.json. */
export interface Config {
  test_models: Record<string, object>
  active_models: { test_models: string[] }
}

export const keyOf = (id: string): string => `sk-llm-router-${id}-0123456789`

/** The headers of a client that may do everything. */
export const everything = { 'content-type': 'application/json', ...bearer(keyOf('everything')) }

export function isEnd({ msg }: Record<string, unknown>): boolean {
  return String(msg).startsWith('worker exited')
}

/** The log line about the end of a process, once it is written. */
export async function endOf(router: RouterProcess, pid: number): Promise<Record<string, unknown>> {
  return await router.logged((line) => line.worker_pid === pid && isEnd(line))
}

/** The ids of the workers, once all those whose end has been logged are replaced. */
export async function runningWorkers(router: RouterProcess): Promise<number[]> {
  for (;;) {
    const ended = new Set(router.logs.filter(isEnd).map(({ worker_pid: pid }) => pid))
    const listening = router.logs.filter(({ msg }) => msg === 'listening').map(({ pid }) => Number(pid))
    const running = [...new Set(listening)].filter((pid) => !ended.has(pid))
    if (running.length === workersCount) return running
    await router.next((line) => line.msg === 'listening' || isEnd(line))
  }
}

/** Connections to different workers, by process id. */
export async function connections(router: RouterProcess): Promise<Map<number, Send>> {
  const found = new Map<number, Send>()
  const signal = AbortSignal.timeout(20_000)
  while (found.size < workersCount) {
    signal.throwIfAborted()
    // Together: the system may give one connection after the other to the same worker, as long as it is idle.
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const send = connectTo(router, everything)
        const status = await statusBy(send)
        const pid = status?.workers.find(({ worker }) => worker === status.worker)?.pid
        if (pid !== undefined && !found.has(pid)) found.set(pid, send)
      }),
    )
  }
  return found
}

/** Undefined if a worker that has just ended had accepted the connection. */
async function statusBy(send: Send): Promise<Status | undefined> {
  const sent = await send('GET', '/api/status').catch(() => undefined)
  return sent && JSON.parse(sent.text)
}

/** The status once it lists all processes, and no others. */
export async function statusOfAll(send: Send): Promise<Status> {
  return await eventually(async () => {
    const status = await statusBy(send)
    return status?.workers.length === workersCount && status
  })
}
