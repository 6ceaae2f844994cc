import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { type KeyLookup, KeyRing, type RingEntry } from '../../config/client-keys/key-ring.ts'
import { loadClientKeys } from '../../config/client-keys/load.ts'
import type { FileContent } from '../../config/sources.ts'
import { readProblem } from '../../lib/read-problem.ts'
import type { ClientKey } from '../../sdk/client-key.ts'
import { ConfigError } from '../../sdk/errors.ts'
import { maxLoggedErrors } from '../reload/index.ts'

export interface Keys {
  /** See {@link KeyRing.find}. */
  find(key: string): KeyLookup
  /** Finds a key by its SHA-256. */
  findDigest(sha256: Buffer): KeyLookup
  clients(): readonly ClientKey[]
}

interface Loaded {
  ring: KeyRing
  clients: readonly ClientKey[]
  warnings: readonly string[]
  description: object
}

/** Reads the keys file and reloads it on every change. Throws ConfigError with all errors of the file. */
export async function readKeys(
  app: FastifyInstance,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Keys> {
  // An absolute path distinguishes these errors from those of models-config.json.
  const file = resolve(app.config.authKeysFile)
  const load = (content: FileContent): Loaded => loaded(content, file, env)
  const feed = app.reload.feed(app.reload.sources.keys)
  let keys = load(await feed.first())
  const logWarnings = (): void => {
    for (const warning of keys.warnings) app.log.warn(warning)
  }
  logWarnings()
  let prepared: Loaded | undefined
  feed.serve({
    async prepare(content) {
      prepared = undefined
      try {
        prepared = load(content)
        return []
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        return error.errors
      }
    },
    commit(notice) {
      if (!prepared) return
      keys = prepared
      prepared = undefined
      if (!notice) return
      logWarnings()
      app.log.info({ clients: keys.clients.length }, 'client keys reloaded')
    },
    describe: () => keys.description,
    discard(errors, notice) {
      prepared = undefined
      if (!notice) return
      const listed = errors.slice(0, maxLoggedErrors)
      app.log.error({ errors: listed }, `${errors[0] ?? 'no error'}; the client keys in use stay in effect`)
    },
  })
  return {
    find: (key) => keys.ring.find(key),
    findDigest: (sha256) => keys.ring.findDigest(sha256),
    clients: () => keys.clients,
  }
}

function loaded(
  content: FileContent,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Loaded {
  if ('code' in content)
    throw new ConfigError([
      `LLM_ROUTER_AUTH_MEMORY_SEED_FILE: cannot read ${file}: ${readProblem(content.code)}`,
    ])
  const { clients, entries, warnings } = loadClientKeys(content.text, file, env)
  return {
    ring: new KeyRing(entries),
    clients,
    warnings,
    description: describe(clients, entries),
  }
}

/** One short digest over all keys, which shows that a key has changed without revealing anything about it. */
function describe(clients: readonly ClientKey[], entries: readonly RingEntry[]): object {
  const digest = createHash('sha256')
  for (const { client, sha256 } of entries)
    digest.update(sha256).update(`${client.enabled}/${client.expiresAt}`)
  return {
    keys: digest.digest('hex').slice(0, 12),
    clients: clients.map(({ id, enabled, expiresAt, role, surfaces, models, limits, maxTokens }) => ({
      id,
      enabled,
      role,
      models,
      limits,
      ...(expiresAt === undefined ? {} : { expires_at: new Date(expiresAt).toISOString() }),
      surfaces: [...surfaces],
      max_tokens: maxTokens,
    })),
  }
}
