import { Value } from '@sinclair/typebox/value'
import { databaseAddressError } from '../../lib/database-address.ts'
import { allowedBy, shownValue } from '../../lib/json/allowed.ts'
import { isTimeZone } from '../../lib/time-zone.ts'
import { ConfigError } from '../../sdk/errors.ts'
import { readNetworks } from '../networks.ts'
import { proxyErrors } from '../proxy-rule.ts'
import { parseRedisUrl } from '../redis-url.ts'
import { minKeyLength, redisErrors, webhookErrors } from './addresses.ts'
import { choices } from './groups/setting-types.ts'
import { envNotes } from './notes.ts'
import { pluginErrors, pluginVariables } from './plugins.ts'
import { guardrailErrors, maskingErrors } from './processors.ts'
import { type Config, ConfigSchema } from './schema.ts'
import { hasSeveralHosts, signInErrors } from './sign-in.ts'
import {
  type ReadText,
  readBoolean,
  readInteger,
  readList,
  readPathPrefix,
  readSeconds,
  readString,
  readWord,
} from './text.ts'
import { readTracing } from './tracing.ts'

export { type Config, hasSeveralHosts }

/** An environment variable: its setting, and how its value is parsed. */
export interface Variable {
  key: keyof Config
  /** Without the prefix `LLM_ROUTER_`. */
  name: string
  read: ReadText
  /** Whether an empty string is a value; otherwise it counts as unset. */
  allowsEmpty?: true
}

const pythonLevels = { warning: 'warn', critical: 'fatal', notset: 'trace' }
const pythonServers = { flask: 'single', waitress: 'single', gunicorn: 'cluster' }

