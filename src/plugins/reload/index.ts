import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { clusterFeed } from '../../cluster/config-reload.ts'
import {
  type ConfigFeed,
  type ConfigSource,
  type ConfigSubscriber,
  localFeed,
} from '../../config/reloader.ts'
import type { ConfigSources } from '../../config/sources.ts'
import { type FleetOptions, followedSources } from '../../fleet/servers/fleet.ts'

export interface ReloadFailure {
  at: Date
  errors: readonly string[]
}

/** A change of a file named by a setting, for the audit log. */
export interface ConfigChange {
  setting: string
  before: object
  after: object
}

export interface Reload {
  readonly sources: ConfigSources
  /**
   * Current content of a source, then every later one once the app is ready. Call while the app is being built. In a
   * cluster, all processes apply the same content of a source in `sources` together; each process follows any other
   * source by itself.
   */
  feed<Snapshot>(source: ConfigSource<Snapshot>): {
    first(): Promise<Snapshot>
    serve(subscriber: ConfigSubscriber<Snapshot>): void
  }
  /** Reloads all sources immediately. */
  now(): Promise<void>
  /** Calls back when changed files have been applied, in one process of a cluster. */
  onChange(listener: (change: ConfigChange) => void): void
  /** By source name: the rejected reload, until a later one succeeds. */
  failures(): ReadonlyMap<string, ReloadFailure>
}

declare module 'fastify' {
  interface FastifyInstance {
    reload: Reload
  }
}

export interface ReloadOptions {
  /** For discovered servers. */
  env: Readonly<Record<string, string | undefined>>
  lookup?: FleetOptions['lookup']
}

/** A longer line would be torn apart by those of other processes, and `llm-router check` reports all errors. */
export const maxLoggedErrors = 100

/** Live reload of the configuration files, and of the state of the servers in them. */
export default fp(
  (app, { env, lookup }: ReloadOptions, done) => {
    const { config, providers, log } = app
    const sources = followedSources({ config, env, providers, log, lookup })
    const feeds: Pick<ConfigFeed<unknown>, 'reload' | 'close'>[] = []
    const failures = new Map<string, ReloadFailure>()
    const listeners: ((change: ConfigChange) => void)[] = []
    const notify = (change: ConfigChange): void => {
      for (const listener of listeners) listener(change)
    }
    app.decorate('reload', {
      sources,
      feed<Snapshot>(source: ConfigSource<Snapshot>) {
        const isShared = Object.values(sources).some(({ name }) => name === source.name)
        const feed = feedOf(app, source, isShared)
        feeds.push(feed)
        return {
          first: () => feed.first(),
          // Not earlier: if a later plugin fails at the start, nothing runs the close hooks, and file watchers would
          // stay open.
          serve: (subscriber: ConfigSubscriber<Snapshot>) =>
            void app.addHook('onReady', () =>
              feed.serve(recordingOutcome(subscriber, source.name, { failures, notify: notify })),
            ),
        }
      },
      async now() {
        await Promise.all(feeds.map((feed) => feed.reload()))
      },
      onChange: (listener) => void listeners.push(listener),
      failures: () => failures,
    })
    app.addHook('onClose', async () => {
      await Promise.all(feeds.map((feed) => feed.close()))
    })
    done()
  },
  { name: 'reload', dependencies: ['config', 'registries'] },
)

function feedOf<Snapshot>(
  { config: { configPollMs: pollMs }, primary, log }: FastifyInstance,
  source: ConfigSource<Snapshot>,
  isShared: boolean,
): ConfigFeed<Snapshot> {
  if (primary && isShared) return clusterFeed(primary, source)
  return localFeed({
    source,
    pollMs,
    onWatchError: (error) => log.warn({ err: error }, `${source.name}: ${watchFailureText(pollMs)}`),
  })
}

/** Consequence of a failed file watch. */
function watchFailureText(pollMs: number): string {
  if (pollMs === 0) return 'changes are not detected; send SIGHUP to reload'
  return `changes are detected late, within ${pollMs / 1000} s`
}

function recordingOutcome<Snapshot>(
  subscriber: ConfigSubscriber<Snapshot>,
  name: string,
  { failures, notify }: { failures: Map<string, ReloadFailure>; notify(change: ConfigChange): void },
): ConfigSubscriber<Snapshot> {
  return {
    prepare: (snapshot) => subscriber.prepare(snapshot),
    commit(notice) {
      failures.delete(name)
      const before = subscriber.describe?.()
      subscriber.commit(notice)
      const after = subscriber.describe?.()
      if (notice && before && after && JSON.stringify(before) !== JSON.stringify(after))
        notify({ setting: name, before, after })
    },
    discard(errors, notice) {
      failures.set(name, { at: new Date(), errors })
      subscriber.discard(errors, notice)
    },
  }
}
