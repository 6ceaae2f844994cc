import { type Static, Type } from '@sinclair/typebox'
import { allowedDatabaseAddress } from '../lib/database-address.ts'
import { pluginSettings } from './settings-plugins.ts'
import { booleanWords } from './settings-text.ts'

/** The words that settings with a choice know; others are read as one of them, see env-config.ts. */
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
 * The settings of a process. Each stands for one environment variable, see env-config.ts. Descriptions are for those who
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
    'How a server is chosen: a strategy of [strategies.md](strategies.md) or of an extension. A model can override it.',
  ),
  queueTimeoutMs: seconds({
    default: 60_000,
    minimum: 1,
    description:
      'Longest wait of a request for a free place at a server: with `first_available` or `max_in_flight`.',
  }),
  queueSize: Type.Integer({
    default: 256,
    minimum: 0,
    maximum: 1_000_000,
    description:
      'Most requests of a model that wait in each process, with `first_available` or `max_in_flight`.',
  }),
  useSleeping: oneOf(
    words.useSleeping,
    'never',
    '`fallback`: use `providers_sleep` when all others are down or taken.',
  ),
  externalTimeoutMs: seconds({
    default: 300_000,
    minimum: 1,
    description: 'Limit for connecting (10 s at most), for the first content, and for each pause after it.',
  }),
  loadingTimeoutMs: seconds({
    default: 60_000,
    minimum: 0,
    description:
      'Longest wait of a request for a server that is loading its model, if no other can be used; at most LLM_ROUTER_EXTERNAL_TIMEOUT.',
  }),
  holdTimeoutMs: seconds({
    default: 0,
    minimum: 0,
    description:
      'Longest wait of a request while no server of its model can be used: scaled to zero, asleep or down; 0 disables it. `hold_timeout` of a model overrides it.',
  }),
  timeoutMs: seconds({ default: 0, minimum: 0, description: 'Limit for a whole request; 0 disables it.' }),
  streamDefault: oneOf(
    words.streamDefault,
    'dialect',
    "Whether requests without `stream` are streamed: as their dialect defines it (Ollama's endpoints stream, others do not), or the same for all.",
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
    description: 'Limit for all request bodies of a process together; 0 is an eighth of the heap limit.',
  }),
  streamKeepAliveMs: seconds({
    default: 0,
    minimum: 0,
    description:
      'Sends a comment (Anthropic: a `ping`) in a stream that is silent for this long, also before its first content, so that load balancers keep it open; 0 disables it. Errors after that have status 200.',
  }),
  writeStallMs: seconds({
    default: 60_000,
    minimum: 0,
    description:
      'How long a client may read nothing of a waiting answer before its connection is closed, within a quarter of the value; 0 disables it.',
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
    "Sets the debug level: the log has the names of a request's headers, each choice of a target, each attempt and timings, never content. Error answers name the code of their cause.",
  ),
  routeHeaders: flag(
    false,
    'Name the server of each answer, and the number of attempts, in the headers `x-llm-router-target` and `x-llm-router-attempts`. Requests with an operator key get them anyway.',
  ),
  usePrometheus: flag(false, 'Serve `/metrics`: [observability.md](observability.md).'),
  ui: flag(true, 'Serve the console at `/ui`: [console.md](console.md).'),
  docs: flag(true, 'Serve the API documentation at `/docs` and `/openapi.json`.'),
  healthIntervalMs: seconds({
    default: 5_000,
    minimum: 0,
    description:
      'Interval between health checks of each server; 0 disables them, and the polling of engines for their load.',
  }),
  replicas: Type.Integer({
    default: 1,
    minimum: 1,
    maximum: 1_000,
    description:
      'Number of routers that poll the same engines without a common Redis: each polls every 2 seconds times this number.',
  }),
  configPollMs: seconds({
    default: 10_000,
    minimum: 0,
    description:
      'How often to check for changed configuration files that the system does not report; 0 disables it.',
  }),
  drainAcceptMs: seconds({
    default: 1_000,
    minimum: 0,
    description:
      'Shutdown: how long clients with open connections are still served, and told to reconnect elsewhere.',
  }),
  drainTimeoutMs: seconds({
    default: 300_000,
    minimum: 0,
    maximum: maxTimerMs - 10_000,
    description: 'Shutdown: how long running answers may continue.',
  }),
  redisHost: text(
    '',
    'Redis host, for sharing leases ([leases.md](leases.md)), limits of client keys and stored responses between hosts; empty disables it.',
  ),
  redisPort: Type.Integer({ default: 6379, minimum: 1, maximum: 65535, description: 'Redis port.' }),
  redisDb: Type.Integer({ default: 0, minimum: 0, maximum: 65535, description: 'Redis database.' }),
  redisPassword: text('', 'Redis password; empty: none.'),
  redisUrl: Type.String({
    default: '',
    pattern: '^$|^rediss?(?:\\+cluster|\\+sentinel)?://',
    allowed:
      'an address like redis://:password@host:6379/0, redis://node1:6379,node2:6379 or redis+sentinel://host:26379/mymaster; rediss for TLS',
    description:
      'An address like `redis://:password@host:6379/0`, several nodes of a cluster, or Sentinels: see [leases.md](leases.md#addresses-of-redis). `rediss://` for TLS. It overrides host and port, and database and password where it has them.',
  }),
  redisSentinelPassword: text('', 'Password of the Redis Sentinels themselves; empty: none.'),
  redisDown: oneOf(
    words.redisDown,
    'local',
    'When Redis is unavailable for more than 5 s: `local` (exclusive within the process) or `reject` (503).',
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
    description: 'Number of responses that are stored; 0 disables it.',
  }),
  promptsDir: text(
    'resources/prompts',
    'Directory with the prompts of the text endpoints; reloaded when they change.',
  ),
  defaultLanguage: text('pl', 'Language of a prompt if the request names none, or one without prompts.'),
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
    'Where keys are stored; only `memory` is supported, the others stop the start.',
  ),
  authKeysFile: text('', 'File with the client keys; reloaded when it changes.'),
  authPublicEndpoints: Type.Array(Type.String({ pattern: '^/' }), {
    default: ['/', '/ping', '/version', '/livez', '/readyz', '/healthz'],
    allowed: 'a list of paths, each beginning with a slash',
    description:
      'Paths that require no key, with and without prefix; `/livez`, `/readyz` and `/ping` never require one.',
  }),
  adminKey: Type.String({
    default: '',
    pattern: '^[!-~]*$',
    writeOnly: true,
    allowed: 'a key of visible ASCII characters without spaces',
    description:
      'The operator key, required by operator endpoints and by every request that changes the router, on every port; empty: none. [client-keys.md](client-keys.md#operator-keys).',
  }),
  sessionSecret: Type.String({
    default: '',
    pattern: '^$|^[!-~]{32,}$',
    writeOnly: true,
    allowed: 'a random text of at least 32 visible ASCII characters',
    description:
      'Secret of the cookies of those who sign in, the same on all hosts; empty: a random one, so that a restart ends all sessions. [security.md](security.md#sessions).',
  }),
  publicUrl: Type.String({
    default: '',
    pattern: '^$|^https?://[^/?#@\\s]+(?:/[^?#\\s]*[^/?#\\s])?$',
    allowed: 'an address like https://llm.example.com, without a slash at its end',
    description:
      'The address of the router for browsers, with the base path; needed for OpenID Connect, and behind a proxy that does not say that browsers come by HTTPS.',
  }),
  oidcIssuer: Type.String({
    default: '',
    pattern:
      '^$|^https://[^\\s?#]+$|^http://(?:localhost|127\\.0\\.0\\.1|\\[::1\\])(?::[0-9]+)?(?:/[^\\s?#]*)?$',
    allowed: 'the https:// address of an OpenID Connect provider',
    description:
      'Issuer of an OpenID Connect provider, by which operators sign in; empty: none. [teams.md](teams.md#openid-connect).',
  }),
  oidcClientId: text('', 'The id that the provider has given to this router.'),
  oidcClientSecret: Type.String({
    default: '',
    writeOnly: true,
    description: 'The secret that belongs to it; empty: a public client.',
  }),
  oidcRoleClaim: text(
    'groups',
    'Claim with the groups or roles of a person; dots lead into objects: `realm_access.roles`.',
  ),
  oidcRoleMap: Type.Array(Type.String({ pattern: '^.+=(?:viewer|operator|admin)$' }), {
    default: [],
    allowed: 'a list like llm-admins=admin,llm-operators=operator,staff=viewer',
    description:
      'Which value of that claim gives which role, such as `llm-admins=admin,staff=viewer`; the highest one counts.',
  }),
  oidcAudience: text(
    '',
    "Audience that JSON Web Tokens of API clients must have; empty: the router's client id.",
  ),
  oidcClientClaim: text(
    '',
    'Claim of JSON Web Tokens with the id of a client, such as `azp`; then API clients may send such tokens of the issuer in place of a key. Empty: they may not.',
  ),
  databaseUrl: Type.String({
    default: '',
    writeOnly: true,
    allowed: allowedDatabaseAddress,
    description:
      'Database for clients, keys and groups that change while the router runs: `sqlite:PATH` for one host, `postgres://user:password@host:5432/database` for several; empty: the keys file alone. [teams.md](teams.md).',
  }),
  timeZone: text(
    'UTC',
    'Time zone in which days, weeks and months of usage and budgets begin, such as `Europe/Warsaw`.',
  ),
  budgetStoreDown: oneOf(
    words.budgetStoreDown,
    'allow',
    'When the database is away and a slice of a hard budget is used up: `allow` (booked afterwards) or `refuse` (503).',
  ),
  budgetWebhookUrl: Type.String({
    default: '',
    pattern: '^$|^https://.+',
    writeOnly: true,
    allowed: 'an https:// address',
    description:
      'Told when a budget reaches 50, 80 and 100 %: an `https://` address; empty: nobody is told. [teams.md](teams.md#webhook).',
  }),
  budgetWebhookSecret: Type.String({
    default: '',
    writeOnly: true,
    description: 'Signs what the webhook is told; needed with it.',
  }),
  usageQuarterDays: Type.Integer({
    default: 62,
    minimum: 32,
    maximum: 3_660,
    unit: 'days',
    description: 'How long usage is kept by 15 minutes: [teams.md](teams.md#usage). Then it is kept by days.',
  }),
  usageDays: Type.Integer({
    default: 1_100,
    minimum: 32,
    maximum: 36_600,
    unit: 'days',
    description: 'How long usage is kept by days.',
  }),
  usageSpool: text(
    '',
    "Directory for usage while the database is away; empty: beside the SQLite file, or `llm-router-usage` in the system's temporary directory for PostgreSQL.",
  ),
  forceMasking: flag(false, 'Masks all requests: [masking.md](masking.md).'),
  maskingPipeline: Type.Array(Type.Union([Type.Literal('fast_masker'), Type.Literal('pii_masker')]), {
    default: [],
    allowed: 'a list of fast_masker and pii_masker',
    description:
      'What masks with `LLM_ROUTER_FORCE_MASKING` and for requests with `anonymize`: `fast_masker` (the built-in kinds) and `pii_masker` (a service); empty: the built-in kinds.',
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
      'Secret that pseudonyms are derived from, the same on all hosts; needed with Redis or PostgreSQL. Empty: made at each start, so that pseudonyms change with it.',
  }),
  forceGuardrailRequest: flag(
    false,
    'Judges all requests by the services of `LLM_ROUTER_GUARDRAIL_STRATEGY_PIPELINE_REQUEST`: [guardrails.md](guardrails.md).',
  ),
  guardrailPipeline: Type.Array(Type.Union([Type.Literal('nask_guard'), Type.Literal('sojka_guard')]), {
    default: [],
    allowed: 'a list of nask_guard and sojka_guard',
    description: 'Guardrail services for all requests, which all must find a request safe.',
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
  allowUnprotected: flag(
    false,
    'Start even if a variable asks for a protection that this router does not provide, such as `LLM_ROUTER_FORCE_GUARDRAIL_RESPONSE`.',
  ),
  trustedProxies: Type.Array(Type.String(), {
    default: [],
    allowed: 'a list of addresses and networks, such as 10.0.0.0/8, ::1',
    description: 'Addresses and networks whose `X-Forwarded-For` is trusted.',
  }),
  upstreamProxy: text(
    '',
    'HTTP proxy for servers outside the local network, such as `http://user:password@proxy:3128`; empty: none. A provider can override it.',
  ),
  upstreamNoProxy: Type.Array(Type.String(), {
    default: [],
    description:
      'Further servers that are reached without the proxy: hosts, domains, addresses, networks such as `10.0.0.0/8`, or `*`.',
  }),
  dnsIntervalMs: seconds({
    default: 10_000,
    minimum: 1,
    description:
      'Interval at which the names of servers with `"addresses": "all"` are looked up. Servers are asked for their models as often, and at least every 10 s.',
  }),
  kubernetesAccountDir: text(
    '/var/run/secrets/kubernetes.io/serviceaccount',
    'Directory with `token` and `ca.crt` of the service account, for servers with `kubernetes`; both are read again for each connection. Empty: no Service is watched.',
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
