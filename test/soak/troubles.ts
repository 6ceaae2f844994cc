import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { RouterProcess } from '../helpers/router-process.ts'
import { fleetConfig, type SoakModel } from './fleet.ts'
import type { Ledger } from './ledger.ts'
import { ailments } from './sick-server.ts'

export interface TroubleOptions {
  untilMs: number
  random: () => number
}

/** The sick servers of a model fall ill of one thing after the other, and are healthy in between. */
export async function sicken(
  { servers, sick }: SoakModel,
  { untilMs, random }: TroubleOptions,
): Promise<void> {
  await Promise.all(
    servers.slice(0, sick).map(async (server) => {
      while (performance.now() < untilMs) {
        const ailment = ailments[Math.floor(random() * ailments.length)] ?? 'dead'
        await server.suffer(random() < 0.3 ? 'well' : ailment)
        await pause(2_000 + random() * 6_000)
      }
      await server.suffer('well')
    }),
  )
}

/** Kills one worker at a time, once all of them are running again. */
export async function killWorkers(
  router: RouterProcess,
  ledger: Ledger,
  { workers, untilMs, random }: TroubleOptions & { workers: number },
): Promise<void> {
  while (performance.now() < untilMs) {
    await pause(4_000 + random() * 6_000)
    const pids = childrenOf(router.child.pid ?? 0)
    const pid = pids[Math.floor(random() * pids.length)]
    if (pids.length < workers || pid === undefined || performance.now() >= untilMs) continue
    ledger.workerKilled()
    process.kill(pid, 'SIGKILL')
  }
}

/** Bursts of changed, broken and restored files, each with a SIGHUP. */
export async function stormReloads(
  router: RouterProcess,
  models: readonly SoakModel[],
  { untilMs, random }: TroubleOptions,
): Promise<number> {
  let reloads = 0
  const write = (text: string): void => {
    writeFileSync(`${router.file}.new`, text)
    renameSync(`${router.file}.new`, router.file)
    router.child.kill('SIGHUP')
    reloads++
  }
  while (performance.now() < untilMs) {
    await pause(3_000 + random() * 5_000)
    for (let burst = 3 + Math.floor(random() * 15); burst > 0; burst--) {
      const config = fleetConfig(models, { without: random() < 0.3, weight: 0.2 + random() * 0.8 })
      write(random() < 0.2 ? '{"broken":' : JSON.stringify(config))
      await pause(random() * 60)
    }
    write(JSON.stringify(fleetConfig(models, { without: false, weight: 0.5 })))
  }
  return reloads
}

/** The router starts workers and nothing else. Source: proc_pid_stat(5), whose fourth field is the parent. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === parent)
    .map(Number)
}

function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined // it has exited in the meantime
  }
}
