import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { eventually } from '../eventually.ts'
import { freePort } from '../http.ts'
import { redisProgram } from './redis-server.ts'

export interface SentinelNode {
  readonly port: number
  readonly redis: Redis
  /** Its process, for signals. */
  readonly process: ChildProcess
}

export interface RedisSentinels {
  readonly url: string
  /** The node that the Sentinels report as the master now. */
  master(): Promise<SentinelNode>
  stop(): Promise<void>
}

export const sentinelPassword = 'hunter2'
const sentinels = 3

/** A master, a replica, and three Sentinels that replace a master that has not responded for `downAfterMs`. */
export async function startRedisSentinels(downAfterMs = 1_000): Promise<RedisSentinels> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-redis-sentinel-'))
  const started: SentinelNode[] = []
  const start = async (lines: readonly string[], args: readonly string[] = []): Promise<SentinelNode> => {
    const port = await freePort()
    const file = join(folder, `${port}.conf`)
    writeFileSync(file, [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, ...lines, ''].join('\n'))
    const child = spawn(redisProgram, [file, ...args], { stdio: 'ignore' })
    const redis = new Redis(port, '127.0.0.1', {
      ...(args.length > 0 ? { password: sentinelPassword } : {}),
      retryStrategy: () => 50,
      commandTimeout: 1_000,
      maxRetriesPerRequest: null,
    })
    redis.on('error', () => undefined)
    const node = { port, redis, process: child }
    started.push(node)
    await eventually(async () => redis.status === 'ready')
    return node
  }
  const stop = async (): Promise<void> => {
    for (const { redis } of started) redis.disconnect()
    await Promise.all(started.map(({ process }) => end(process)))
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const data = ['save ""', 'repl-diskless-sync-delay 0', 'replica-announce-ip 127.0.0.1']
    const master = await start(data)
    const replica = await start([...data, `replicaof 127.0.0.1 ${master.port}`])
    const watched = [
      `sentinel monitor mymaster 127.0.0.1 ${master.port} 2`,
      `sentinel down-after-milliseconds mymaster ${downAfterMs}`,
      'sentinel failover-timeout mymaster 5000',
      `requirepass ${sentinelPassword}`,
      `sentinel sentinel-pass ${sentinelPassword}`,
    ]
    const watchers: SentinelNode[] = []
    for (let index = 0; index < sentinels; index++) watchers.push(await start(watched, ['--sentinel']))
    await eventually(async () => /master_link_status:up/.test(await infoOf(replica, 'replication')))
    for (const watcher of watchers)
      await eventually(async () => /slaves=1,sentinels=3/.test(await infoOf(watcher, 'sentinel')))
    return {
      url: `redis+sentinel://${watchers.map(({ port }) => `127.0.0.1:${port}`).join(',')}/mymaster`,
      async master() {
        const port = await Promise.any(
          watchers.map(async ({ redis }) => {
            const address = await redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster')
            return Number(Array.isArray(address) ? address[1] : 0)
          }),
        )
        return [master, replica].find((node) => node.port === port) ?? master
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Nodes that start at the same time may respond slowly. */
async function infoOf({ redis }: SentinelNode, section: string): Promise<string> {
  return await redis.info(section).catch(() => '')
}

async function end(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return
  const exit = once(process, 'exit')
  process.kill('SIGCONT')
  process.kill('SIGKILL')
  await exit
}
