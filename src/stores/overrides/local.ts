import { type Channel, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import { type Override, type OverrideStore, Overrides } from './store.ts'

export interface LocalOverrides extends OverrideStore {
  /** Applies another host's override. Returns whether it is new to this host and in effect. */
  add(override: Override): Promise<boolean>
}

/** The overrides of a single process, or of one of a cluster: the primary passes them on and keeps them for later workers. */
export function localOverrides(primary: Channel | undefined): LocalOverrides {
  const overrides = new Overrides()
  const listeners: ((override: Override) => void)[] = []
  const take = (override: Override): boolean => {
    if (!overrides.take(override)) return false
    for (const listener of listeners) listener(override)
    return true
  }
  primary?.on(apply, (override) => void take(override))
  return {
    async set(given) {
      const override = overrides.dated(given, Date.now())
      take(override)
      // If the primary hangs, the message stays in its pipe, and this process continues.
      await primary?.request(pass, override).catch(() => undefined)
    },
    add: async (override) => {
      if (!take(override)) return false
      return (await primary?.request(learned, override).catch(() => true)) ?? true
    },
    isAway: false,
    all: () => overrides.all(),
    onChange: (listener) => {
      listeners.push(listener)
    },
    async started() {
      const known = (await primary?.request(read).catch(() => undefined)) ?? []
      for (const override of known) take(override)
    },
    close: () => undefined,
  }
}

/** From a worker: applies an override in all others; acknowledged when they have applied it or timed out. */
const pass = topic<Override>('overrides.pass', { timeoutMs: 2_000 })
/** From a worker that received another host's override; the response says whether it is the first to report it. */
const learned = topic<Override, boolean>('overrides.learned', { timeoutMs: 1_000 })
/** To each worker. */
const apply = topic<Override>('overrides.apply', { timeoutMs: 1_000 })
/** From a starting worker. */
const read = topic<void, readonly Override[]>('overrides.read', { timeoutMs: 1_000 })

/** The primary's side. */
export function serveOverrides(workers: WorkerChannels): void {
  const overrides = new Overrides()
  const living = new Set<Channel>()
  workers.onStart((worker) => living.add(worker))
  workers.onExit((worker) => living.delete(worker))
  workers.on(read, () => overrides.all())
  workers.on(learned, (override) => overrides.take(override))
  workers.on(pass, async (override, from) => {
    overrides.prune(Date.now())
    if (!overrides.take(override)) return
    const others = [...living].filter((worker) => worker !== from)
    await Promise.allSettled(others.map((worker) => worker.request(apply, override)))
  })
}
