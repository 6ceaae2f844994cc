import { isObject } from '../../lib/json/read.ts'
import type { RedisAddress, RedisLink } from '../redis/client.ts'
import { redisKeys } from '../redis/keys.ts'
import { releaseStep } from './redis-scripts.ts'

/** How long late calls of a dead process are refused, in milliseconds. */
const goneMs = 60_000
const attempts = 20
const retryMs = 250

/**
 * Frees what a dead process held in Redis. Tries for some seconds where Redis does not answer; after that the leases end
 * by their own expiry. Rejects with the last error then.
 */
export async function reapLeases(link: RedisLink, worker: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await reap(link, worker)
      return
    } catch (error) {
      if (attempt === attempts) throw error
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
  }
}

/** The same; workers seldom die, and a connection for each time costs less than one that is kept alive for years. */
export async function reapOverOwnLink(address: RedisAddress, worker: string): Promise<void> {
  const { connectRedis } = await import('../redis/client.ts')
  const link = connectRedis(address)
  for (const redis of [link.commands, link.subscriber]) redis.on('error', () => undefined)
  try {
    await reapLeases(link, worker)
  } finally {
    link.close()
  }
}

async function reap(link: RedisLink, worker: string): Promise<void> {
  // First the mark, then the list: a call of the dead that is still on its way finds the one or is in the other.
  await link.commands.set(redisKeys.gone(worker), '1', 'PX', goneMs)
  const owned = await link.commands.hgetall(redisKeys.owned(worker))
  const process = { link, worker, ttlMs: goneMs }
  for (const [token, text] of Object.entries(owned)) {
    const target: unknown = JSON.parse(text)
    if (!isObject(target)) continue
    const { model, id, host } = target
    if (typeof model !== 'string' || typeof id !== 'string' || typeof host !== 'string') continue
    await releaseStep(process, { token, model, targets: [{ id, host }], abandon: true })
  }
  await link.commands.del(redisKeys.owned(worker))
}
