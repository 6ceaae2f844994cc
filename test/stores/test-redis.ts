import { openConnection, type RedisAddress } from '../../src/stores/redis/connection.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'

/** A Redis in which the tests may write and delete anything. */
export interface TestRedis {
  readonly address: RedisAddress
  flush(): Promise<void>
  stop(): Promise<void>
}

/**
 * Whatever is at `LLM_ROUTER_TEST_REDIS_URL`: a server, a cluster or Sentinels, of Redis or Valkey; all of its
 * data is deleted. If unset, a server that is started.
 */
export async function openTestRedis(): Promise<TestRedis> {
  const url = process.env.LLM_ROUTER_TEST_REDIS_URL
  if (url === undefined || url === '') {
    const server = await startRedis()
    return {
      address: { url: undefined, host: '127.0.0.1', port: server.port, db: 0, password: undefined },
      flush: async () => void (await server.redis.flushall()),
      stop: () => server.stop(),
    }
  }
  const address = { url, host: '', port: 0, db: 0, password: undefined }
  const connection = openConnection(address, { commandTimeoutMs: 5_000 })
  connection.on('error', () => undefined)
  await eventually(() => connection.status === 'ready')
  return {
    address,
    async flush() {
      const masters = 'nodes' in connection ? connection.nodes('master') : [connection]
      for (const master of masters) await master.flushall()
    },
    stop: async () => connection.disconnect(),
  }
}