/** The variables of all settings. Their meaning, default and range are in groups/. */
export const variables: readonly Variable[] = [
  { key: 'promptsDir', name: 'PROMPTS_DIR', read: readString },
  { key: 'modelsConfigPath', name: 'MODELS_CONFIG', read: readString },
  { key: 'defaultLanguage', name: 'DEFAULT_EP_LANGUAGE', read: readString },
  { key: 'timeoutMs', name: 'TIMEOUT', read: readSeconds },
  { key: 'externalTimeoutMs', name: 'EXTERNAL_TIMEOUT', read: readSeconds },
  { key: 'loadingTimeoutMs', name: 'LOADING_TIMEOUT', read: readSeconds },
  { key: 'holdTimeoutMs', name: 'HOLD_TIMEOUT', read: readSeconds },
  { key: 'logFilename', name: 'LOG_FILENAME', read: readString, allowsEmpty: true },
  { key: 'logLevel', name: 'LOG_LEVEL', read: readWord(choices.logLevel, pythonLevels) },
  { key: 'logFormat', name: 'LOG_FORMAT', read: readWord(choices.logFormat, {}) },
  { key: 'endpointPrefix', name: 'EP_PREFIX', read: readPathPrefix, allowsEmpty: true },
  { key: 'basePath', name: 'BASE_PATH', read: readPathPrefix },
  { key: 'inDebug', name: 'IN_DEBUG', read: readBoolean },
  { key: 'balanceStrategy', name: 'BALANCE_STRATEGY', read: readString },
  { key: 'redisHost', name: 'REDIS_HOST', read: readString },
  { key: 'redisPort', name: 'REDIS_PORT', read: readInteger },
  { key: 'redisDb', name: 'REDIS_DB', read: readInteger },
  { key: 'redisPassword', name: 'REDIS_PASSWORD', read: readString },
  { key: 'redisUrl', name: 'REDIS_URL', read: readString },
  { key: 'redisSentinelPassword', name: 'REDIS_SENTINEL_PASSWORD', read: readString },
  { key: 'redisDown', name: 'REDIS_DOWN', read: readWord(choices.redisDown, {}) },
  { key: 'queueTimeoutMs', name: 'QUEUE_TIMEOUT', read: readSeconds },
  { key: 'queueSize', name: 'QUEUE_SIZE', read: readInteger },
  { key: 'useSleeping', name: 'USE_SLEEPING', read: readWord(choices.useSleeping, {}) },
  { key: 'serverType', name: 'SERVER_TYPE', read: readWord(choices.serverType, pythonServers) },
  { key: 'serverPort', name: 'SERVER_PORT', read: readInteger },
  { key: 'serverHost', name: 'SERVER_HOST', read: readString },
  { key: 'adminPort', name: 'ADMIN_PORT', read: readInteger },
  { key: 'workersCount', name: 'SERVER_WORKERS_COUNT', read: readInteger },
  { key: 'routeHeaders', name: 'ROUTE_HEADERS', read: readBoolean },
  { key: 'usePrometheus', name: 'USE_PROMETHEUS', read: readBoolean },
  { key: 'streamDefault', name: 'STREAM_DEFAULT', read: readWord(choices.streamDefault, {}) },
  { key: 'streamKeepAliveMs', name: 'STREAM_KEEPALIVE', read: readSeconds },
  { key: 'bodyLimitBytes', name: 'BODY_LIMIT', read: readInteger },
  { key: 'bodyBudgetBytes', name: 'BODY_BUDGET', read: readInteger },
  { key: 'writeStallMs', name: 'WRITE_STALL_TIMEOUT', read: readSeconds },
  { key: 'drainAcceptMs', name: 'DRAIN_ACCEPT', read: readSeconds },
  { key: 'drainTimeoutMs', name: 'DRAIN_TIMEOUT', read: readSeconds },
  { key: 'healthIntervalMs', name: 'HEALTH_INTERVAL', read: readSeconds },
  { key: 'replicas', name: 'REPLICAS', read: readInteger },
  { key: 'configPollMs', name: 'CONFIG_POLL', read: readSeconds },
  { key: 'responsesTtlMs', name: 'RESPONSES_TTL', read: readSeconds },
  { key: 'responsesMax', name: 'RESPONSES_MAX', read: readInteger },
  { key: 'upstreamProxy', name: 'UPSTREAM_PROXY', read: readString },
  { key: 'upstreamNoProxy', name: 'UPSTREAM_NO_PROXY', read: readList },
  { key: 'dnsIntervalMs', name: 'DNS_INTERVAL', read: readSeconds },
  { key: 'kubernetesAccountDir', name: 'KUBERNETES_ACCOUNT_DIR', read: readString, allowsEmpty: true },
  { key: 'allowLinkLocal', name: 'ALLOW_LINK_LOCAL', read: readBoolean },
  { key: 'shedDelayMs', name: 'SHED_DELAY', read: readSeconds },
  { key: 'shedHeapPercent', name: 'SHED_HEAP', read: readInteger },
  { key: 'ui', name: 'UI', read: readBoolean },
  { key: 'docs', name: 'DOCS', read: readBoolean },
  { key: 'fanout', name: 'FANOUT', read: readInteger },
  { key: 'authEnabled', name: 'AUTH_ENABLED', read: readBoolean },
  { key: 'authKeyStore', name: 'AUTH_KEY_STORE', read: readWord(choices.authKeyStore, {}) },
  { key: 'authKeysFile', name: 'AUTH_MEMORY_SEED_FILE', read: readString },
  { key: 'authPublicEndpoints', name: 'AUTH_PUBLIC_ENDPOINTS', read: readList, allowsEmpty: true },
  { key: 'adminKey', name: 'ADMIN_KEY', read: readString },
  { key: 'sessionSecret', name: 'SESSION_SECRET', read: readString },
  { key: 'publicUrl', name: 'PUBLIC_URL', read: readString },
  { key: 'oidcIssuer', name: 'OIDC_ISSUER', read: readString },
  { key: 'oidcClientId', name: 'OIDC_CLIENT_ID', read: readString },
  { key: 'oidcClientSecret', name: 'OIDC_CLIENT_SECRET', read: readString },
  { key: 'oidcRoleClaim', name: 'OIDC_ROLE_CLAIM', read: readString },
  { key: 'oidcRoleMap', name: 'OIDC_ROLE_MAP', read: readList },
  { key: 'oidcAudience', name: 'OIDC_AUDIENCE', read: readString },
  { key: 'oidcClientClaim', name: 'OIDC_CLIENT_CLAIM', read: readString },
  { key: 'databaseUrl', name: 'DATABASE_URL', read: readString },
  { key: 'timeZone', name: 'TIME_ZONE', read: readString },
  { key: 'budgetStoreDown', name: 'BUDGET_STORE_DOWN', read: readWord(choices.budgetStoreDown, {}) },
  { key: 'budgetWebhookUrl', name: 'BUDGET_WEBHOOK_URL', read: readString },
  { key: 'budgetWebhookSecret', name: 'BUDGET_WEBHOOK_SECRET', read: readString },
  { key: 'usageQuarterDays', name: 'USAGE_QUARTER_DAYS', read: readInteger },
  { key: 'usageDays', name: 'USAGE_DAYS', read: readInteger },
  { key: 'usageSpool', name: 'USAGE_SPOOL', read: readString },
  { key: 'forceMasking', name: 'FORCE_MASKING', read: readBoolean },
  { key: 'maskingPipeline', name: 'MASKING_STRATEGY_PIPELINE', read: readList },
  { key: 'maskerPiiHost', name: 'MASKER_PII_HOST', read: readString },
  { key: 'maskingSecret', name: 'MASKING_SECRET', read: readString },
  { key: 'cache', name: 'CACHE', read: readBoolean },
  { key: 'cacheTtlMs', name: 'CACHE_TTL', read: readSeconds },
  { key: 'cacheMaxBytes', name: 'CACHE_MAX_BYTES', read: readInteger },
  { key: 'cacheSecret', name: 'CACHE_SECRET', read: readString },
  { key: 'forceGuardrailRequest', name: 'FORCE_GUARDRAIL_REQUEST', read: readBoolean },
  { key: 'guardrailPipeline', name: 'GUARDRAIL_STRATEGY_PIPELINE_REQUEST', read: readList },
  { key: 'forceGuardrailResponse', name: 'FORCE_GUARDRAIL_RESPONSE', read: readBoolean },
  { key: 'answerGuardrailPipeline', name: 'GUARDRAIL_STRATEGY_PIPELINE_RESPONSE', read: readList },
  { key: 'naskGuardHost', name: 'GUARDRAIL_NASK_GUARD_HOST', read: readString },
  { key: 'sojkaGuardHost', name: 'GUARDRAIL_SOJKA_GUARD_HOST', read: readString },
  ...pluginVariables,
  { key: 'trustedProxies', name: 'TRUSTED_PROXIES', read: readNetworks },
  { key: 'extensions', name: 'EXTENSIONS', read: readList },
]

