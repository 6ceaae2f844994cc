import type { Worker } from 'node:cluster'
import { type ConfigSource, Reloader } from '../config/reloader.ts'
import type { Config } from '../config/settings.ts'
import { configSources } from '../config/sources.ts'
// biome-ignore-start lint/style/noRestrictedImports: the primary hands its workers their configuration.
import { primaryPipe } from '../stores/link.ts'
import { ReloadDesk } from './reload.ts'

// biome-ignore-end lint/style/noRestrictedImports: only the stores.

export interface PrimaryConfigKeeper {
  workerStarted(worker: Worker): void
  /** Reads all files again at once. */
  reload(): void
}

/**
 * Reads the files of the configuration for all workers: they take the same bytes together or not at all, and one that
 * starts later takes what the others have, whatever the files say by then.
 */
export function primaryConfigKeeper(config: Config, say: (line: string) => void): PrimaryConfigKeeper {
  const { models, prompts, keys } = configSources(config)
  const keepers = [keep(models, config, say), keep(prompts, config, say)]
  if (config.authEnabled) keepers.push(keep(keys, config, say))
  return {
    workerStarted: (worker) => {
      for (const keeper of keepers) keeper.workerStarted(worker)
    },
    reload: () => {
      for (const keeper of keepers) keeper.reload()
    },
  }
}

function keep<Snapshot>(
  source: ConfigSource<Snapshot>,
  config: Config,
  say: (line: string) => void,
): PrimaryConfigKeeper {
  const desk = new ReloadDesk<Snapshot>(source.name)
  const started = source.read().then((first) => {
    const reloader = new Reloader(first, {
      source,
      pollMs: config.configPollMs,
      takers: () => desk.takers(),
      onBlind: (error) => say(`${source.name}: changes are noticed late or not at all (${String(error)})`),
    })
    void reloader.start()
    return reloader
  })
  const late = {
    settled: async () => (await started).settled(),
    start: async () => (await started).start(),
    reload: async () => (await started).reload(),
  }
  return {
    workerStarted(worker) {
      const owner = String(worker.id)
      desk.addWorker(owner, primaryPipe(worker), late)
      worker.once('exit', () => desk.removeWorker(owner))
    },
    reload: () => void late.reload(),
  }
}
