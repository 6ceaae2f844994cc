import {
  type ConfigFeed,
  type ConfigSource,
  type ConfigSubscriber,
  Reloader,
  readFirst,
} from '../config/reloader.ts'
import type { Config } from '../config/settings/settings.ts'
import type { ConfigSources } from '../config/sources.ts'
import { type Channel, ChannelError, type Topic, topic } from '../lib/channel.ts'
import type { WorkerChannels } from '../lib/worker-channels.ts'

interface Commit {
  /** Whether this worker logs and counts the result on behalf of all. */
  reports: boolean
}

interface Discard extends Commit {
  errors: readonly string[]
}

/** Maximum wait of the primary for a busy or starting worker, in milliseconds. */
const prepareTimeoutMs = 10_000

/** The topics of one configuration source. */
interface ReloadTopics<Snapshot> {
  /** From a starting worker: requests the snapshot in use and subscribes to later ones. */
  join: Topic<void, Snapshot>
  /** To each worker: prepare the snapshot and reply with its errors. */
  prepare: Topic<Snapshot, readonly string[]>
  /** To each worker: `commit` if all have prepared the snapshot without errors, otherwise `discard`. */
  commit: Topic<Commit, void>
  discard: Topic<Discard, void>
  /** From a worker: reload the files immediately. */
  reload: Topic<void, void>
}

function reloadTopics<Snapshot>({ name }: ConfigSource<Snapshot>): ReloadTopics<Snapshot> {
  return {
    join: topic(`config.join ${name}`),
    prepare: topic(`config.prepare ${name}`, { timeoutMs: prepareTimeoutMs }),
    commit: topic(`config.commit ${name}`),
    discard: topic(`config.discard ${name}`),
    reload: topic(`config.reload ${name}`),
  }
}

/** The worker's side: the primary reads the files, and all workers apply the same bytes together. */
export function clusterFeed<Snapshot>(
  primary: Channel,
  source: ConfigSource<Snapshot>,
): ConfigFeed<Snapshot> {
  const { join, prepare, commit, discard, reload } = reloadTopics(source)
  const serving = Promise.withResolvers<ConfigSubscriber<Snapshot> | undefined>()
  let work: Promise<unknown> = serving.promise
  /** Runs steps in the order of their messages, after the worker has called `serve`. */
  const inOrder = <T>(
    step: (subscriber: ConfigSubscriber<Snapshot> | undefined) => T | Promise<T>,
  ): Promise<T> => {
    const result = work.then(async () => step(await serving.promise))
    work = result.catch(() => undefined)
    return result
  }
  primary.on(prepare, (snapshot) => inOrder((subscriber) => subscriber?.prepare(snapshot) ?? []))
  primary.on(commit, ({ reports }) => inOrder((subscriber) => subscriber?.commit(reports)))
  primary.on(discard, ({ errors, reports }) => inOrder((subscriber) => subscriber?.discard(errors, reports)))
  let first: Promise<Snapshot> | undefined
  return {
    first() {
      first ??= primary.request(join)
      return first
    },
    async serve(subscriber) {
      serving.resolve(subscriber)
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
 * The primary's side: reads the files of the configuration for all workers, which apply the same bytes together or not at all.
 * A worker that starts later applies the snapshot that the others use, even if the files have changed since. Returns a function
 * that reloads all files immediately.
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
  /** Workers that use the current snapshot and participate in reloads. */
  const joined = new Set<Channel>()
  const started = readFirst(source).then((first) => {
    const reloader = new Reloader(first, {
      source,
      pollMs,
      subscribers: () => subscribersOf(joined, topics, source.name),
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
    // Synchronously after `settled`, so that every later reload includes this worker, unless it has died in the meantime.
    if (worker.isOpen) {
      joined.add(worker)
      // Picks up changes from a time without workers.
      void reloader.start()
    }
    return snapshot
  })
  return reload
}

function subscribersOf<Snapshot>(
  joined: ReadonlySet<Channel>,
  { prepare, commit, discard }: ReloadTopics<Snapshot>,
  name: string,
): ConfigSubscriber<Snapshot>[] {
  let isReported = false
  // The first worker that is still alive reports the result, because any of them may have died in the meantime.
  const settle = <P extends Commit>(worker: Channel, topic: Topic<P, void>, payload: P): void => {
    if (joined.has(worker) && worker.cast(topic, payload)) isReported = true
  }
  return [...joined].map((worker) => ({
    async prepare(snapshot) {
      try {
        return await worker.request(prepare, snapshot)
      } catch (error) {
        // A worker that has exited has no errors.
        const reason = error instanceof ChannelError ? error.reason : undefined
        if (reason === 'closed') return []
        if (reason !== 'timeout') throw error
        return [`${name}: a worker has not responded for ${prepareTimeoutMs / 1000} s`]
      }
    },
    commit: () => settle(worker, commit, { reports: !isReported }),
    discard: (errors) => settle(worker, discard, { reports: !isReported, errors }),
  }))
}
