import { type Static, Type } from '@sinclair/typebox'
import { allowedDatabaseAddress } from '../../lib/database-address.ts'
import { pluginSettings } from './plugins.ts'
import { booleanWords } from './text.ts'

/** The words that settings with a choice know; others are read as one of them, see settings.ts. */
export const words = {
  logLevel: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
  logFormat: ['auto', 'json', 'pretty'],
  serverType: ['single', 'cluster'],
  redisDown: ['local', 'reject'],
  budgetStoreDown: ['allow', 'refuse'],
  useSleeping: ['never', 'fallback'],
  authKeyStore: ['memory', 'redis', 'vault'],
  streamDefault: ['dialect', 'true', 'false'],
} as const

/** Node's timers hold 31 bits of milliseconds; a longer one would run out at once. */
const maxTimerMs = 2 ** 31 - 1

/**
 * The settings of a process. Each corresponds to one environment variable, see settings.ts. Descriptions are for those who
 * set them, so they speak of the variable's unit and not of ours; docs/configuration.md is made from them.
 */
export const ConfigSchema = Type.Object({
  modelsConfigPath: text('resources/configs/models-config.json', 'Path of the file with models and servers.'),
  serverHost: text('0.0.0.0', 'Address to listen on.'),
  serverPort: Type.Integer({
    default: 8080,
    minimum: 0,
    maximum: 65535,
    description: 'Port to listen on; 0 picks a free one.',
  }),
  adminPort: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 65535,
    description: 'Serves metrics, probes and the console on a separate port only; 0 disables it.',
  }),
  serverType: oneOf(
    words.serverType,
    'single',
    'One process (also `flask`, `waitress`), or a cluster of them (also `gunicorn`).',
    'one of: single (also flask, waitress), cluster (also gunicorn)',
  ),
  workersCount: Type.Integer({
    default: 2,
    minimum: 1,
    maximum: 1024,
    description: 'Number of worker processes of a cluster.',
  }),
  endpointPrefix: Type.String({
    default: '/api',
    pattern: '^(?:/[A-Za-z0-9._~-]+)*$',
    allowed: 'a path of letters, digits and . _ ~ - between slashes, such as /api',
    description: "Prefix of the router's own paths; may be empty.",
  }),
  basePath: Type.String({
    default: '',
    pattern: '^(?:/[A-Za-z0-9._~-]+)*$',
    allowed: 'a path of letters, digits and . _ ~ - between slashes, such as /llm',
    description:
      'Path under which a reverse proxy publishes the router without removing it, such as `/llm`; every path is then served with and without it. Not needed if the proxy removes it.',
  }),
  balanceStrategy: text(
    'balanced',
    'How a target is chosen: one of the [strategies](strategies.md), or one of an extension. A model can override it.',
  ),
  queueTimeoutMs: seconds({
    default: 60_000,
    minimum: 1,
    description:
      'How long a request waits for a free slot at a target (`first_available` or `max_in_flight`).',
  }),
  queueSize: Type.Integer({
    default: 256,
    minimum: 0,
    maximum: 1_000_000,
    description:
      'Maximum number of waiting requests per model and process (`first_available` or `max_in_flight`).',
  }),
  useSleeping: oneOf(
    words.useSleeping,
    'never',
    '`fallback`: use `providers_sleep` if all other servers are down or busy.',
  ),
  externalTimeoutMs: seconds({
    default: 300_000,
    minimum: 1,
    description: 'Timeout for connecting (at most 10 s), for the first content, and for each pause after it.',
  }),
  loadingTimeoutMs: seconds({
    default: 60_000,
    minimum: 0,
    description:
      'How long a request waits for a server that is loading its model if no other is usable; at most LLM_ROUTER_EXTERNAL_TIMEOUT.',
  }),
  holdTimeoutMs: seconds({
    default: 0,
    minimum: 0,
    description:
      'How long a request waits while no server of its model is usable (scaled to zero, asleep or down); 0 disables it. `hold_timeout` of a model overrides it.',
  }),
  timeoutMs: seconds({ default: 0, minimum: 0, description: 'Limit for a whole request; 0 disables it.' }),
  streamDefault: oneOf(
    words.streamDefault,
    'dialect',
    "Whether requests without `stream` are streamed: as their dialect defines it (Ollama's endpoints stream, the others do not), or the same for all dialects.",
  ),
  bodyLimitBytes: Type.Integer({
    default: 33_554_432,
    minimum: 1,
    maximum: 2 ** 31 - 1,
    unit: 'bytes',
    description: 'Largest request body.',
  }),
  bodyBudgetBytes: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    description: 'Limit for all request bodies of a process together; 0: an eighth of the heap limit.',
  }),
  streamKeepAliveMs: seconds({
    default: 0,
    minimum: 0,
    description:
      'Sends a comment (Anthropic: a `ping`) whenever a stream has been silent for this long, also before the first content, so that load balancers keep the connection open; 0 disables it. Later errors have status 200.',
  }),
  writeStallMs: seconds({
    default: 60_000,
    minimum: 0,
    description:
      'Closes the connection of a client that has not read from a waiting response for this long (checked every quarter of it); 0 disables it.',
  }),
  shedDelayMs: seconds({
    default: 1_000,
    minimum: 0,
    description:
      'New requests are rejected while the event loop is delayed by more than this; 0 disables it.',
  }),
  shedHeapPercent: Type.Integer({
    default: 85,
    minimum: 0,
    maximum: 99,
    unit: 'percent',
    description:
      'New requests are rejected while more than this share of the heap limit is in use; 0 disables it.',
  }),
  logLevel: oneOf(
    words.logLevel,
    'info',
    "Log level; Python's names and any case are accepted. At least `debug` with LLM_ROUTER_IN_DEBUG.",
  ),
  logFormat: oneOf(words.logFormat, 'auto', '`auto`: `pretty` on a terminal, JSON elsewhere.'),
  logFilename: text('llm-router.log', 'Log file with JSON lines; empty disables it. Reopened on SIGUSR2.'),
  inDebug: flag(
    false,
    'Sets the log level to debug: the log contains header names, each choice of a target, each attempt and timings, never content. Error responses name the code of their cause.',
  ),
  routeHeaders: flag(
    false,
    'Adds the headers `x-llm-router-target` and `x-llm-router-attempts` to each response. Requests with an operator key always get them.',
  ),
  usePrometheus: flag(false, 'Serves `/metrics`: [observability.md](observability.md).'),
  ui: flag(true, 'Serves the console at `/ui`: [console.md](console.md).'),
  docs: flag(true, 'Serves the API documentation at `/docs` and `/openapi.json`.'),
  healthIntervalMs: seconds({
    default: 5_000,
    minimum: 0,
    description:
      'Interval between health checks of each server; 0 disables health checks and the polling of engines.',
  }),
  replicas: Type.Integer({
    default: 1,
    minimum: 1,
    maximum: 1_000,
    description:
      'Number of routers that poll the same engines without a shared Redis; each then polls every 2 s times this number.',
  }),
  configPollMs: seconds({
    default: 10_000,
    minimum: 0,
    description:
      'How often to check for file changes that the operating system does not report; 0 disables it.',
  }),
  drainAcceptMs: seconds({
    default: 1_000,
    minimum: 0,
    description:
      'Shutdown: how long clients with open connections are still served and asked to reconnect elsewhere.',
  }),
  drainTimeoutMs: seconds({
    default: 300_000,
    minimum: 0,
    maximum: maxTimerMs - 10_000,
    description: 'Shutdown: how long running responses may continue.',
  }),
  redisHost: text(
    '',
    'Redis host, for sharing leases ([leases.md](leases.md)), limits of client keys and stored responses between hosts; empty disables it.',
  ),
  redisPort: Type.Integer({ default: 6379, minimum: 1, maximum: 65535, description: 'Redis port.' }),
  redisDb: Type.Integer({ default: 0, minimum: 0, maximum: 65535, description: 'Redis database.' }),
  redisPassword: text('', 'Redis password.'),
  redisUrl: Type.String({
    default: '',
    pattern: '^$|^rediss?(?:\\+cluster|\\+sentinel)?://',
    allowed:
      'an address like redis://:password@host:6379/0, redis://node1:6379,node2:6379 or redis+sentinel://host:26379/mymaster; rediss for TLS',
    description:
      'An address like `redis://:password@host:6379/0`, several nodes of a cluster, or Sentinels: see [leases.md](leases.md#redis-addresses). `rediss://` for TLS. Overrides host and port, and also database and password if it contains them.',
  }),
  redisSentinelPassword: text('', 'Password of the Redis Sentinels themselves.'),
  redisDown: oneOf(
    words.redisDown,
    'local',
    'If Redis is unavailable for more than 5 s: `local` (limits apply within each process) or `reject` (503).',
  ),
  responsesTtlMs: seconds({
    default: 3_600_000,
    minimum: 1,
    description: 'How long responses are stored for `previous_response_id`.',
  }),
  responsesMax: Type.Integer({
    default: 1_000,
    minimum: 0,
    maximum: 1_000_000,
    description: 'Maximum number of stored responses; 0 disables storing.',
  }),
  promptsDir: text(
    'resources/prompts',
    'Directory with the prompts of the text endpoints; reloaded when they change.',
  ),
  defaultLanguage: text('pl', 'Language of prompts if a request names none, or one without prompts.'),
  fanout: Type.Integer({
    default: 8,
    minimum: 1,
    maximum: 1024,
    description: 'Texts of one request that are processed concurrently.',
  }),
  authEnabled: flag(false, 'Requires client keys: [client-keys.md](client-keys.md).'),
  authKeyStore: oneOf(
    words.authKeyStore,
    'memory',
    'Where keys are stored; only `memory` is supported, other values stop the start.',
  ),
  authKeysFile: text('', 'File with the client keys; reloaded when it changes.'),
  authPublicEndpoints: Type.Array(Type.String({ pattern: '^/' }), {
    default: ['/', '/ping', '/version', '/livez', '/readyz', '/healthz'],
    allowed: 'a list of paths, each beginning with a slash',
    description:
      'Paths that require no key, with and without prefix. `/livez`, `/readyz` and `/ping` never require one.',
  }),
  adminKey: Type.String({
    default: '',
    pattern: '^[!-~]*$',
    writeOnly: true,
    allowed: 'a key of visible ASCII characters without spaces',
    description:
      'The operator key, required by operator endpoints and, on every port, by requests that change the router. [client-keys.md](client-keys.md#operator-keys).',
  }),
  sessionSecret: Type.String({
    default: '',
    pattern: '^$|^[!-~]{32,}$',
    writeOnly: true,
    allowed: 'a random string of at least 32 visible ASCII characters',
    description:
      'Secret for session cookies, the same on all hosts; empty: a random one, so a restart ends all sessions. [security.md](security.md#sessions).',
  }),
  publicUrl: Type.String({
    default: '',
    pattern: '^$|^https?://[^/?#@\\s]+(?:/[^?#\\s]*[^/?#\\s])?$',
    allowed: 'an address like https://llm.example.com, without a trailing slash',
    description:
      'URL of the router for browsers, including the base path; required for OpenID Connect, and behind a proxy that terminates TLS without sending `X-Forwarded-Proto`.',
  }),
  oidcIssuer: Type.String({
    default: '',
    pattern:
      '^$|^https://[^\\s?#]+$|^http://(?:localhost|127\\.0\\.0\\.1|\\[::1\\])(?::[0-9]+)?(?:/[^\\s?#]*)?$',
    allowed: 'the https:// address of an OpenID Connect provider',
    description:
      'Issuer of the OpenID Connect provider with which operators sign in; empty disables it. [teams.md](teams.md#openid-connect).',
  }),
  oidcClientId: text('', 'Client id of the router at the OpenID Connect provider.'),
  oidcClientSecret: Type.String({
    default: '',
    writeOnly: true,
    description: 'Client secret of the router at the provider; empty: a public client.',
  }),
  oidcRoleClaim: text(
    'groups',
    'Claim with the groups or roles of a user; dots select nested members: `realm_access.roles`.',
  ),
  oidcRoleMap: Type.Array(Type.String({ pattern: '^.+=(?:viewer|operator|admin)$' }), {
    default: [],
    allowed: 'a list like llm-admins=admin,llm-operators=operator,staff=viewer',
    description:
      'Maps values of that claim to roles, such as `llm-admins=admin,staff=viewer`; the highest role applies.',
  }),
  oidcAudience: text('', "Required audience of API clients' JSON Web Tokens; empty: the router's client id."),
  oidcClientClaim: text(
    '',
    'Claim of JSON Web Tokens that contains the client id, such as `azp`. API clients may then send tokens of the issuer instead of a key; empty disables it.',
  ),
  databaseUrl: Type.String({
    default: '',
    writeOnly: true,
    allowed: allowedDatabaseAddress,
    description:
      'Database for clients, keys and groups that change while the router runs: `sqlite:PATH` for one host, `postgres://user:password@host:5432/database` for several; empty: keys file only. [teams.md](teams.md).',
  }),
  timeZone: text(
    'UTC',
    'Time zone in which days, weeks and months of usage and budgets begin, such as `Europe/Warsaw`.',
  ),
  budgetStoreDown: oneOf(
    words.budgetStoreDown,
    'allow',
    'If the database is unavailable and the local share of a hard budget is used up: `allow` (recorded later) or `refuse` (503).',
  ),
  budgetWebhookUrl: Type.String({
    default: '',
    pattern: '^$|^https://.+',
    writeOnly: true,
    allowed: 'an https:// address',
    description:
      '`https://` URL that is notified when a budget reaches 50, 80 and 100 %; empty disables it. [teams.md](teams.md#webhook).',
  }),
  budgetWebhookSecret: Type.String({
    default: '',
    writeOnly: true,
    description: 'Secret that signs webhook messages; required with a webhook.',
  }),
  usageQuarterDays: Type.Integer({
    default: 62,
    minimum: 32,
    maximum: 3_660,
    unit: 'days',
    description:
      'How long usage is kept at a resolution of 15 minutes, before it is aggregated by day: [teams.md](teams.md#usage).',
  }),
  usageDays: Type.Integer({
    default: 1_100,
    minimum: 32,
    maximum: 36_600,
    unit: 'days',
    description: 'How long daily usage is kept.',
  }),
  usageSpool: text(
    '',
    "Directory for usage while the database is unavailable; empty: next to the SQLite file, or `llm-router-usage` in the system's temporary directory for PostgreSQL.",
  ),
  forceMasking: flag(false, 'Masks all requests: [masking.md](masking.md).'),
  maskingPipeline: Type.Array(Type.Union([Type.Literal('fast_masker'), Type.Literal('pii_masker')]), {
    default: [],
    allowed: 'a list of fast_masker and pii_masker',
    description:
      'Maskers for `LLM_ROUTER_FORCE_MASKING` and for requests with `anonymize`: `fast_masker` (the built-in kinds) and `pii_masker` (a service); empty selects the built-in kinds.',
  }),
  maskerPiiHost: Type.String({
    default: '',
    pattern: '^$|^https?://.+',
    allowed: 'an http:// or https:// address',
    description: 'Address of the service `pii_masker`.',
  }),
  maskingSecret: Type.String({
    default: '',
    writeOnly: true,
    description:
      'Secret from which pseudonyms are derived; must be the same on all hosts, and is required with Redis or PostgreSQL. If empty, a random one is generated at each start, and pseudonyms change.',
  }),
  cache: flag(false, 'Enables the response cache for all models and clients: [cache.md](cache.md).'),
  cacheTtlMs: seconds({
    default: 3_600_000,
    minimum: 1,
    maximum: 30 * 24 * 3_600_000,
    description: 'Lifetime of cached responses; `ttl` of a cache in models-config.json overrides it.',
  }),
  cacheMaxBytes: Type.Integer({
    default: 67_108_864,
    minimum: 65_536,
    maximum: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    description:
      'Maximum size of the cached responses in memory, per process or, in a cluster, in the primary process; the least recently used are evicted first.',
  }),
  cacheSecret: Type.String({
    default: '',
    writeOnly: true,
    description:
      'Secret for the encryption of cached responses in Redis; must be the same on all hosts. Empty keeps them in memory, even with Redis.',
  }),
  forceGuardrailRequest: flag(
    false,
    'Judges all requests with the services in `LLM_ROUTER_GUARDRAIL_STRATEGY_PIPELINE_REQUEST`: [guardrails.md](guardrails.md).',
  ),
  guardrailPipeline: Type.Array(Type.Union([Type.Literal('nask_guard'), Type.Literal('sojka_guard')]), {
    default: [],
    allowed: 'a list of nask_guard and sojka_guard',
    description: 'Guardrail services for all requests; a request must pass all of them.',
  }),
  forceGuardrailResponse: flag(
    false,
    'Judges all responses with the services in `LLM_ROUTER_GUARDRAIL_STRATEGY_PIPELINE_RESPONSE`: [guardrails.md](guardrails.md).',
  ),
  answerGuardrailPipeline: Type.Array(Type.Union([Type.Literal('nask_guard'), Type.Literal('sojka_guard')]), {
    default: [],
    allowed: 'a list of nask_guard and sojka_guard',
    description: 'Guardrail services for all responses; a response must pass all of them.',
  }),
  naskGuardHost: Type.String({
    default: '',
    pattern: '^$|^https?://.+',
    allowed: 'an http:// or https:// address',
    description: 'Address of the service `nask_guard`.',
  }),
  sojkaGuardHost: Type.String({
    default: '',
    pattern: '^$|^https?://.+',
    allowed: 'an http:// or https:// address',
    description: 'Address of the service `sojka_guard`.',
  }),
  ...pluginSettings,
  trustedProxies: Type.Array(Type.String(), {
    default: [],
    allowed: 'a list of addresses and networks, such as 10.0.0.0/8, ::1',
    description: 'Addresses and networks whose `X-Forwarded-For` is trusted.',
  }),
  upstreamProxy: text(
    '',
    'HTTP proxy for servers outside the local network, such as `http://user:password@proxy:3128`. A provider can override it.',
  ),
  upstreamNoProxy: Type.Array(Type.String(), {
    default: [],
    description:
      'Additional servers to reach without the proxy: hosts, domains, addresses, networks such as `10.0.0.0/8`, or `*`.',
  }),
  dnsIntervalMs: seconds({
    default: 10_000,
    minimum: 1,
    description:
      'How often the hostnames of servers with `"addresses": "all"` are resolved. Model lists are requested equally often, and at least every 10 s.',
  }),
  kubernetesAccountDir: text(
    '/var/run/secrets/kubernetes.io/serviceaccount',
    'Directory with `token` and `ca.crt` of the service account, for servers with `kubernetes`; both are read for each connection. Empty disables watching.',
  ),
  allowLinkLocal: flag(false, 'Allows link-local and cloud metadata addresses of servers.'),
  extensions: Type.Array(Type.String(), {
    default: [],
    description: 'Your own modules, packages or files, loaded in this order: [extending.md](extending.md).',
  }),
})

export type Config = Static<typeof ConfigSchema>

function text(preset: string, description: string) {
  return Type.String({ default: preset, description })
}

function flag(preset: boolean, description: string) {
  return Type.Boolean({ default: preset, allowed: booleanWords, description })
}

/** Milliseconds for us, seconds for who sets it. */
function seconds(options: { default: number; minimum: 0 | 1; maximum?: number; description: string }) {
  const { minimum, maximum = maxTimerMs } = options
  const most = Math.floor(maximum / 1000)
  const range = minimum === 0 ? `from 0 to ${most}` : `over 0, up to ${most}`
  return Type.Integer({ ...options, maximum, unit: 'seconds', allowed: `a number of seconds ${range}` })
}

function oneOf<const Words extends readonly string[]>(
  choices: Words,
  preset: Words[number],
  description: string,
  allowed?: string,
) {
  const options = { default: preset, description, ...(allowed === undefined ? {} : { allowed }) }
  const literals = choices.map((word) => Type.Literal(word))
  return Type.Unsafe<Words[number]>(Type.Union(literals, options))
}
