import type { LivePart } from '../../config/reloader.ts'
import { type FileSources, type FollowedServer, followedServers } from '../../config/servers/followed.ts'
import type { FleetSnapshot, ServerEndpoint } from '../../config/servers/published.ts'
import { type ConfigSources, configSources, type ModelsSnapshot } from '../../config/sources.ts'
import type { AllLookup } from '../../relay/upstream/checked-lookup.ts'
import { KubernetesServices } from './kubernetes/services.ts'
import type { FleetLog } from './kubernetes/slice-watch.ts'
import { ServerFollower } from './server-follower.ts'

export interface FleetOptions extends FileSources {
  log: FleetLog
  /** Resolves all addresses of a name; `dns.lookup` by default. */
  lookup?: AllLookup | undefined
}

/** Longest wait for servers that a configuration names for the first time, in milliseconds. */
const maxFirstWaitMs = 3_000
/** Changes within this time are reported together. */
const debounceMs = 50

/** The sources of the configuration, including the state of discovered servers. */
export function followedSources(options: FleetOptions): ConfigSources {
  const sources = configSources(options.config)
  return { ...sources, models: { ...sources.models, live: new Fleet(options) } }
}

/**
 * Watches the servers of models-config.json whose models or addresses are discovered. The result is part of the
 * configuration: a change is applied like a changed file. One process of the router does this for all others.
 */
class Fleet implements LivePart<ModelsSnapshot> {
  readonly #options: FleetOptions
  readonly #kubernetes: KubernetesServices
  /** Keyed by everything that a request to the server depends on. */
  readonly #followers = new Map<string, { server: FollowedServer; follower: ServerFollower }>()
  #onChange: () => void = () => undefined
  #debounce: NodeJS.Timeout | undefined

  constructor(options: FleetOptions) {
    this.#options = options
    const { env, config, log } = options
    this.#kubernetes = new KubernetesServices({ env, directory: config.kubernetesAccountDir, log })
  }

  async complete(read: ModelsSnapshot): Promise<ModelsSnapshot> {
    const servers = followedServers(read, this.#options)
    if (servers.length === 0) return read
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, maxFirstWaitMs)
    await Promise.race([Promise.all(servers.map((server) => this.#follow(server).first)), late])
    clearTimeout(timer)
    return { ...read, fleet: this.#snapshotOf(servers) }
  }

  update(inUse: ModelsSnapshot): ModelsSnapshot {
    const servers = followedServers(inUse, this.#options)
    return servers.length === 0 ? inUse : { ...inUse, fleet: this.#snapshotOf(servers) }
  }

  strip({ fleet: _fleet, ...snapshot }: ModelsSnapshot): ModelsSnapshot {
    return snapshot
  }

  settle(inUse: ModelsSnapshot): void {
    const followedKeys = new Set(followedServers(inUse, this.#options).map(keyOf))
    for (const [key, { follower }] of this.#followers) {
      if (followedKeys.has(key)) continue
      follower.stop()
      this.#followers.delete(key)
    }
  }

  listen(onChange: () => void): void {
    this.#onChange = onChange
  }

  close(): void {
    this.#onChange = () => undefined
    clearTimeout(this.#debounce)
    for (const { follower } of this.#followers.values()) follower.stop()
    this.#followers.clear()
    this.#kubernetes.close()
  }

  #snapshotOf(servers: readonly FollowedServer[]): FleetSnapshot {
    return Object.fromEntries(servers.map((server) => [server.id, this.#follow(server).endpoints]))
  }

  #follow(server: FollowedServer): ServerFollower {
    const key = keyOf(server)
    const known = this.#followers.get(key)
    if (known) return known.follower
    const { config, lookup } = this.#options
    const follower = new ServerFollower(server, this.#formerOf(server), {
      dnsIntervalMs: config.dnsIntervalMs,
      allowLinkLocal: config.allowLinkLocal,
      kubernetes: this.#kubernetes,
      lookup,
      random: Math.random,
      onChange: () => this.#changed(),
    })
    this.#followers.set(key, { server, follower })
    return follower
  }

  /** A changed key or health check does not make it another server. */
  #formerOf({ id, host, addresses, kubernetes }: FollowedServer): readonly ServerEndpoint[] {
    const same = [...this.#followers.values()].findLast(
      ({ server }) =>
        server.id === id &&
        server.host === host &&
        server.addresses === addresses &&
        JSON.stringify(server.kubernetes) === JSON.stringify(kubernetes),
    )
    return same?.follower.endpoints ?? []
  }

  #changed(): void {
    this.#debounce ??= setTimeout(() => {
      this.#debounce = undefined
      this.#onChange()
    }, debounceMs).unref()
  }
}

function keyOf({ type: _type, ...asked }: FollowedServer): string {
  return JSON.stringify(asked)
}
