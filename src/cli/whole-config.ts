import { readFileSync } from 'node:fs'
import { pino } from 'pino'
import { buildApp } from '../app.ts'
import { modelPath } from '../config/config-path.ts'
import { type Config, loadConfig } from '../config/settings.ts'
import { ConfigError } from '../sdk/errors.ts'
import type { Model } from '../sdk/target.ts'
import type { Surroundings } from './command-line.ts'

export interface WholeConfig {
  config: Config
  /** The text of models-config.json; undefined when it cannot be read. */
  text: string | undefined
  models: readonly Model[]
  errors: readonly string[]
  warnings: readonly string[]
}

/**
 * Reads the settings and models-config.json as a start does, with extensions and prompts, and starts nothing. With
 * `askServers` servers of other types are asked for a moment whether they are llama.cpp. Throws ConfigError for the settings.
 */
export async function readWholeConfig(
  env: Surroundings['env'],
  file?: string,
  { askServers = false }: { askServers?: boolean } = {},
): Promise<WholeConfig> {
  const { config: given, warnings } = loadConfig(env)
  const config: Config = {
    ...given,
    modelsConfigPath: file ?? given.modelsConfigPath,
    // No port is opened, and no server asked but for what it is.
    ...{ healthIntervalMs: 0, redisHost: '', redisUrl: '', adminPort: 0, drainAcceptMs: 0 },
  }
  const text = textOf(config.modelsConfigPath)
  const told: string[] = []
  const logger = pino(
    { level: 'warn' },
    { write: (line: string) => void told.push(toldBy(JSON.parse(line))) },
  )
  try {
    const app = await buildApp({ config, env, logger })
    const models = app.models.all()
    // What is logged from here on is of servers that cannot be asked.
    const toldByConfig = [...told]
    const more = askServers ? await disguised(app, models) : []
    await app.close()
    return { config, text, models, errors: [], warnings: [...warnings, ...toldByConfig, ...more] }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { config, text, models: [], errors: error.errors, warnings: [...warnings, ...error.warnings] }
  }
}

/** A warning for each provider whose type hides that its server is llama.cpp. */
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
        return [`${path}: the server says that it is llama.cpp, and is treated so; "llamacpp" is its type`]
      }),
    ),
  )
}

/** What a log line says, and of which client key it says so. */
function toldBy({ msg, client }: { msg: unknown; client?: unknown }): string {
  return client === undefined ? String(msg) : `client key ${JSON.stringify(client)}: ${String(msg)}`
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // the reading as for a start says why
  }
}
