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
const redisDownModes = ['local', 'reject'] as const
const sleepingUses = ['never', 'fallback'] as const
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
  redisDb: Type.Integer({ default: 0, minimum: 0, maximum: 65535 }),
  /** Empty: none. */
  redisPassword: Type.String({ default: '' }),
  /** What it says comes before host, port, database and password; empty: those alone. */
  redisUrl: Type.String({
    default: '',
    pattern:
      '^$|^rediss?://(?:[^/?#@,]*@)?(?:[A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]{1,5})?(?:/[0-9]*)?$',
    allowed:
      'an address like redis://:password@host:6379/0, or rediss:// for TLS; Sentinel and Cluster are not supported',
  }),
  /** Leases while Redis is away: exclusive within the process, or an error. */
  redisDown: oneOf(redisDownModes, 'local'),
  /** How long a request waits for a target of its own. */
  queueTimeoutMs: Type.Integer({
    default: 60_000,
    minimum: 1,
    maximum: maxTimerMs,
    allowed: `a number of seconds over 0, up to ${Math.floor(maxTimerMs / 1000)}`,
  }),
  /** Requests that wait for one model, in each process. */
  queueSize: Type.Integer({ default: 256, minimum: 0, maximum: 1_000_000 }),
  /** Whether `providers_sleep` are used when all others are down or taken. */
  useSleeping: oneOf(sleepingUses, 'never'),
  serverType: oneOf(serverTypes, 'single', 'one of: single (also flask, waitress), cluster (also gunicorn)'),
  /** 0 is any free port. */
  serverPort: Type.Integer({ default: 8080, minimum: 0, maximum: 65535 }),
  serverHost: Type.String({ default: '0.0.0.0' }),
  /** Of a second listener for metrics, probes and the status API; 0 is none. */
  adminPort: Type.Integer({ default: 0, minimum: 0, maximum: 65535 }),
  /** Processes of a cluster. */
  workersCount: Type.Integer({ default: 2, minimum: 1, maximum: 1024 }),
  usePrometheus: Type.Boolean({ default: false, allowed: booleanWords }),
  /** What a request without `stream` gets: what its dialect says, or the same for all. */
  streamDefault: oneOf(streamDefaults, 'dialect'),
  bodyLimitBytes: Type.Integer({ default: 33_554_432, minimum: 1, maximum: 2 ** 31 - 1 }),
  /** Of all request bodies together, in each process; 0 is a share of the heap limit. */
  bodyBudgetBytes: Type.Integer({ default: 0, minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  /** How long a client may take nothing of an answer that waits for it; 0 is no limit. */
  writeStallMs: Type.Integer({
    default: 60_000,
    minimum: 0,
    maximum: maxTimerMs,
    allowed: `a number of seconds from 0 to ${Math.floor(maxTimerMs / 1000)}`,
  }),
  /** At the end: how long clients with open connections are still served, and told to use others. */
  drainAcceptMs: Type.Integer({
    default: 1_000,
    minimum: 0,
    maximum: maxTimerMs,
    allowed: `a number of seconds from 0 to ${Math.floor(maxTimerMs / 1000)}`,
  }),
  /** At the end: how long running answers may go on. */
  drainTimeoutMs: Type.Integer({
    default: 300_000,
    minimum: 0,
    maximum: maxTimerMs - 10_000,
    allowed: `a number of seconds from 0 to ${Math.floor(maxTimerMs / 1000) - 10}`,
  }),
  /** How often quiet servers are checked; 0 is never. */
  healthIntervalMs: Type.Integer({
    default: 5_000,
    minimum: 0,
    maximum: maxTimerMs,
    allowed: `a number of seconds from 0 to ${Math.floor(maxTimerMs / 1000)}`,
  }),
  /** How long answers of the Responses API are kept for `previous_response_id`. */
  responsesTtlMs: Type.Integer({
    default: 3_600_000,
    minimum: 1,
    maximum: maxTimerMs,
    allowed: `a number of seconds over 0, up to ${Math.floor(maxTimerMs / 1000)}`,
  }),
  /** How many of them; 0 is none. */
  responsesMax: Type.Integer({ default: 1_000, minimum: 0, maximum: 1_000_000 }),
  /** Whether `/ui` is served. */
  ui: Type.Boolean({ default: true, allowed: booleanWords }),
  /** Texts of one request that are asked about at once. */
  fanout: Type.Integer({ default: 8, minimum: 1, maximum: 1024 }),
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
  { key: 'redisDb', name: 'REDIS_DB', read: readInteger },
  { key: 'redisPassword', name: 'REDIS_PASSWORD', read: readString },
  { key: 'redisUrl', name: 'REDIS_URL', read: readString },
  { key: 'redisDown', name: 'REDIS_DOWN', read: readWord(redisDownModes, {}) },
  { key: 'queueTimeoutMs', name: 'QUEUE_TIMEOUT', read: readSeconds },
  { key: 'queueSize', name: 'QUEUE_SIZE', read: readInteger },
  { key: 'useSleeping', name: 'USE_SLEEPING', read: readWord(sleepingUses, {}) },
  { key: 'serverType', name: 'SERVER_TYPE', read: readWord(serverTypes, pythonServers) },
  { key: 'serverPort', name: 'SERVER_PORT', read: readInteger },
  { key: 'serverHost', name: 'SERVER_HOST', read: readString },
  { key: 'adminPort', name: 'ADMIN_PORT', read: readInteger },
  { key: 'workersCount', name: 'SERVER_WORKERS_COUNT', read: readInteger },
  { key: 'usePrometheus', name: 'USE_PROMETHEUS', read: readBoolean },
  { key: 'streamDefault', name: 'STREAM_DEFAULT', read: readWord(streamDefaults, {}) },
  { key: 'bodyLimitBytes', name: 'BODY_LIMIT', read: readInteger },
  { key: 'bodyBudgetBytes', name: 'BODY_BUDGET', read: readInteger },
  { key: 'writeStallMs', name: 'WRITE_STALL_TIMEOUT', read: readSeconds },
  { key: 'drainAcceptMs', name: 'DRAIN_ACCEPT', read: readSeconds },
  { key: 'drainTimeoutMs', name: 'DRAIN_TIMEOUT', read: readSeconds },
  { key: 'healthIntervalMs', name: 'HEALTH_INTERVAL', read: readSeconds },
  { key: 'responsesTtlMs', name: 'RESPONSES_TTL', read: readSeconds },
  { key: 'responsesMax', name: 'RESPONSES_MAX', read: readInteger },
  { key: 'ui', name: 'UI', read: readBoolean },
  { key: 'fanout', name: 'FANOUT', read: readInteger },
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
