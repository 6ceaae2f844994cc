import { readFileSync } from 'node:fs'
import { pino } from 'pino'
import { buildApp } from '../app.ts'
import { modelPath } from '../config/config-path.ts'
import { type Config, loadConfig } from '../config/settings/settings.ts'
import { databaseAddress } from '../lib/database-address.ts'
import { ConfigError } from '../sdk/errors.ts'
import { allTargets, type Model } from '../sdk/target.ts'
import type { CommandContext } from './command-line.ts'

export interface WholeConfig {
  config: Config
  /** Text of models-config.json; undefined if it cannot be read. */
  text: string | undefined
  models: readonly Model[]
  errors: readonly string[]
  warnings: readonly string[]
}

/**
 * Reads settings, models-config.json, extensions and prompts like a start, without listening. With `askServers`, also asks
 * servers of other types whether they are llama.cpp, and connects to the database. Throws ConfigError for invalid settings;
 * errors in other files are returned.
 */
export async function readWholeConfig(
  env: CommandContext['env'],
  file?: string,
  { askServers = false }: { askServers?: boolean } = {},
): Promise<WholeConfig> {
  const { config: settings, warnings } = loadConfig(env)
  const config: Config = {
    ...settings,
    modelsConfigPath: file ?? settings.modelsConfigPath,
    // Without health checks, Redis, the admin port and Kubernetes, which this process may not be able to reach, and without the
    // database, which the app would migrate and keep.
    healthIntervalMs: 0,
    redisHost: '',
    redisUrl: '',
    adminPort: 0,
    drainAcceptMs: 0,
    kubernetesAccountDir: '',
    databaseUrl: '',
  }
  const text = textOf(config.modelsConfigPath)
  const logged: string[] = []
  const logger = pino(
    { level: 'warn' },
    { write: (line: string) => void logged.push(messageOf(JSON.parse(line))) },
  )
  try {
    const app = await buildApp({ config, env, logger })
    const models = app.models.all()
    // Later log lines are about unreachable servers.
    const configWarnings = [...logged]
    const engineWarnings = askServers ? await undeclaredEngines(app, models) : []
    await app.close()
    const database = askServers ? databaseAddress(settings.databaseUrl) : undefined
    if (database) await (await import('../stores/database/open.ts')).checkDatabase(database)
    return {
      config,
      text,
      models,
      errors: [],
      warnings: [...warnings, ...configWarnings, ...engineWarnings, ...limitsPerHost(settings, models)],
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    // A file that was named by an argument was not named by the variable.
    const errors = error.errors.map((line) =>
      file === undefined ? line : line.replace(/^LLM_ROUTER_MODELS_CONFIG: /, ''),
    )
    return { config, text, models: [], errors, warnings: [...warnings, ...error.warnings] }
  }
}

/** Returns a warning for each provider whose `api_type` hides that its server is llama.cpp. */
async function undeclaredEngines(
  app: Awaited<ReturnType<typeof buildApp>>,
  models: readonly Model[],
): Promise<string[]> {
  const found = await app.engines.undeclaredLlamaCpp(models.flatMap(allTargets))
  return models.flatMap(({ group, alias, targets, standby }) =>
    Object.entries({ providers: targets, providers_sleep: standby }).flatMap(([list, targets]) =>
      targets.flatMap((target, index) => {
        if (!found.has(target)) return []
        const path = `${modelPath(group, alias)}.${list}[${index}].api_type`
        return [`${path}: the server reports itself as llama.cpp and is treated as such; set "llamacpp"`]
      }),
    ),
  )
}

/** Returns a warning for each limit that applies per router instead of globally. */
function limitsPerHost({ replicas, redisHost, redisUrl }: Config, models: readonly Model[]): string[] {
  if (replicas === 1 || redisHost !== '' || redisUrl !== '') return []
  return models.flatMap(({ group, alias, targets, standby }) =>
    Object.entries({ providers: targets, providers_sleep: standby }).flatMap(([list, targets]) =>
      targets.flatMap(({ maxInFlight }, index) => {
        if (maxInFlight === undefined) return []
        const path = `${modelPath(group, alias)}.${list}[${index}].max_in_flight`
        return [`${path}: without Redis it applies to each of the ${replicas} routers (LLM_ROUTER_REPLICAS)`]
      }),
    ),
  )
}

/** Returns the message of a log line, with the client key that it is about. */
function messageOf({ msg, client }: { msg: unknown; client?: unknown }): string {
  return client === undefined ? String(msg) : `client key ${JSON.stringify(client)}: ${String(msg)}`
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // the error is reported when the configuration is loaded
  }
}
