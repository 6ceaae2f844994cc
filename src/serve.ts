import cluster from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import type { AppOptions } from './app.ts'
import { runPrimary } from './cluster/primary.ts'
import { RunningRequests, runningRequestsVariable } from './cluster/running-requests.ts'
import { ready } from './cluster/supervisor.ts'
import { generatedSecret } from './config/secrets.ts'
import { type Config, hasSeveralHosts, loadConfig } from './config/settings/settings.ts'
import { discover } from './fleet/discovery.ts'
import { followedSources } from './fleet/servers/fleet.ts'
import { Channel, workerPipe } from './lib/channel.ts'
import { describeBug } from './lib/describe-bug.ts'
import { builtInProviders } from './providers/index.ts'
import { banner, operatorKeyText } from './runtime/banner.ts'
import { createLogging, type Logging, noText } from './runtime/logger.ts'
import { setV8Flags } from './runtime/v8.ts'
import { ConfigError } from './sdk/errors.ts'

/** Time limit of the search for servers, in milliseconds: a closed port refuses immediately, but another may not respond. */
const searchMs = 300

type App = Awaited<ReturnType<typeof import('./app.ts').buildApp>>

export interface ServeOptions {
  /** Rewrites an error of the settings to name the command line option that set the variable. */
  nameOption?: (error: string) => string
  /** The operator key generated at this start. */
  operatorKey?: string | undefined
}

/**
 * Starts the router; on failure, prints the error and exits. Only startup code accesses `process`.
 */
export async function serve({
  nameOption = (error) => error,
  operatorKey,
}: ServeOptions = {}): Promise<void> {
  try {
    await run(operatorKey)
  } catch (error) {
    reportAndExit(error, nameOption)
  }
}

/** Loads the configuration, builds the app, listens, and shuts down on a signal. */
async function run(operatorKey: string | undefined): Promise<void> {
  setV8Flags()
  const running = runningRequests()
  const primary = cluster.worker ? new Channel(workerPipe(cluster.worker)) : undefined
  const { config, notes, warnings } = loadConfig(process.env)
  const isPrimary = config.serverType === 'cluster' && cluster.isPrimary
  const isTerminal = process.stdout.isTTY
  const logging = await createLogging(config, { isTerminal, reportsFileErrors: !cluster.isWorker })
  const { logger } = logging
  process.prependListener('exit', () => logging.atExit())
  process.on('SIGUSR1', () => logger.warn('SIGUSR1 has no effect; SIGUSR2 reopens the log file'))
  if (isPrimary) {
    shareSecrets(config)
    if (operatorKey !== undefined) process.stderr.write(operatorKeyText(operatorKey))
    const providers = builtInProviders()
    runPrimary(config, logging, followedSources({ config, env: process.env, providers, log: logger }))
    return
  }
  const isFirstProcess = !cluster.isWorker || cluster.worker?.id === 1
  if (isFirstProcess) {
    for (const note of notes) logger.info(note)
    for (const warning of warnings) logger.warn(warning)
  }
  process.on('SIGUSR2', () => logging.reopen())
  const nodeOptions = [process.env.NODE_OPTIONS, ...process.execArgv].join(' ')
  const foundServers = searchServers(config)
  // Most of the sources; the primary of a cluster does not need them.
  const { buildApp } = await import('./app.ts')
  const app = await buildApp({
    config,
    env: process.env,
    logger,
    nodeOptions,
    logError: () => logging.error(),
    ...(running ? { running } : {}),
    ...(primary ? { primary } : {}),
    ...(foundServers ? { found: foundServers } : {}),
  })
  // In a cluster, the primary reloads for all workers.
  if (!cluster.isWorker) process.on('SIGHUP', () => void app.reload.now())
  handleProcessEvents(app, logging)
  // Fastify's own message is suppressed, because the line below also has the number of models.
  await app.listen({ host: config.serverHost, port: config.serverPort, listenTextResolver: () => noText })
  const address = app.server.address()
  const port = typeof address === 'object' && address ? address.port : config.serverPort
  primary?.cast(ready)
  logger.info({ host: config.serverHost, port, models: app.models.all().length }, 'listening')
  if (operatorKey !== undefined) process.stderr.write(operatorKeyText(operatorKey))
  if (isFirstProcess && config.logFormat !== 'json') {
    const found = await foundServers?.then((servers) => servers.length)
    process.stderr.write(
      banner(config, { port, models: app.models.all(), foundServers: found ?? 0, operatorKey }),
    )
  }
}

