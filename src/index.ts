/** `llm-router`: the router as a library, for programs that start it themselves. */
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { buildApp } from './app.ts'
import { loadConfig } from './config/settings/settings.ts'
import { createLogging } from './runtime/logger.ts'

export { type AppOptions, buildApp } from './app.ts'
export { type Config, loadConfig } from './config/settings/settings.ts'
export { version } from './lib/version.ts'
export { ConfigError, RouterError } from './sdk/errors.ts'

export interface RouterOptions {
  /**
   * Environment with the settings (`LLM_ROUTER_*`, see docs/configuration.md) and the variables that configuration
   * files reference as `${NAME}`; usually `process.env`.
   */
  env: Record<string, string | undefined>
  /** Defaults to a logger configured by LLM_ROUTER_LOG_FILENAME, LLM_ROUTER_LOG_LEVEL and LLM_ROUTER_LOG_FORMAT. */
  logger?: FastifyBaseLogger
}

/**
 * Builds the complete router in this process, ready to `listen()`. Installs no signal handlers and starts no workers.
 * Throws ConfigError for invalid settings or files.
 */
export async function createRouter({ env, logger }: RouterOptions): Promise<FastifyInstance> {
  const { config, notes, warnings } = loadConfig(env)
  const logging = logger
    ? undefined
    : await createLogging(config, { isTerminal: false, reportsFileErrors: true })
  const log = logger ?? logging?.logger
  if (!log) throw new Error('there is no logger')
  for (const note of notes) log.info(note)
  for (const warning of warnings) log.warn(warning)
  return await buildApp({
    ...{ config, env, logger: log },
    ...(logging ? { logError: () => logging.error(), onClosed: () => logging.flush() } : {}),
  })
}
