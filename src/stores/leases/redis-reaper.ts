import { topic } from '../../lib/channel.ts'
import { isObject } from '../../lib/json/read.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import type { RedisLink } from '../redis/client.ts'
import type { RedisAddress } from '../redis/connection.ts'
import { redisKeys } from '../redis/keys.ts'
import { releaseLeases } from './redis-scripts.ts'

/** From a worker: the name under which it holds leases in Redis. */
export const leaseHolder = topic<string>('lease.holder')

/** Time for which delayed calls of a dead process are rejected, in milliseconds. */
const goneMs = 60_000
const maxAttempts = 20
const retryMs = 250

/**
 * Releases the leases of a dead process in Redis. Retries for a few seconds if Redis does not respond, then rejects with the
 * last error; the leases then end when they expire.
 */
export async function reapLeases(link: RedisLink, worker: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await reap(link, worker)
      return
    } catch (error) {
      if (attempt === maxAttempts) throw error
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
  }
}

/**
 * The primary's side: releases the leases of dead workers in Redis. Only workers with leases register, so a router without
 * exclusive strategies opens no connection.
 */
export function reapDeadWorkers(
  workers: WorkerChannels,
  address: RedisAddress,
  warn: (line: string) => void,
): void {
  const names = new Map<string, string>()
  workers.on(leaseHolder, (name, { id }) => void names.set(id, name))
  workers.onExit(({ id }) => {
    const name = names.get(id)
    names.delete(id)
    if (name === undefined) return
    reapOverNewConnection(address, name).catch((error: unknown) =>
      warn(`leases of a dead worker end when they expire (${String(error)})`),
    )
  })
}

/** Opens a connection per dead worker, which costs less than a permanent one, because workers rarely die. */
async function reapOverNewConnection(address: RedisAddress, worker: string): Promise<void> {
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
  // Set the mark before reading the list: a delayed call of the dead process either finds the mark or is in the list.
  await link.commands.set(redisKeys.gone(worker), '1', 'PX', goneMs)
  const owned = await link.commands.hgetall(redisKeys.owned(worker))
  const process = { link, worker, host: worker, ttlMs: goneMs }
  for (const [token, text] of Object.entries(owned)) {
    const target: unknown = JSON.parse(text)
    if (!isObject(target)) continue
    const { model, id, host } = target
    if (typeof model !== 'string' || typeof id !== 'string' || typeof host !== 'string') continue
    await releaseLeases(process, { token, model, targets: [{ id, host }], abandon: true })
  }
  await link.commands.del(redisKeys.owned(worker))
}
