import { type Channel, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import { type Override, type OverrideStore, Overrides } from './store.ts'

export interface LocalOverrides extends OverrideStore {
  /** Applies an override of another host. Resolves to whether it is new to this host and takes effect. */
  add(override: Override): Promise<boolean>
}

/** The overrides of one process. In a cluster, the primary forwards them to other workers and keeps them for later ones. */
export function localOverrides(primary: Channel | undefined): LocalOverrides {
  const overrides = new Overrides()
  const listeners: ((override: Override) => void)[] = []
  const applyLocally = (override: Override): boolean => {
    if (!overrides.apply(override)) return false
    for (const listener of listeners) listener(override)
    return true
  }
  primary?.on(apply, (override) => void applyLocally(override))
  return {
    async set(newOverrides) {
      const timed = overrides.withTime(newOverrides, Date.now() + Math.random())
      for (const override of timed) applyLocally(override)
      // If the primary hangs, it gets the messages later, and this process continues.
      await Promise.allSettled(timed.map((override) => primary?.request(forward, override)))
    },
    add: async (override) => {
      if (!applyLocally(override)) return false
      return (await primary?.request(learned, override).catch(() => true)) ?? true
    },
    isDown: false,
    all: () => overrides.all(),
    onChange: (listener) => {
      listeners.push(listener)
    },
    async started() {
      const overridesOfHost = (await primary?.request(read).catch(() => undefined)) ?? []
      for (const override of overridesOfHost) applyLocally(override)
    },
    close: () => undefined,
  }
}

/** From a worker: apply an override in all other workers. Acknowledged when they have applied it or timed out. */
const forward = topic<Override>('overrides.pass', { timeoutMs: 2_000 })
/** From a worker that received an override of another host; the reply is whether it is the first to report it. */
const learned = topic<Override, boolean>('overrides.learned', { timeoutMs: 1_000 })
/** To each worker: apply an override. */
const apply = topic<Override>('overrides.apply', { timeoutMs: 1_000 })
/** From a starting worker: requests all overrides. */
const read = topic<void, readonly Override[]>('overrides.read', { timeoutMs: 1_000 })

/** The primary's side. */
export function serveOverrides(workers: WorkerChannels): void {
  const overrides = new Overrides()
  const living = new Set<Channel>()
  workers.onStart((worker) => living.add(worker))
  workers.onExit((worker) => living.delete(worker))
  workers.on(read, () => overrides.all())
  workers.on(learned, (override) => overrides.apply(override))
  workers.on(forward, async (override, from) => {
    overrides.prune(Date.now())
    if (!overrides.apply(override)) return
    const others = [...living].filter((worker) => worker !== from)
    await Promise.allSettled(others.map((worker) => worker.request(apply, override)))
  })
}
