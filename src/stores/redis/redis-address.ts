import type { Config } from '../../config/settings.ts'
import type { RedisAddress } from './client.ts'

/** Where the configuration says that Redis is; undefined when it names none. */
export function redisAddress(config: Config): RedisAddress | undefined {
  const { redisUrl, redisHost, redisPort, redisDb, redisPassword } = config
  if (redisUrl === '' && redisHost === '') return undefined
  return {
    url: redisUrl === '' ? undefined : redisUrl,
    host: redisHost,
    port: redisPort,
    db: redisDb,
    password: redisPassword === '' ? undefined : redisPassword,
  }
}