export interface LoadedConfig {
  config: Config
  /** One line per variable whose meaning differs from that in the Python llm-router, or that has no effect. */
  notes: string[]
  /** One line per variable that is probably a mistake. */
  warnings: string[]
}

/**
 * Reads the settings from `LLM_ROUTER_*` variables. Throws ConfigError with all invalid values, each with its variable
 * and the allowed values.
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): LoadedConfig {
  const errors: string[] = []
  const values: Partial<Record<keyof Config, unknown>> = {}
  for (const { key, name, read, allowsEmpty } of variables) {
    const text = env[`LLM_ROUTER_${name}`]?.trim()
    if (text === undefined || (text === '' && !allowsEmpty)) continue
    const value = read(text)
    const schema = ConfigSchema.properties[key]
    if (Value.Check(schema, value)) values[key] = value
    else errors.push(`LLM_ROUTER_${name}: ${shownValue(text, isSecret(name))} is not ${allowedBy(schema)}`)
  }
  if (errors.length > 0) throw new ConfigError(errors)
  const config = Value.Parse(ConfigSchema, values)
  const names = variables.map((variable) => variable.name)
  const notes = envNotes(env, names, config)
  errors.push(
    ...portErrors(config),
    ...authErrors(config),
    ...timeZoneErrors(config),
    ...webhookErrors(config),
    ...redisErrors(config),
    ...signInErrors(config),
    ...proxyErrors(config),
    ...maskingErrors(config),
    ...guardrailErrors(config),
    ...pluginErrors(config),
    ...nodeErrors(env),
    ...notes.errors,
  )
  if (errors.length > 0) throw new ConfigError(errors)
  if (config.inDebug && config.logLevel !== 'trace') config.logLevel = 'debug'
  const warnings = [...notes.warnings, ...authWarnings(config), ...readTracing(env).warnings]
  return { config, notes: [...notes.notes, ...redisNotes(config)], warnings }
}

function portErrors({ adminPort, serverPort }: Config): string[] {
  if (adminPort === 0 || adminPort !== serverPort) return []
  return [`LLM_ROUTER_ADMIN_PORT: ${adminPort} is already the main port (LLM_ROUTER_SERVER_PORT)`]
}

function timeZoneErrors({ timeZone }: Config): string[] {
  if (isTimeZone(timeZone)) return []
  return [
    `LLM_ROUTER_TIME_ZONE: ${shownValue(timeZone)} is not a time zone of the IANA database, such as "Europe/Warsaw"`,
  ]
}

/** Rejects Node's variable that disables certificate verification. */
function nodeErrors(env: Readonly<Record<string, string | undefined>>): string[] {
  if (env.NODE_TLS_REJECT_UNAUTHORIZED?.trim() !== '0') return []
  return [
    "NODE_TLS_REJECT_UNAUTHORIZED=0 would let anyone impersonate a server and read keys and prompts; remove it, and name the server's CA in ca_file of the provider or in NODE_EXTRA_CA_CERTS",
  ]
}

