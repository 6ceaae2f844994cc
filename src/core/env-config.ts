import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { allowedBy } from './allowed.ts'
import { envNotes } from './env-notes.ts'
import {
  booleanWords,
  type ReadText,
  readBoolean,
  readInteger,
  readList,
  readPathPrefix,
  readSeconds,
  readString,
  readWord,
} from './env-parse.ts'
import { ConfigError } from './errors.ts'

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
const logFormats = ['auto', 'json', 'pretty'] as const
const serverTypes = ['single', 'cluster'] as const
const streamDefaults = ['dialect', 'true', 'false'] as const

/** Node's timers hold 31 bits of milliseconds; a longer one would run out at once. */
const maxTimerMs = 2 ** 31 - 1

/** The settings of a process. Each stands for one environment variable, see {@link variables}. */
export const ConfigSchema = Type.Object({
  promptsDir: Type.String({ default: 'resources/prompts' }),
  modelsConfigPath: Type.String({ default: 'resources/configs/models-config.json' }),
  defaultLanguage: Type.String({ default: 'pl' }),
  /** The whole of a request; 0 is no limit. */
  timeoutMs: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: maxTimerMs,
    allowed: `a number of seconds from 0 to ${Math.floor(maxTimerMs / 1000)}`,
  }),
  /** Connecting, the wait for the first content, and each silence between bytes. */
  externalTimeoutMs: Type.Integer({
    default: 300_000,
    minimum: 1,
    maximum: maxTimerMs,
    allowed: `a number of seconds over 0, up to ${Math.floor(maxTimerMs / 1000)}`,
  }),
  /** Empty: no log file. */
  logFilename: Type.String({ default: 'llm-router.log' }),
  /** Pino's names. `debug` at least when `inDebug`. */
  logLevel: oneOf(logLevels, 'info'),
  logFormat: oneOf(logFormats, 'auto'),
  /** Starts with a slash and does not end with one, or is empty. */
  endpointPrefix: Type.String({
    default: '/api',
    pattern: '^(?:/[A-Za-z0-9._~-]+)*$',
    allowed: 'a path of letters, digits and . _ ~ - between slashes, such as /api',
  }),
  inDebug: Type.Boolean({ default: false, allowed: booleanWords }),
  /** A name that the balancer looks up. */
  balanceStrategy: Type.String({ default: 'balanced' }),
  /** Empty: no Redis. */
  redisHost: Type.String({ default: '' }),
  redisPort: Type.Integer({ default: 6379, minimum: 1, maximum: 65535 }),
  serverType: oneOf(serverTypes, 'single', 'one of: single (also flask, waitress), cluster (also gunicorn)'),
  /** 0 is any free port. */
  serverPort: Type.Integer({ default: 8080, minimum: 0, maximum: 65535 }),
  serverHost: Type.String({ default: '0.0.0.0' }),
  /** Processes of a cluster. */
  workersCount: Type.Integer({ default: 2, minimum: 1, maximum: 1024 }),
  usePrometheus: Type.Boolean({ default: false, allowed: booleanWords }),
  /** What a request without `stream` gets: what its dialect says, or the same for all. */
  streamDefault: oneOf(streamDefaults, 'dialect'),
  bodyLimitBytes: Type.Integer({ default: 33_554_432, minimum: 1, maximum: 2 ** 31 - 1 }),
  /** Packages and files, in the order of loading. */
  extensions: Type.Array(Type.String(), { default: [] }),
})

export type Config = Static<typeof ConfigSchema>

interface Variable {
  key: keyof Config
  /** Without the prefix `LLM_ROUTER_`. */
  name: string
  read: ReadText
  /** Whether the empty text is a value; elsewhere it is as good as no variable. */
  emptyCounts?: true
}

const pythonLevels = { warning: 'warn', critical: 'fatal', notset: 'trace' }
const pythonServers = { flask: 'single', waitress: 'single', gunicorn: 'cluster' }

const variables: readonly Variable[] = [
  { key: 'promptsDir', name: 'PROMPTS_DIR', read: readString },
  { key: 'modelsConfigPath', name: 'MODELS_CONFIG', read: readString },
  { key: 'defaultLanguage', name: 'DEFAULT_EP_LANGUAGE', read: readString },
  { key: 'timeoutMs', name: 'TIMEOUT', read: readSeconds },
  { key: 'externalTimeoutMs', name: 'EXTERNAL_TIMEOUT', read: readSeconds },
  { key: 'logFilename', name: 'LOG_FILENAME', read: readString, emptyCounts: true },
  { key: 'logLevel', name: 'LOG_LEVEL', read: readWord(logLevels, pythonLevels) },
  { key: 'logFormat', name: 'LOG_FORMAT', read: readWord(logFormats, {}) },
  { key: 'endpointPrefix', name: 'EP_PREFIX', read: readPathPrefix, emptyCounts: true },
  { key: 'inDebug', name: 'IN_DEBUG', read: readBoolean },
  { key: 'balanceStrategy', name: 'BALANCE_STRATEGY', read: readString },
  { key: 'redisHost', name: 'REDIS_HOST', read: readString },
  { key: 'redisPort', name: 'REDIS_PORT', read: readInteger },
  { key: 'serverType', name: 'SERVER_TYPE', read: readWord(serverTypes, pythonServers) },
  { key: 'serverPort', name: 'SERVER_PORT', read: readInteger },
  { key: 'serverHost', name: 'SERVER_HOST', read: readString },
  { key: 'workersCount', name: 'SERVER_WORKERS_COUNT', read: readInteger },
  { key: 'usePrometheus', name: 'USE_PROMETHEUS', read: readBoolean },
  { key: 'streamDefault', name: 'STREAM_DEFAULT', read: readWord(streamDefaults, {}) },
  { key: 'bodyLimitBytes', name: 'BODY_LIMIT', read: readInteger },
  { key: 'extensions', name: 'EXTENSIONS', read: readList },
]

export interface LoadedConfig {
  config: Config
  /** One line for each variable that means something else here than in the Python llm-router, or nothing. */
  notes: string[]
  /** One line for each variable that is likely a mistake. */
  warnings: string[]
}

/**
 * Reads the settings from `LLM_ROUTER_*` variables. Throws ConfigError with every bad value, each with its variable
 * and what is allowed.
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): LoadedConfig {
  const faults: string[] = []
  const values: Partial<Record<keyof Config, unknown>> = {}
  for (const { key, name, read, emptyCounts } of variables) {
    const text = env[`LLM_ROUTER_${name}`]?.trim()
    if (text === undefined || (text === '' && !emptyCounts)) continue
    const value = read(text)
    const schema = ConfigSchema.properties[key]
    if (Value.Check(schema, value)) values[key] = value
    else faults.push(`LLM_ROUTER_${name}: ${shown(name, text)} is not ${allowedBy(schema)}`)
  }
  if (faults.length > 0) throw new ConfigError(faults)
  const config = Value.Parse(ConfigSchema, values)
  if (config.inDebug && config.logLevel !== 'trace') config.logLevel = 'debug'
  const names = variables.map((variable) => variable.name)
  return { config, ...envNotes(env, names, config.serverType) }
}

function shown(name: string, text: string): string {
  if (/PASSWORD|TOKEN|SECRET|URL/.test(name)) return 'its value'
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text)
}

function oneOf<const Words extends readonly string[]>(words: Words, preset: Words[number], allowed?: string) {
  const options = { default: preset, ...(allowed === undefined ? {} : { allowed }) }
  const literals = words.map((word) => Type.Literal(word))
  return Type.Unsafe<Words[number]>(Type.Union(literals, options))
}
