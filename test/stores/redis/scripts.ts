import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, '../../../src/stores/redis/lua')

/** The scripts that the router runs in Redis, as they arrive there. */
export const redisScripts = readdirSync(folder).map((file) => {
  const text = readFileSync(join(folder, file), 'utf8')
  const digest = createHash('sha1').update(text).digest('hex')
  return { name: file.replace('.lua', ''), digest, firstLine: text.split('\n')[0] ?? '' }
})

/** Periodic, for all requests of a process together. */
export const periodicCommands: ReadonlySet<string> = new Set([
  'acquire-leadership',
  'publish',
  'renew-leases',
  'renew-key',
])
