import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis'
import { parseRedisUrl, type RedisUrl } from '../../config/redis-url.ts'

export interface RedisAddress {
  /** See parseRedisUrl. Overrides host and port, and other members if it contains them. */
  url: string | undefined
  host: string
  port: number
  db: number
  password: string | undefined
  sentinelPassword?: string | undefined
}

export type RedisConnection = Redis | Cluster

interface ConnectionOptions {
  commandTimeoutMs?: number | undefined
  slot?: string | undefined
}

/** Without `replyMapping`: replies keep the shapes of ioredis 5, the default. */
type Options = Omit<RedisOptions, 'replyMapping'>
type NodeOptions = Omit<Exclude<ClusterOptions['redisOptions'], undefined>, 'replyMapping'>

/** Connects to a server, to the master that Sentinels name, or to a cluster. */
export function openConnection(address: RedisAddress, options: ConnectionOptions): RedisConnection {
  const { hosts, kind, tls, username, password, db, master } = urlOf(address)
  const common: Options = {
    ...optionsOf(options.commandTimeoutMs),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: {} } : {}),
  }
  switch (kind) {
    case 'server':
      return new Redis({ ...common, ...hosts[0], db: db ?? 0, retryStrategy })
    case 'sentinel':
      return new Redis({
        ...common,
        ...sentinelOptions(address, tls),
        sentinels: [...hosts],
        name: master,
        db: db ?? 0,
      })
    case 'cluster':
      return new Cluster([...hosts], clusterOptions(common, options.slot))
  }
}

function urlOf({ url, host, port, db, password }: RedisAddress): RedisUrl {
  const rest = { db, ...(password === undefined ? {} : { password }) }
  if (url === undefined) return { kind: 'server', hosts: [{ host, port }], tls: false, ...rest }
  const named = parseRedisUrl(url)
  if ('error' in named) throw new Error(`the address of Redis ${named.error}`)
  return { ...rest, ...named }
}

const connectTimeoutMs = 500

function retryStrategy(times: number): number {
  return Math.min(1000, 50 * 2 ** Math.min(times, 10)) * (0.5 + Math.random() / 2)
}

/**
 * Commands do not wait for an unavailable Redis and are not resent by the client: the caller repeats them with the same token.
 * Redis may still execute a command that timed out here.
 */
function optionsOf(commandTimeoutMs: number | undefined): Options {
  return {
    ...(commandTimeoutMs === undefined ? {} : { commandTimeout: commandTimeoutMs }),
    connectTimeout: connectTimeoutMs,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    // Client info requires permission for CLIENT SETINFO, which older servers cannot grant without CLIENT KILL.
    disableClientInfo: true,
  }
}

/** Listens for failovers, because a hung master does not close connections. */
function sentinelOptions({ sentinelPassword }: RedisAddress, tls: boolean): Options {
  return {
    retryStrategy,
    sentinelRetryStrategy: retryStrategy,
    sentinelReconnectStrategy: retryStrategy,
    sentinelCommandTimeout: connectTimeoutMs,
    failoverDetector: true,
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  }
}

/** Commands are redirected to the node that currently owns their slot, within the same timeout. */
function clusterOptions(
  { enableOfflineQueue: _queue, ...redisOptions }: Options,
  slot: string | undefined,
): Omit<ClusterOptions, 'redisOptions'> & { redisOptions: NodeOptions } {
  const retryDelayMs = 50
  return {
    redisOptions,
    ...(slot === undefined ? {} : { keyPrefix: `llm-router:{${slot}}:` }),
    enableOfflineQueue: false,
    clusterRetryStrategy: retryStrategy,
    retryDelayOnFailover: retryDelayMs,
    retryDelayOnClusterDown: retryDelayMs,
    retryDelayOnTryAgain: retryDelayMs,
    maxRedirections: 6,
    slotsRefreshTimeout: connectTimeoutMs,
    slotsRefreshInterval: 10_000,
    // Certificates are issued for names, and a name may have several addresses.
    dnsLookup: (host, callback) => callback(null, host),
  }
}
