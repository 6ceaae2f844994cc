import { type Static, Type } from '@sinclair/typebox'
import { booleanWords } from './settings-text.ts'

/** The words that settings with a choice know; others are read as one of them, see env-config.ts. */
export const words = {
  logLevel: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
  logFormat: ['auto', 'json', 'pretty'],
  serverType: ['single', 'cluster'],
  redisDown: ['local', 'reject'],
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
  modelsConfigPath: text('resources/configs/models-config.json', 'The file with models and servers.'),
  serverHost: text('0.0.0.0', 'The address to listen at.'),
  serverPort: Type.Integer({
    default: 8080,
    minimum: 0,
    maximum: 65535,
    description: 'The port to listen at; 0 is any free one.',
  }),
  adminPort: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 65535,
    description:
      'A port of its own for metrics, probes, status and its page, which then are on no other; 0 is none.',
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
    description: 'Processes of a cluster.',
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
      'Path under which a reverse proxy publishes the router without removing it, such as `/llm`; every path is then answered with and without it. Not needed where the proxy removes it.',
  }),
  balanceStrategy: text(
    'balanced',
    'How a server is chosen: a strategy of [strategies.md](strategies.md) or of an extension. A model can have its own.',
  ),
  queueTimeoutMs: seconds({
    default: 60_000,
    minimum: 1,
    description: '`first_available`: how long a request waits for a free server.',
  }),
  queueSize: Type.Integer({
    default: 256,
    minimum: 0,
    maximum: 1_000_000,
    description: '`first_available`: requests that wait for one model, in each process.',
  }),
  useSleeping: oneOf(
    words.useSleeping,
    'never',
    '`fallback`: use `providers_sleep` when all others are down or taken.',
  ),
  externalTimeoutMs: seconds({
    default: 300_000,
    minimum: 1,
    description:
      'For connecting (10 s at most), for the wait for the first content, and for each silence after it.',
  }),
  loadingTimeoutMs: seconds({
    default: 60_000,
    minimum: 0,
    description:
      'How long a request waits for a server that loads its model, where no other can be used; at most LLM_ROUTER_EXTERNAL_TIMEOUT.',
  }),
  timeoutMs: seconds({ default: 0, minimum: 0, description: 'For a whole request; 0 is no limit.' }),
  streamDefault: oneOf(
    words.streamDefault,
    'dialect',
    "What a request without `stream` gets: what its dialect says (Ollama's endpoints stream, others do not), or the same for all.",
  ),
  bodyLimitBytes: Type.Integer({
    default: 33_554_432,
    minimum: 1,
    maximum: 2 ** 31 - 1,
    unit: 'bytes',
    description: 'Of one request body.',
  }),
  bodyBudgetBytes: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    description: 'Of all request bodies together, in each process; 0 is a share of the heap limit.',
  }),
  streamKeepAliveMs: seconds({
    default: 0,
    minimum: 0,
    description:
      'A streamed answer that is silent for so long, also before its first content, gets a comment (Anthropic: a `ping`) that keeps load balancers from cutting it; 0 disables it. Errors after that have status 200.',
  }),
  writeStallMs: seconds({
    default: 60_000,
    minimum: 0,
    description:
      'How long a client may take nothing of an answer that waits for it, give or take a quarter; 0 is no limit.',
  }),
  shedDelayMs: seconds({
    default: 1_000,
    minimum: 0,
    description: 'New requests are refused while the event loop is later than this; 0 is never.',
  }),
  shedHeapPercent: Type.Integer({
    default: 85,
    minimum: 0,
    maximum: 99,
    unit: 'percent',
    description: 'New requests are refused while more of the heap limit is in use; 0 is never.',
  }),
  logLevel: oneOf(
    words.logLevel,
    'info',
    "What is logged; Python's names and any case too. At least `debug` with LLM_ROUTER_IN_DEBUG.",
  ),
  logFormat: oneOf(words.logFormat, 'auto', '`auto`: `pretty` on a terminal, JSON elsewhere.'),
  logFilename: text('llm-router.log', 'Log file, JSON lines; empty is none. Reopened on SIGUSR2.'),
  inDebug: flag(false, 'Debug level, and error answers name the code of their cause.'),
  usePrometheus: flag(false, 'Serve `/metrics`: [observability.md](observability.md).'),
  ui: flag(true, 'Serve the status page at `/ui`.'),
  docs: flag(true, 'Serve the API documentation at `/docs` and `/openapi.json`.'),
  healthIntervalMs: seconds({
    default: 5_000,
    minimum: 0,
    description: 'Between cheap checks of each server; 0 is never.',
  }),
  configPollMs: seconds({
    default: 10_000,
    minimum: 0,
    description:
      'How often to look for changed configuration files that the system did not tell of; 0 is never.',
  }),
  drainAcceptMs: seconds({
    default: 1_000,
    minimum: 0,
    description:
      'At the end: how long clients with open connections are still served, and told to use others.',
  }),
  drainTimeoutMs: seconds({
    default: 300_000,
    minimum: 0,
    maximum: maxTimerMs - 10_000,
    description: 'At the end: how long running answers may go on.',
  }),
  redisHost: text(
    '',
    'Host of Redis, which several hosts need to share leases ([leases.md](leases.md)), limits of client keys and kept answers; empty disables it.',
  ),
  redisPort: Type.Integer({ default: 6379, minimum: 1, maximum: 65535, description: 'Port of Redis.' }),
  redisDb: Type.Integer({ default: 0, minimum: 0, maximum: 65535, description: 'Database of Redis.' }),
  redisPassword: text('', 'Password of Redis; empty is none.'),
  redisUrl: Type.String({
    default: '',
    pattern:
      '^$|^rediss?://(?:[^/?#@,]*@)?(?:[A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]{1,5})?(?:/[0-9]*)?$',
    allowed:
      'an address like redis://:password@host:6379/0, or rediss:// for TLS; Sentinel and Cluster are not supported',
    description:
      'An address like `redis://:password@host:6379/0`, or `rediss://` for TLS; what it says comes before host, port, database and password.',
  }),
  redisDown: oneOf(
    words.redisDown,
    'local',
    'When Redis is away for over 5 s: `local` (exclusive within the process) or `reject` (503).',
  ),
  responsesTtlMs: seconds({
    default: 3_600_000,
    minimum: 1,
    description: 'How long answers of the Responses API are kept for `previous_response_id`.',
  }),
  responsesMax: Type.Integer({
    default: 1_000,
    minimum: 0,
    maximum: 1_000_000,
    description: 'Answers of the Responses API that are kept; 0 is none.',
  }),
  promptsDir: text('resources/prompts', 'The prompts of the text endpoints; read again when they change.'),
  defaultLanguage: text('pl', 'Language of a prompt when the request names none, or one that is missing.'),
  fanout: Type.Integer({
    default: 8,
    minimum: 1,
    maximum: 1024,
    description: 'Texts of one request that are asked about at once.',
  }),
  authEnabled: flag(false, 'Clients need a key: [client-keys.md](client-keys.md).'),
  authKeyStore: oneOf(
    words.authKeyStore,
    'memory',
    'Where keys are kept; this router has `memory` alone, the others stop the start.',
  ),
  authKeysFile: text('', 'The file with the keys of the clients; read again when it changes.'),
  authPublicEndpoints: Type.Array(Type.String({ pattern: '^/' }), {
    default: ['/', '/ping', '/version', '/livez', '/readyz', '/healthz'],
    allowed: 'a list of paths, each beginning with a slash',
    description:
      'Paths that need no key, with and without prefix; `/livez`, `/readyz` and `/ping` never need one.',
  }),
  adminKey: Type.String({
    default: '',
    pattern: '^[!-~]*$',
    writeOnly: true,
    allowed: 'a key of visible ASCII characters without spaces',
    description:
      'The operator key: it opens what only operators may use, and what changes the router takes it, on every port. Empty is none: [client-keys.md](client-keys.md#operator-keys).',
  }),
  allowUnprotected: flag(
    false,
    'Start although a variable asks for a protection that this router does not have, such as `LLM_ROUTER_FORCE_MASKING`.',
  ),
  trustedProxies: Type.Array(Type.String(), {
    default: [],
    allowed: 'a list of addresses and networks, such as 10.0.0.0/8, ::1',
    description: 'Addresses and networks whose `X-Forwarded-For` is believed.',
  }),
  upstreamProxy: text(
    '',
    'HTTP proxy for servers outside of the own network, such as `http://user:password@proxy:3128`; empty is none. A provider may have its own.',
  ),
  upstreamNoProxy: Type.Array(Type.String(), {
    default: [],
    description:
      'Servers that are reached without it, too: hosts, domains, addresses, networks such as `10.0.0.0/8`, or `*`.',
  }),
  allowLinkLocal: flag(false, "A server's address may be link-local or one of cloud metadata."),
  extensions: Type.Array(Type.String(), {
    default: [],
    description:
      'Your own modules, packages and files, in the order of loading: [extending.md](extending.md).',
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
