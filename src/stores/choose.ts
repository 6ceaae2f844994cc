import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isGeneratedSecret } from '../config/secrets.ts'
import type { Config } from '../config/settings/settings.ts'
import { type Channel, topic } from '../lib/channel.ts'
import { type DatabaseAddress, databaseAddress } from '../lib/database-address.ts'
import type { WorkerChannels } from '../lib/worker-channels.ts'
import { memoryActivity } from './activity/activity.ts'
import { clusterActivity, serveActivity } from './activity/cluster.ts'
import type { ActivityReport, ActivityStore } from './activity/store.ts'
import { clusterAnswers, serveAnswers } from './answer-cache/cluster.ts'
import { memoryAnswers } from './answer-cache/memory.ts'
import { RedisAnswers } from './answer-cache/redis.ts'
import { type AnswerCache, answerClock } from './answer-cache/store.ts'
import type { Directory } from './directory/directory.ts'
import type { DirectoryHost } from './directory/host.ts'
import { RedisFleetBus } from './fleet/redis.ts'
import type { FleetBus } from './fleet/store.ts'
import { clusterLeases, serveLeases } from './leases/cluster.ts'
import { LazyLeases } from './leases/lazy.ts'
import { memoryLeases } from './leases/memory.ts'
import { leaseHolder, reapDeadWorkers } from './leases/redis-reaper.ts'
import type { LeaseStore } from './leases/store.ts'
import { clusterLimits, serveLimits } from './limits/cluster.ts'
import { memoryLimits } from './limits/memory.ts'
import { RedisLimits } from './limits/redis.ts'
import { type LimitStore, limitsWithFallback, scopedLimits } from './limits/store.ts'
import { localOverrides, serveOverrides } from './overrides/local.ts'
import type { Override, OverrideStore } from './overrides/store.ts'
import { clusterQueue, serveQueue } from './queue/cluster.ts'
import type { FairQueueOptions } from './queue/fair-queue.ts'
import { LocalQueue, type RequestQueue } from './queue/local.ts'
import type { RedisAddress } from './redis/connection.ts'
import { clusterResponses, serveResponses } from './responses/cluster.ts'
import { memoryResponses, type ResponseBounds } from './responses/memory.ts'
import { RedisResponses } from './responses/redis.ts'
import { type ResponseStore, responsesWithFallback } from './responses/store.ts'
import { EndedSessions, serveEndedSessions } from './sessions/ended.ts'
import type { StoreLog } from './store.ts'

/** Determines where a process keeps its leases, limits and responses. */
export interface StoreContext {
  config: Config
  /** Undefined without a cluster. */
  primary: Channel | undefined
  log: StoreLog
}

type Backend =
  | { kind: 'memory' }
  | { kind: 'primary'; primary: Channel }
  | { kind: 'redis'; address: RedisAddress }

/** Redis if configured; otherwise the primary of a cluster, or the process itself. */
function backendOf({ config, primary }: Pick<StoreContext, 'config' | 'primary'>): Backend {
  const address = redisAddress(config)
  if (address) return { kind: 'redis', address }
  return primary ? { kind: 'primary', primary } : { kind: 'memory' }
}

/** The primary's side: keeps state for its workers, or releases it in Redis when a worker dies. */
export function serveStores(workers: WorkerChannels, config: Config, warn: (line: string) => void): void {
  serveEndedSessions(workers)
  serveActivity(workers, Date.now)
  if (!cachesAnswersInRedis(config)) serveAnswers(workers, config.cacheMaxBytes)
  const backend = backendOf({ config, primary: undefined })
  serveQueue(workers, queueOptions(backend))
  serveOverrides(workers)
  if (backend.kind === 'redis') {
    const host = processName()
    workers.on(hostName, () => host)
    reapDeadWorkers(workers, backend.address, warn)
    return
  }
  serveLeases(workers)
  serveResponses(workers, responseBounds(config), now)
  if (config.authEnabled) serveLimits(workers, now)
}

/** Interval of polling for released slots: other processes publish releases, but messages may be dropped. */
const pollMs = { redis: { min: 50, max: 250 }, local: { min: 500, max: 500 } }

function queueOptions(backend: Backend): FairQueueOptions {
  return { pollMs: backend.kind === 'redis' ? pollMs.redis : pollMs.local, random: Math.random }
}

