import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { eventually } from '../eventually.ts'
import { freePort } from '../http.ts'
import { redisProgram } from './redis-server.ts'

export interface ClusterNode {
  readonly id: string
  readonly port: number
  /** A client for inspecting and disturbing it. */
  readonly redis: Redis
  /** Its process, for signals. */
  readonly process: ChildProcess
}

export interface RedisCluster {
  /** Three masters, followed by a replica of each. */
  readonly nodes: readonly ClusterNode[]
  readonly url: string
  /** The node that has the key's slot now, according to the first of these nodes that responds; by default all are asked. */
  ownerOf(key: string, asked?: readonly ClusterNode[]): Promise<ClusterNode>
  stop(): Promise<void>
}

const masters = 3
const slots = 16_384

/** Three masters with one replica each, on free ports; a replica takes over from a dead master after `nodeTimeoutMs`. */
export async function startRedisCluster(nodeTimeoutMs = 1_000): Promise<RedisCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-redis-cluster-'))
  const places = await Promise.all(
    Array.from({ length: masters * 2 }, async () => ({
      id: randomBytes(20).toString('hex'),
      port: Number(await freePort()),
      busPort: Number(await freePort()),
    })),
  )
  // Nodes that are configured with each other from the start need no CLUSTER MEET.
  const lines = (own: string): string =>
    places
      .map(({ id, port, busPort }, index) => {
        const from = Math.ceil((index * slots) / masters)
        const to = Math.ceil(((index + 1) * slots) / masters) - 1
        const isMaster = index < masters
        const flags = `${id === own ? 'myself,' : ''}${isMaster ? 'master' : 'slave'}`
        const master = isMaster ? '-' : places[index - masters]?.id
        const epoch = (isMaster ? index : index - masters) + 1
        return `${id} 127.0.0.1:${port}@${busPort} ${flags} ${master} 0 0 ${epoch} connected${isMaster ? ` ${from}-${to}` : ''}\n`
      })
      .join('')
      .concat(`vars currentEpoch ${masters} lastVoteEpoch 0\n`)
  const nodes = places.map(({ id, port, busPort }): ClusterNode => {
    const own = join(folder, `${port}`)
    mkdirSync(own)
    writeFileSync(join(own, 'nodes.conf'), lines(id))
    const options = {
      port,
      dir: own,
      bind: '127.0.0.1',
      save: '',
      'cluster-enabled': 'yes',
      'cluster-config-file': 'nodes.conf',
      'cluster-port': busPort,
      'cluster-node-timeout': nodeTimeoutMs,
      'repl-diskless-sync-delay': 0,
    }
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`])
    const child = spawn(redisProgram, args, { stdio: 'ignore' })
    const redis = new Redis(port, '127.0.0.1', {
      retryStrategy: () => 50,
      commandTimeout: 1_000,
      maxRetriesPerRequest: null,
    })
    redis.on('error', () => undefined)
    return { id, port, redis, process: child }
  })
  const stop = async (): Promise<void> => {
    for (const { redis } of nodes) redis.disconnect()
    const running = nodes.filter(({ process }) => process.exitCode === null && process.signalCode === null)
    await Promise.all(
      running.map(({ process }) => {
        const exit = once(process, 'exit')
        process.kill('SIGCONT')
        process.kill('SIGKILL')
        return exit
      }),
    )
    rmSync(folder, { recursive: true })
  }
  const cluster: RedisCluster = {
    nodes,
    url: `redis://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    async ownerOf(key, asked = nodes) {
      for (const { redis } of asked) {
        const owner = await ownerAsKnownBy(redis, key, nodes).catch(() => undefined)
        if (owner) return owner
      }
      throw new Error(`no node has the slot of ${key}`)
    },
    stop,
  }
  try {
    await untilReplicated(nodes)
  } catch (error) {
    await stop()
    throw error
  }
  return cluster
}

async function ownerAsKnownBy(
  redis: Redis,
  key: string,
  nodes: readonly ClusterNode[],
): Promise<ClusterNode | undefined> {
  if (redis.status !== 'ready') return undefined
  const slot = await redis.cluster('KEYSLOT', key)
  const range = (await redis.cluster('SLOTS')).find(([from, to]) => slot >= from && slot <= to)
  const [, , [, , owner = ''] = []] = range ?? []
  return nodes.find(({ id }) => id === owner)
}

/** All slots are served, and each replica has its master's data. */
async function untilReplicated(nodes: readonly ClusterNode[]): Promise<void> {
  for (const [index, { redis }] of nodes.entries()) {
    const isSynced = index < masters ? /connected_slaves:1/ : /master_link_status:up/
    await eventually(async () => {
      // Six servers that start at the same time may respond slowly.
      const answers = Promise.all([redis.cluster('INFO'), redis.info('replication')])
      const [info, replication] = await answers.catch(() => ['', ''] as const)
      return /cluster_state:ok/.test(info) && isSynced.test(replication)
    })
  }
}
