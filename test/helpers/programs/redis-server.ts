import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from '../http.ts'

/** Another server with the same options, such as valkey-server, can be tested instead. */
export const redisProgram = process.env.LLM_ROUTER_TEST_REDIS_SERVER ?? 'redis-server'

export interface RedisServer {
  readonly port: number
  /** A client for inspecting and disturbing it. */
  readonly redis: Redis
  /** Its process, for signals. */
  readonly process: ChildProcess
  stop(): Promise<void>
}

/** A real, empty redis-server on a free port or on the given one; `more`: additional options. */
export async function startRedis(
  at?: number,
  more: readonly string[] = [],
  triesLeft = 3,
): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-redis-'))
  const port = at ?? (await freePort())
  const child = spawn(redisProgram, [
    '--port',
    `${port}`,
    '--save',
    '',
    '--dir',
    folder,
    '--bind',
    '127.0.0.1',
    ...more,
  ])
  const exit = once(child, 'exit')
  let output = ''
  while (!output.includes('Ready to accept connections')) {
    const [chunk] = await Promise.race([once(child.stdout, 'data'), exit])
    if (child.exitCode !== null) {
      rmSync(folder, { recursive: true })
      // Another process may have taken the free port.
      const isTaken = at === undefined && output.includes('Address already in use')
      if (isTaken && triesLeft > 0) return startRedis(at, more, triesLeft - 1)
      throw new Error(`redis-server ended: ${output}`)
    }
    output += chunk
  }
  child.stdout.resume()
  const redis = new Redis(port, '127.0.0.1')
  redis.on('error', () => undefined)
  return {
    port,
    redis,
    process: child,
    async stop() {
      redis.disconnect()
      child.kill('SIGCONT')
      child.kill('SIGKILL')
      await exit
      rmSync(folder, { recursive: true })
    },
  }
}
