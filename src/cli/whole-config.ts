import { readFileSync } from 'node:fs'
import { pino } from 'pino'
import { buildApp } from '../app.ts'
import { type Config, loadConfig } from '../core/env-config.ts'
import { ConfigError } from '../core/errors.ts'
import type { Model } from '../core/target.ts'
import type { Surroundings } from './command.ts'

export interface WholeConfig {
  config: Config
  /** The text of models-config.json; undefined when it cannot be read. */
  text: string | undefined
  models: readonly Model[]
  faults: readonly string[]
  warnings: readonly string[]
}

/**
 * Reads the settings and models-config.json as a start does, with extensions and prompts, and starts nothing. Throws
 * ConfigError for the settings.
 */
export async function readWholeConfig(env: Surroundings['env'], file?: string): Promise<WholeConfig> {
  const { config: given, warnings } = loadConfig(env)
  const config: Config = {
    ...given,
    modelsConfigPath: file ?? given.modelsConfigPath,
    // Neither a server is asked nor a port opened.
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
    await app.close()
    return { config, text, models, faults: [], warnings: [...warnings, ...told] }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { config, text, models: [], faults: error.faults, warnings: [...warnings, ...error.warnings] }
  }
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