/** Opens the queue of waiting requests; in a cluster, the primary orders those of all workers. */
export function openQueue(context: Pick<StoreContext, 'config' | 'primary'>): RequestQueue {
  return context.primary ? clusterQueue(context.primary) : new LocalQueue(queueOptions(backendOf(context)))
}

/** Requests the name under which all processes of a host wait for slots in Redis. */
const hostName = topic<void, string>('lease.host', { timeoutMs: 10_000 })

function processName(): string {
  return randomBytes(6).toString('hex')
}

/** Opens the store of leases. Resolves when it is connected, or after a timeout. */
export async function openLeases(context: StoreContext): Promise<LeaseStore> {
  const backend = backendOf(context)
  switch (backend.kind) {
    case 'memory':
      return memoryLeases()
    case 'primary':
      return clusterLeases(backend.primary)
    case 'redis':
      return openRedisLeases(backend.address, context)
  }
}

/** A store of leases that connects only after `open`, because most routers have no models that need leases. */
export function lazyLeases(context: StoreContext): LeaseStore & { open(): void } {
  if (backendOf(context).kind === 'memory') return { ...memoryLeases(), open: () => undefined }
  return new LazyLeases(() => openLeases(context))
}

async function openRedisLeases(
  address: RedisAddress,
  { config, primary, log }: StoreContext,
): Promise<LeaseStore> {
  // Loaded on demand: most routers do not use Redis.
  const { connectRedis } = await import('./redis/client.ts')
  const { RedisLeases } = await import('./leases/redis.ts')
  const worker = processName()
  // Before the first lease: the primary must know what to release when this process dies.
  primary?.cast(leaseHolder, worker)
  const host = (await primary?.request(hostName).catch(() => undefined)) ?? worker
  const link = connectRedis(address)
  const store = new RedisLeases({ link, worker, host, whenDown: config.redisDown, now, log })
  await store.started()
  return store
}

/** Connects this router to the others on the same Redis; undefined without Redis. */
export async function openFleetBus(context: StoreContext): Promise<FleetBus | undefined> {
  const address = redisAddress(context.config)
  if (!address) return undefined
  const { connectListening } = await import('./redis/client.ts')
  const link = connectListening(address, ['acquire-leadership', 'release-leadership'] as const)
  return new RedisFleetBus({ link, router: randomBytes(8).toString('hex'), now, log: context.log })
}

/** Opens operator overrides of targets, shared by all processes of a router, and with Redis by all routers. */
export async function openOverrides(
  context: StoreContext,
  onLearned: (override: Override) => void,
): Promise<OverrideStore> {
  const local = localOverrides(context.primary)
  const address = redisAddress(context.config)
  if (!address) return local
  const { connectListening } = await import('./redis/client.ts')
  const { RedisOverrides } = await import('./overrides/redis.ts')
  const link = connectListening(address, ['override'] as const)
  return new RedisOverrides({ link, local, log: context.log, onLearned })
}

export function openLimits(context: StoreContext): LimitStore {
  const backend = backendOf(context)
  const local = scopedLimits(memoryLimits(now))
  switch (backend.kind) {
    case 'memory':
      return local
    case 'primary':
      return limitsWithFallback(scopedLimits(clusterLimits(backend.primary)), local)
    case 'redis': {
      const shared = new RedisLimits({ address: backend.address, now, log: context.log })
      return limitsWithFallback(scopedLimits(shared, { now }), local)
    }
  }
}

export function openResponses(context: StoreContext): ResponseStore {
  const backend = backendOf(context)
  const bounds = responseBounds(context.config)
  const local = memoryResponses(bounds, now)
  switch (backend.kind) {
    case 'memory':
      return local
    case 'primary':
      return responsesWithFallback(clusterResponses(backend.primary), local)
    case 'redis': {
      const { address } = backend
      return responsesWithFallback(new RedisResponses({ ...bounds, address, now, log: context.log }), local)
    }
  }
}

/**
 * Opens the store of cached responses: in Redis, if it is configured and there is a secret to encrypt them, otherwise shared by
 * all processes of this host.
 */
export function openAnswers({ config, primary, log }: StoreContext): AnswerCache {
  const address = redisAddress(config)
  if (address && cachesAnswersInRedis(config))
    return new RedisAnswers({ address, secret: config.cacheSecret, now, log })
  return primary ? clusterAnswers(primary) : memoryAnswers(config.cacheMaxBytes, answerClock)
}

