import {
  type ConfigFeed,
  type ConfigSource,
  type ConfigTaker,
  firstOf,
  Reloader,
} from '../config/reloader.ts'
import type { Config } from '../config/settings/settings.ts'
import type { ConfigSources } from '../config/sources.ts'
import { type Channel, ChannelError, type Topic, topic } from '../lib/channel.ts'
import type { WorkerChannels } from '../lib/worker-channels.ts'

interface Commit {
  /** This worker is the one to log and to count the result. */
  notice: boolean
}

interface Drop extends Commit {
  errors: readonly string[]
}

/** Longest wait of the primary for a worker that is busy or starts, in milliseconds. */
const prepareTimeoutMs = 10_000

/** The topics of one source. */
interface ReloadTopics<Snapshot> {
  /** From a worker that starts: it wants the snapshot in use, and each later one. */
  join: Topic<void, Snapshot>
  /** To each worker: it prepares the snapshot and answers with its errors. */
  prepare: Topic<Snapshot, readonly string[]>
  /** To each worker: all have prepared the snapshot without an error, or one has not. */
  commit: Topic<Commit, void>
  drop: Topic<Drop, void>
  /** From a worker: reload the files immediately. */
  reload: Topic<void, void>
}

function reloadTopics<Snapshot>({ name }: ConfigSource<Snapshot>): ReloadTopics<Snapshot> {
  return {
    join: topic(`config.join ${name}`),
    prepare: topic(`config.prepare ${name}`, { timeoutMs: prepareTimeoutMs }),
    commit: topic(`config.commit ${name}`),
    drop: topic(`config.drop ${name}`),
    reload: topic(`config.reload ${name}`),
  }
}

/** A worker's side: the primary reads the files, and all workers apply the same bytes together. */
export function clusterFeed<Snapshot>(
  primary: Channel,
  source: ConfigSource<Snapshot>,
): ConfigFeed<Snapshot> {
  const { join, prepare, commit, drop, reload } = reloadTopics(source)
  const serving = Promise.withResolvers<ConfigTaker<Snapshot> | undefined>()
  let work: Promise<unknown> = serving.promise
  /** Runs the steps in the order of their messages, and none before the worker serves. */
  const inTurn = <T>(step: (taker: ConfigTaker<Snapshot> | undefined) => T | Promise<T>): Promise<T> => {
    const result = work.then(async () => step(await serving.promise))
    work = result.catch(() => undefined)
    return result
  }
  primary.on(prepare, (snapshot) => inTurn((taker) => taker?.prepare(snapshot) ?? []))
  primary.on(commit, ({ notice }) => inTurn((taker) => taker?.commit(notice)))
  primary.on(drop, ({ errors, notice }) => inTurn((taker) => taker?.drop(errors, notice)))
  let first: Promise<Snapshot> | undefined
  return {
    first() {
      first ??= primary.request(join)
      return first
    },
    async serve(taker) {
      serving.resolve(taker)
    },
    async reload() {
      primary.cast(reload)
    },
    async close() {
      serving.resolve(undefined)
    },
  }
}

/**
 * Reads the files of the configuration for all workers. They apply the same bytes together or not at all, and a worker that
 * starts later applies what the others use, whatever the files contain by then. Returns a function that reloads all files
 * immediately.
 */
export function serveConfig(
  workers: WorkerChannels,
  config: Config,
  { models, prompts, keys }: ConfigSources,
  warn: (line: string) => void,
): () => void {
  const reloads = [serveSource(workers, models, config, warn), serveSource(workers, prompts, config, warn)]
  if (config.authEnabled) reloads.push(serveSource(workers, keys, config, warn))
  return () => {
    for (const reload of reloads) reload()
  }
}

function serveSource<Snapshot>(
  workers: WorkerChannels,
  source: ConfigSource<Snapshot>,
  { configPollMs: pollMs }: Config,
  warn: (line: string) => void,
): () => void {
  const topics = reloadTopics(source)
  /** Workers that use the current snapshot and take part in reloads. */
  const joined = new Set<Channel>()
  const started = firstOf(source).then((first) => {
    const reloader = new Reloader(first, {
      source,
      pollMs,
      takers: () => takersOf(joined, topics, source.name),
      onWatchError: (error) =>
        warn(`${source.name}: changes are noticed late or not at all (${String(error)})`),
    })
    void reloader.start()
    return reloader
  })
  const reload = (): void => void started.then((reloader) => reloader.reload())
  workers.onExit((worker) => joined.delete(worker))
  workers.on(topics.reload, reload)
  workers.on(topics.join, async (_, worker) => {
    const reloader = await started
    const snapshot = await reloader.settled()
    // In the same turn: a reload that begins later includes this worker, unless it has died meanwhile.
    if (worker.isOpen) {
      joined.add(worker)
      // For changes while no worker was running.
      void reloader.start()
    }
    return snapshot
  })
  return reload
}

function takersOf<Snapshot>(
  joined: ReadonlySet<Channel>,
  { prepare, commit, drop }: ReloadTopics<Snapshot>,
  name: string,
): ConfigTaker<Snapshot>[] {
  let isNoticed = false
  // The first one that is still there reports the result: the one that was to do so may have died meanwhile.
  const settle = <P extends Commit>(worker: Channel, topic: Topic<P, void>, payload: P): void => {
    if (joined.has(worker) && worker.cast(topic, payload)) isNoticed = true
  }
  return [...joined].map((worker) => ({
    async prepare(snapshot) {
      try {
        return await worker.request(prepare, snapshot)
      } catch (error) {
        // A worker that has ended raises no objection.
        const reason = error instanceof ChannelError ? error.reason : undefined
        if (reason === 'closed') return []
        if (reason !== 'timeout') throw error
        return [`${name}: a worker has not answered for ${prepareTimeoutMs / 1000} s`]
      }
    },
    commit: () => settle(worker, commit, { notice: !isNoticed }),
    drop: (errors) => settle(worker, drop, { notice: !isNoticed, errors }),
  }))
}
