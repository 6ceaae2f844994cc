import { readFileSync } from 'node:fs'
import { pino } from 'pino'
import { buildApp } from '../app.ts'
import { modelPath } from '../config/config-path.ts'
import { type Config, loadConfig } from '../config/settings/settings.ts'
import { ConfigError } from '../sdk/errors.ts'
import type { Model } from '../sdk/target.ts'
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
 * Reads settings and models-config.json as a start does, including extensions and prompts, without starting anything.
 * With `askServers`, servers of other types are briefly asked whether they are llama.cpp. Throws ConfigError for
 * invalid settings.
 */
export async function readWholeConfig(
  env: CommandContext['env'],
  file?: string,
  { askServers = false }: { askServers?: boolean } = {},
): Promise<WholeConfig> {
  const { config: given, warnings } = loadConfig(env)
  const config: Config = {
    ...given,
    modelsConfigPath: file ?? given.modelsConfigPath,
    // Opens no port, does not check any server's health, and watches no Service: this is seldom a pod.
    ...{ healthIntervalMs: 0, redisHost: '', redisUrl: '', adminPort: 0, drainAcceptMs: 0 },
    kubernetesAccountDir: '',
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
    // Later log lines concern servers that cannot be reached.
    const configWarnings = [...logged]
    const more = askServers ? await disguised(app, models) : []
    await app.close()
    return {
      config,
      text,
      models,
      errors: [],
      warnings: [...warnings, ...configWarnings, ...more, ...limitsPerHost(given, models)],
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { config, text, models: [], errors: error.errors, warnings: [...warnings, ...error.warnings] }
  }
}

/** Returns a warning for each provider whose `api_type` hides that its server is llama.cpp. */
async function disguised(
  app: Awaited<ReturnType<typeof buildApp>>,
  models: readonly Model[],
): Promise<string[]> {
  const found = await app.engines.disguised(
    models.flatMap(({ targets, sleeping }) => [...targets, ...sleeping]),
  )
  return models.flatMap(({ group, alias, targets, sleeping }) =>
    Object.entries({ providers: targets, providers_sleep: sleeping }).flatMap(([list, those]) =>
      those.flatMap((target, index) => {
        if (!found.has(target)) return []
        const path = `${modelPath(group, alias)}.${list}[${index}].api_type`
        return [`${path}: the server reports itself as llama.cpp and is treated as such; set "llamacpp"`]
      }),
    ),
  )
}

/** Returns a warning for each limit that applies per router instead of to all routers. */
function limitsPerHost({ replicas, redisHost, redisUrl }: Config, models: readonly Model[]): string[] {
  if (replicas === 1 || redisHost !== '' || redisUrl !== '') return []
  return models.flatMap(({ group, alias, targets, sleeping }) =>
    Object.entries({ providers: targets, providers_sleep: sleeping }).flatMap(([list, those]) =>
      those.flatMap(({ maxInFlight }, index) => {
        if (maxInFlight === undefined) return []
        const path = `${modelPath(group, alias)}.${list}[${index}].max_in_flight`
        return [`${path}: without Redis it applies to each of the ${replicas} routers (LLM_ROUTER_REPLICAS)`]
      }),
    ),
  )
}

/** Message of a log line, with its client key. */
function messageOf({ msg, client }: { msg: unknown; client?: unknown }): string {
  return client === undefined ? String(msg) : `client key ${JSON.stringify(client)}: ${String(msg)}`
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // the regular loading reports why
  }
}