function cachesAnswersInRedis(config: Config): boolean {
  const { cacheSecret } = config
  return cacheSecret !== '' && !isGeneratedSecret(cacheSecret) && redisAddress(config) !== undefined
}

/** Opens recent activity of the processes of this host. `report`: activity of this process. */
export function openActivity(
  { primary }: Pick<StoreContext, 'primary'>,
  report: ActivityReport,
  intervalMs: number,
): ActivityStore {
  return primary ? clusterActivity(primary, report, intervalMs) : memoryActivity(report, intervalMs, Date.now)
}

/** Opens the list of sessions that were ended on this host. */
export function openEndedSessions({ primary }: Pick<StoreContext, 'primary'>): Promise<EndedSessions> {
  return EndedSessions.open(primary)
}

/** Opens the database; undefined if none is configured. Throws ConfigError if it cannot be opened. */
export async function openDirectory({ config, primary, log }: StoreContext): Promise<Directory | undefined> {
  const address = databaseAddress(config.databaseUrl)
  if (!address) return undefined
  // Loaded on demand: most routers do not use a database.
  const { clusterDirectory, localDirectory } = await import('./directory/directory.ts')
  if (primary) return clusterDirectory(primary)
  return localDirectory(await openHost(address, config, log))
}

/** The primary's side of the database; undefined if none is configured. Rejects with ConfigError if it cannot be opened. */
export async function serveDatabase(
  workers: WorkerChannels,
  config: Config,
  log: StoreLog,
): Promise<DirectoryHost | undefined> {
  const address = databaseAddress(config.databaseUrl)
  if (!address) return undefined
  const { serveDirectory } = await import('./directory/directory.ts')
  const opened = openHost(address, config, log)
  serveDirectory(workers, opened)
  return opened
}

async function openHost(address: DatabaseAddress, config: Config, log: StoreLog): Promise<DirectoryHost> {
  const { openDatabase } = await import('./database/open.ts')
  const { DirectoryHost } = await import('./directory/host.ts')
  const { UsageSpool } = await import('./usage/spool.ts')
  const database = await openDatabase(address, ({ message }) =>
    log.warn({ error: message }, 'database connection lost'),
  )
  const { timeZone, usageQuarterDays: quarterDays, usageDays: days } = config
  const spool = new UsageSpool(spoolFolder(config, address), config.databaseUrl)
  const { webhookTo } = await import('./budgets/webhook.ts')
  const { budgetWebhookUrl: url, budgetWebhookSecret: secret } = config
  const webhook = url === '' ? undefined : webhookTo(url, secret)
  const options = { log, spool, webhook, retention: { timeZone, quarterDays, days } }
  const redis = redisAddress(config)
  const { noHints, redisHints } = await import('./directory/hints.ts')
  if (!redis) return DirectoryHost.start(database, { ...options, hints: noHints })
  const { connectListening } = await import('./redis/client.ts')
  return DirectoryHost.start(database, { ...options, hints: redisHints(connectListening(redis, [])) })
}

function spoolFolder({ usageSpool }: Config, address: DatabaseAddress): string {
  if (usageSpool !== '') return usageSpool
  return address.kind === 'sqlite' ? `${address.path}-usage` : join(tmpdir(), 'llm-router-usage')
}

/** Maximum size of stored responses, enough for a few hundred long conversations. */
const maxResponsesBytes = 64 * 1024 * 1024

function responseBounds({ responsesTtlMs, responsesMax }: Config): ResponseBounds {
  return { ttlMs: responsesTtlMs, maxCount: responsesMax, maxBytes: maxResponsesBytes }
}

function redisAddress(config: Config): RedisAddress | undefined {
  const { redisUrl, redisHost, redisPort, redisDb, redisPassword, redisSentinelPassword } = config
  if (redisUrl === '' && redisHost === '') return undefined
  return {
    url: redisUrl === '' ? undefined : redisUrl,
    host: redisHost,
    port: redisPort,
    db: redisDb,
    password: redisPassword === '' ? undefined : redisPassword,
    sentinelPassword: redisSentinelPassword === '' ? undefined : redisSentinelPassword,
  }
}

function now(): number {
  return performance.now()
}
