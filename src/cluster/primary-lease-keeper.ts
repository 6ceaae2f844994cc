import type { Worker } from 'node:cluster'
import type { Config } from '../config/settings.ts'
import { LeaseDesk } from '../stores/leases/cluster.ts'
// biome-ignore-start lint/style/noRestrictedImports: the primary keeps its workers' leases, so it knows the stores.
import { reapOverOwnLink } from '../stores/leases/redis-reaper.ts'
import { introducedName, primaryPipe } from '../stores/link.ts'
import { redisAddress } from '../stores/redis/redis-address.ts'

// biome-ignore-end lint/style/noRestrictedImports: only the stores.

export interface PrimaryLeaseKeeper {
  workerStarted(worker: Worker): void
  /** Frees what the worker held. */
  workerEnded(worker: Worker): void
}

/** What the primary does for the leases of its workers: it holds them itself, or frees in Redis what the dead held. */
export function primaryLeaseKeeper(config: Config, say: (line: string) => void): PrimaryLeaseKeeper {
  return redisAddress(config) ? reaping(config, say) : holding()
}

function holding(): PrimaryLeaseKeeper {
  const desk = new LeaseDesk(() => performance.now())
  return {
    workerStarted: (worker) => desk.addWorker(String(worker.id), primaryPipe(worker)),
    workerEnded: (worker) => desk.removeWorker(String(worker.id)),
  }
}

/** Only workers with leases introduce themselves, so a router without exclusive strategies opens no connection here. */
function reaping(config: Config, say: (line: string) => void): PrimaryLeaseKeeper {
  const names = new Map<Worker, string>()
  return {
    workerStarted: (worker) => {
      worker.on('message', (message: unknown) => {
        const name = introducedName(message)
        if (name !== undefined) names.set(worker, name)
      })
    },
    workerEnded: (worker) => {
      const name = names.get(worker)
      const address = redisAddress(config)
      names.delete(worker)
      if (name === undefined || !address) return
      reapOverOwnLink(address, name).catch((error: unknown) =>
        say(`leases of a dead worker end by themselves (${String(error)})`),
      )
    },
  }
}