/** Generates the secrets that are not configured; the workers inherit them from the environment. */
function shareSecrets(config: Config): void {
  // A session is valid in all workers.
  if (config.sessionSecret === '' && !hasSeveralHosts(config))
    process.env.LLM_ROUTER_SESSION_SECRET = randomBytes(32).toString('hex')
  // The same value has the same pseudonym in all workers.
  if (config.maskingSecret === '' && !hasSeveralHosts(config))
    process.env.LLM_ROUTER_MASKING_SECRET = generatedSecret()
  // Workers find each other's cached responses.
  if (config.cacheSecret === '') process.env.LLM_ROUTER_CACHE_SECRET = generatedSecret()
}

/** Stops the router on SIGTERM, SIGINT and after an uncaught exception: running requests may finish. */
function handleProcessEvents(app: App, logging: Logging): void {
  const { logger } = logging
  let stopping = false
  const stop = (fields: { signal?: string }, code: number): void => {
    stopping = true
    const { running } = app.exchanges
    logger.info({ ...fields, running, drain_timeout_s: app.config.drainTimeoutMs / 1000 }, 'stopping')
    app.close().then(
      () => end(code),
      (error: unknown) => {
        logger.error(describeBug(error), 'the router did not stop cleanly')
        end(1)
      },
    )
  }
  const end = (code: number): void => {
    void logging.flush().then(() => process.exit(code))
  }
  const onSignal = (signal: string): void => {
    if (stopping) process.exit(1) // a second signal exits immediately
    stop({ signal }, 0)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  // Only the function that nobody awaited has ended; its callers and the router are unaffected.
  process.on('unhandledRejection', (reason) => {
    logger.error(describeBug(reason), 'unhandled promise rejection')
  })
  // After an exception that unwound through unknown callers, the state of the process is undefined: what runs may finish, but
  // then the process must be replaced (https://nodejs.org/api/process.html#warning-using-uncaughtexception-correctly).
  process.on('uncaughtException', (error) => {
    logger.fatal(describeBug(error), 'uncaught exception; the process stops')
    if (!stopping) stop({}, 1)
  })
}

/**
 * Without configuration, searches this machine for model servers while the app is built. Skipped in a cluster, whose
 * workers must not differ.
 */
function searchServers({ modelsConfigPath, serverType }: Config): AppOptions['found'] {
  const shipped = join(import.meta.dirname, '../resources/configs/models-config.json')
  if (serverType !== 'single' || resolve(modelsConfigPath) !== shipped) return undefined
  return discover(['127.0.0.1'], AbortSignal.timeout(searchMs)).then(({ servers }) => servers)
}

/** The file that the primary has opened for this process; undefined outside a cluster. */
function runningRequests(): RunningRequests | undefined {
  const { [runningRequestsVariable]: fd } = process.env
  // Must not leak to processes started by extensions.
  delete process.env[runningRequestsVariable]
  return cluster.isWorker && fd !== undefined ? new RunningRequests(Number(fd)) : undefined
}

function reportAndExit(error: unknown, nameOption: (error: string) => string): void {
  if (error instanceof ConfigError) {
    for (const message of error.errors) process.stderr.write(`${nameOption(message)}\n`)
    for (const warning of error.warnings) process.stderr.write(`warning: ${warning}\n`)
    process.exit(2)
  }
  process.stderr.write(`llm-router cannot start: ${startProblem(error)}\n`)
  process.exit(1)
}

/** Says why the start failed, and for common problems of the address what to do. */
function startProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message, code, port, address, hostname }: ListenError = error
  switch (code) {
    case undefined:
      return message
    case 'EADDRINUSE':
      return `port ${port} is already in use (${code}); stop the other process, or choose another port (${settingOf(port)})`
    case 'EACCES':
      if (port === undefined) break
      return `this user may not listen on port ${port} (${code}); choose another port (${settingOf(port)})`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${address ?? hostname} is not an address of this machine (${code}); choose another one (LLM_ROUTER_SERVER_HOST or --host)`
  }
  return message.includes(code) ? message : `${message} (${code})`
}

function settingOf(port: number | undefined): string {
  return String(port) === process.env.LLM_ROUTER_ADMIN_PORT
    ? 'LLM_ROUTER_ADMIN_PORT'
    : 'LLM_ROUTER_SERVER_PORT or --port'
}

/** Members that Node adds to errors of `listen`. */
type ListenError = Error & { code?: string; port?: number; address?: string; hostname?: string }