function redisNotes({ redisUrl }: Pick<Config, 'redisUrl'>): string[] {
  const address = redisUrl === '' ? undefined : parseRedisUrl(redisUrl)
  if (!address || 'error' in address || address.kind !== 'cluster') return []
  return [
    'LLM_ROUTER_REDIS_URL: in a Redis Cluster leases are not shared with the Python llm-router, whose keys are on other nodes',
  ]
}

/** Whether a value must not be shown: it is a secret, or an address that may contain a password. */
function isSecret(name: string): boolean {
  return /PASSWORD|TOKEN|SECRET|URL|ADMIN_KEY|INDEX_KEY|REDIS_HOST|PII_HOST|GUARD_HOST/.test(name)
}

interface AuthSettings {
  authEnabled: boolean
  databaseUrl: string
  authKeyStore: string
  authKeysFile: string
  adminKey: string
}

/** Returns errors for protections that are requested but not available, which must not be ignored silently. */
function authErrors({ authEnabled, authKeyStore, authKeysFile, databaseUrl }: AuthSettings): string[] {
  const databaseError = databaseUrl === '' ? undefined : databaseAddressError(databaseUrl)
  if (databaseError !== undefined) return [`LLM_ROUTER_DATABASE_URL: ${databaseError}`]
  if (!authEnabled && databaseUrl !== '')
    return [
      'LLM_ROUTER_DATABASE_URL: clients and keys have no effect without LLM_ROUTER_AUTH_ENABLED=1: requests would NOT be authenticated',
    ]
  if (!authEnabled) return []
  if (authKeyStore !== 'memory')
    return [
      `LLM_ROUTER_AUTH_KEY_STORE: this router does not store keys in "${authKeyStore}"; ` +
        'write them to a file and name it in LLM_ROUTER_AUTH_MEMORY_SEED_FILE',
    ]
  if (authKeysFile === '' && databaseUrl === '')
    return [
      'LLM_ROUTER_AUTH_ENABLED: LLM_ROUTER_AUTH_MEMORY_SEED_FILE must name the file with the keys of the clients, or LLM_ROUTER_DATABASE_URL their database',
    ]
  return []
}

/** Warns about settings without effect and keys that are too short. */
function authWarnings({
  authEnabled,
  authKeysFile,
  adminKey,
  databaseUrl,
  budgetWebhookUrl,
}: Config): string[] {
  const warnings: string[] = []
  if (!authEnabled && authKeysFile !== '')
    warnings.push(
      'LLM_ROUTER_AUTH_MEMORY_SEED_FILE has no effect without LLM_ROUTER_AUTH_ENABLED: requests are NOT authenticated',
    )
  if (budgetWebhookUrl !== '' && databaseUrl === '')
    warnings.push(
      'LLM_ROUTER_BUDGET_WEBHOOK_URL has no effect without LLM_ROUTER_DATABASE_URL, which stores budgets',
    )
  if (adminKey !== '' && adminKey.length < minKeyLength)
    warnings.push(`LLM_ROUTER_ADMIN_KEY: a key of fewer than ${minKeyLength} characters can be guessed`)
  return warnings
}
