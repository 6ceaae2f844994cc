import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/settings/settings.ts'
import { ConfigError } from '../../src/sdk/errors.ts'

/** The setting that results from a single variable. */
function set(name: string, value: string) {
  return loadConfig({ [`LLM_ROUTER_${name}`]: value }).config
}

function errorsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.errors
  }
  return []
}

test('without variables the settings have the defaults of the Python llm-router', () => {
  const { config, notes, warnings } = loadConfig({ PATH: '/bin' })
  assert.deepEqual(config, {
    promptsDir: 'resources/prompts',
    modelsConfigPath: 'resources/configs/models-config.json',
    defaultLanguage: 'pl',
    timeoutMs: 0,
    externalTimeoutMs: 300_000,
    loadingTimeoutMs: 60_000,
    holdTimeoutMs: 0,
    logFilename: 'llm-router.log',
    logLevel: 'info',
    logFormat: 'auto',
    endpointPrefix: '/api',
    basePath: '',
    inDebug: false,
    routeHeaders: false,
    balanceStrategy: 'balanced',
    redisHost: '',
    redisPort: 6379,
    redisDb: 0,
    redisPassword: '',
    redisUrl: '',
    redisSentinelPassword: '',
    redisDown: 'local',
    queueTimeoutMs: 60_000,
    queueSize: 256,
    useSleeping: 'never',
    serverType: 'single',
    serverPort: 8080,
    serverHost: '0.0.0.0',
    adminPort: 0,
    workersCount: 2,
    usePrometheus: false,
    streamDefault: 'dialect',
    bodyLimitBytes: 33_554_432,
    bodyBudgetBytes: 0,
    streamKeepAliveMs: 0,
    writeStallMs: 60_000,
    drainAcceptMs: 1_000,
    drainTimeoutMs: 300_000,
    healthIntervalMs: 5_000,
    replicas: 1,
    configPollMs: 10_000,
    responsesTtlMs: 3_600_000,
    responsesMax: 1_000,
    upstreamProxy: '',
    upstreamNoProxy: [],
    dnsIntervalMs: 10_000,
    kubernetesAccountDir: '/var/run/secrets/kubernetes.io/serviceaccount',
    allowLinkLocal: false,
    shedDelayMs: 1_000,
    shedHeapPercent: 85,
    ui: true,
    docs: true,
    fanout: 8,
    authEnabled: false,
    authKeyStore: 'memory',
    authKeysFile: '',
    authPublicEndpoints: ['/', '/ping', '/version', '/livez', '/readyz', '/healthz'],
    adminKey: '',
    sessionSecret: '',
    publicUrl: '',
    oidcIssuer: '',
    oidcClientId: '',
    oidcClientSecret: '',
    oidcRoleClaim: 'groups',
    oidcRoleMap: [],
    oidcAudience: '',
    oidcClientClaim: '',
    databaseUrl: '',
    timeZone: 'UTC',
    budgetStoreDown: 'allow',
    budgetWebhookUrl: '',
    budgetWebhookSecret: '',
    usageQuarterDays: 62,
    usageDays: 1_100,
    usageSpool: '',
    forceMasking: false,
    maskingPipeline: [],
    maskerPiiHost: '',
    maskingSecret: '',
    cache: false,
    cacheTtlMs: 3_600_000,
    cacheMaxBytes: 67_108_864,
    cacheSecret: '',
    forceGuardrailRequest: false,
    guardrailPipeline: [],
    naskGuardHost: '',
    sojkaGuardHost: '',
    forceGuardrailResponse: false,
    answerGuardrailPipeline: [],
    utilsPipeline: [],
    routingModels: [],
    routingThresholds: [25, 150],
    routingDefaultModel: '',
    routingIntentCode: [],
    routingIntentMath: [],
    routingIntentCreative: [],
    routingIntentGeneral: [],
    ragCollection: '',
    ragEmbedder: '',
    ragChunkSize: 1_200,
    ragChunkOverlap: 200,
    indexDir: 'resources/indexes',
    indexKey: '',
    bookInternalCalls: true,
    trustedProxies: [],
    extensions: [],
  })
  assert.deepEqual([notes, warnings], [[], []])
})

test('every setting has a variable', () => {
  const { config } = loadConfig({
    LLM_ROUTER_PROMPTS_DIR: '/p',
    LLM_ROUTER_MODELS_CONFIG: '/m.json',
    LLM_ROUTER_DEFAULT_EP_LANGUAGE: 'en',
    LLM_ROUTER_TIMEOUT: '90',
    LLM_ROUTER_EXTERNAL_TIMEOUT: '1.5',
    LLM_ROUTER_LOADING_TIMEOUT: '7',
    LLM_ROUTER_HOLD_TIMEOUT: '8',
    LLM_ROUTER_REPLICAS: '3',
    LLM_ROUTER_LOG_FILENAME: 'x.log',
    LLM_ROUTER_LOG_LEVEL: 'error',
    LLM_ROUTER_LOG_FORMAT: 'JSON',
    LLM_ROUTER_EP_PREFIX: '/llm',
    LLM_ROUTER_BASE_PATH: 'team/llm/',
    LLM_ROUTER_BALANCE_STRATEGY: 'weighted',
    LLM_ROUTER_REDIS_HOST: 'redis',
    LLM_ROUTER_REDIS_PORT: '6380',
    LLM_ROUTER_REDIS_DB: '3',
    LLM_ROUTER_REDIS_PASSWORD: 'hunter2',
    LLM_ROUTER_REDIS_URL: 'rediss://user:p%40ss@[::1]:6390/2',
    LLM_ROUTER_REDIS_SENTINEL_PASSWORD: 'hunter3',
    LLM_ROUTER_REDIS_DOWN: 'Reject',
    LLM_ROUTER_QUEUE_TIMEOUT: '.5',
    LLM_ROUTER_QUEUE_SIZE: '0',
    LLM_ROUTER_USE_SLEEPING: 'fallback',
    LLM_ROUTER_SERVER_TYPE: 'cluster',
    LLM_ROUTER_SERVER_PORT: '0',
    LLM_ROUTER_SERVER_HOST: '127.0.0.1',
    LLM_ROUTER_ADMIN_PORT: '9090',
    LLM_ROUTER_SERVER_WORKERS_COUNT: '4',
    LLM_ROUTER_USE_PROMETHEUS: '1',
    LLM_ROUTER_STREAM_DEFAULT: 'True',
    LLM_ROUTER_BODY_LIMIT: '1_000_000',
    LLM_ROUTER_BODY_BUDGET: '5_000_000',
    LLM_ROUTER_STREAM_KEEPALIVE: '20',
    LLM_ROUTER_WRITE_STALL_TIMEOUT: '2.5',
    LLM_ROUTER_DRAIN_ACCEPT: '0',
    LLM_ROUTER_DRAIN_TIMEOUT: '30',
    LLM_ROUTER_HEALTH_INTERVAL: '0.5',
    LLM_ROUTER_CONFIG_POLL: '2.5',
    LLM_ROUTER_RESPONSES_TTL: '60',
    LLM_ROUTER_RESPONSES_MAX: '0',
    LLM_ROUTER_DNS_INTERVAL: '0.5',
    LLM_ROUTER_KUBERNETES_ACCOUNT_DIR: '/account',
    LLM_ROUTER_ALLOW_LINK_LOCAL: '1',
    LLM_ROUTER_UPSTREAM_PROXY: 'http://me:p@proxy:3128',
    LLM_ROUTER_UPSTREAM_NO_PROXY: 'example.com, 203.0.113.0/24',
    LLM_ROUTER_SHED_DELAY: '0.5',
    LLM_ROUTER_SHED_HEAP: '70',
    LLM_ROUTER_ROUTE_HEADERS: '1',
    LLM_ROUTER_UI: '0',
    LLM_ROUTER_DOCS: '0',
    LLM_ROUTER_FANOUT: '3',
    LLM_ROUTER_AUTH_ENABLED: ' Yes ',
    LLM_ROUTER_AUTH_KEY_STORE: 'Memory',
    LLM_ROUTER_AUTH_MEMORY_SEED_FILE: '/k.json',
    LLM_ROUTER_AUTH_PUBLIC_ENDPOINTS: '/ping, /models',
    LLM_ROUTER_ADMIN_KEY: 'an-operator-key-of-32-characters',
    LLM_ROUTER_SESSION_SECRET: 'a-secret-of-sessions-of-40-characters-ab',
    LLM_ROUTER_PUBLIC_URL: 'https://llm.example.com/team',
    LLM_ROUTER_OIDC_ISSUER: 'https://login.example.com/realms/x',
    LLM_ROUTER_OIDC_CLIENT_ID: 'router',
    LLM_ROUTER_OIDC_CLIENT_SECRET: 'oidc-secret',
    LLM_ROUTER_OIDC_ROLE_CLAIM: 'realm_access.roles',
    LLM_ROUTER_OIDC_ROLE_MAP: 'cn=admins=admin, staff=viewer',
    LLM_ROUTER_OIDC_AUDIENCE: 'https://llm.example.com',
    LLM_ROUTER_OIDC_CLIENT_CLAIM: 'azp',
    LLM_ROUTER_DATABASE_URL: 'postgres://router:secret@db/router',
    LLM_ROUTER_TIME_ZONE: 'Asia/Kathmandu',
    LLM_ROUTER_BUDGET_STORE_DOWN: 'refuse',
    LLM_ROUTER_BUDGET_WEBHOOK_URL: 'https://hooks.example.org/budgets',
    LLM_ROUTER_BUDGET_WEBHOOK_SECRET: 'a-secret-of-32-characters-or-so',
    LLM_ROUTER_USAGE_QUARTER_DAYS: '40',
    LLM_ROUTER_USAGE_DAYS: '400',
    LLM_ROUTER_USAGE_SPOOL: '/spool',
    LLM_ROUTER_FORCE_MASKING: 'yes',
    LLM_ROUTER_MASKING_STRATEGY_PIPELINE: 'fast_masker, pii_masker',
    LLM_ROUTER_MASKER_PII_HOST: 'http://masker:8000',
    LLM_ROUTER_MASKING_SECRET: 'another-secret-of-32-characters',
    LLM_ROUTER_CACHE: 'on',
    LLM_ROUTER_CACHE_TTL: '60',
    LLM_ROUTER_CACHE_MAX_BYTES: '1000000',
    LLM_ROUTER_CACHE_SECRET: 'a-third-secret-of-32-characters',
    LLM_ROUTER_FORCE_GUARDRAIL_REQUEST: '1',
    LLM_ROUTER_GUARDRAIL_STRATEGY_PIPELINE_REQUEST: 'nask_guard,sojka_guard',
    LLM_ROUTER_GUARDRAIL_NASK_GUARD_HOST: 'http://nask:5000',
    LLM_ROUTER_GUARDRAIL_SOJKA_GUARD_HOST: 'http://sojka:5000',
    LLM_ROUTER_FORCE_GUARDRAIL_RESPONSE: '1',
    LLM_ROUTER_GUARDRAIL_STRATEGY_PIPELINE_RESPONSE: 'sojka_guard',
    LLM_ROUTER_UTILS_PLUGINS_PIPELINE: 'simple_semantic_routing,langchain_rag',
    LLM_ROUTER_ROUTING_MODELS: 'small | large',
    LLM_ROUTER_ROUTING_COMPLEXITY_THRESHOLDS: '10|90',
    LLM_ROUTER_ROUTING_DEFAULT_MODEL: 'large',
    LLM_ROUTER_ROUTING_INTENT_CODE: 'helm chart:3|yaml',
    LLM_ROUTER_ROUTING_INTENT_MATH: 'sum',
    LLM_ROUTER_ROUTING_INTENT_CREATIVE: 'tale',
    LLM_ROUTER_ROUTING_INTENT_GENERAL: 'hey',
    LLM_ROUTER_LANGCHAIN_RAG_COLLECTION: 'docs',
    LLM_ROUTER_LANGCHAIN_RAG_EMBEDDER: 'embed',
    LLM_ROUTER_LANGCHAIN_RAG_CHUNK_SIZE: '800',
    LLM_ROUTER_LANGCHAIN_RAG_CHUNK_OVERLAP: '80',
    LLM_ROUTER_INDEX_DIR: '/var/lib/indexes',
    LLM_ROUTER_INDEX_KEY: 'sk-index',
    LLM_ROUTER_BOOK_INTERNAL_CALLS: 'no',
    LLM_ROUTER_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    LLM_ROUTER_EXTENSIONS: ' ./a.ts, ,b ,',
  })
  assert.deepEqual(config, {
    promptsDir: '/p',
    modelsConfigPath: '/m.json',
    defaultLanguage: 'en',
    timeoutMs: 90_000,
    externalTimeoutMs: 1500,
    loadingTimeoutMs: 7000,
    holdTimeoutMs: 8000,
    logFilename: 'x.log',
    logLevel: 'error',
    logFormat: 'json',
    endpointPrefix: '/llm',
    basePath: '/team/llm',
    inDebug: false,
    balanceStrategy: 'weighted',
    redisHost: 'redis',
    redisPort: 6380,
    redisDb: 3,
    redisPassword: 'hunter2',
    redisUrl: 'rediss://user:p%40ss@[::1]:6390/2',
    redisSentinelPassword: 'hunter3',
    redisDown: 'reject',
    queueTimeoutMs: 500,
    queueSize: 0,
    useSleeping: 'fallback',
    serverType: 'cluster',
    serverPort: 0,
    serverHost: '127.0.0.1',
    adminPort: 9090,
    workersCount: 4,
    usePrometheus: true,
    streamDefault: 'true',
    bodyLimitBytes: 1_000_000,
    bodyBudgetBytes: 5_000_000,
    streamKeepAliveMs: 20_000,
    writeStallMs: 2_500,
    drainAcceptMs: 0,
    drainTimeoutMs: 30_000,
    healthIntervalMs: 500,
    replicas: 3,
    configPollMs: 2_500,
    responsesTtlMs: 60_000,
    responsesMax: 0,
    upstreamProxy: 'http://me:p@proxy:3128',
    upstreamNoProxy: ['example.com', '203.0.113.0/24'],
    dnsIntervalMs: 500,
    kubernetesAccountDir: '/account',
    allowLinkLocal: true,
    shedDelayMs: 500,
    shedHeapPercent: 70,
    routeHeaders: true,
    ui: false,
    docs: false,
    fanout: 3,
    authEnabled: true,
    authKeyStore: 'memory',
    authKeysFile: '/k.json',
    authPublicEndpoints: ['/ping', '/models'],
    adminKey: 'an-operator-key-of-32-characters',
    sessionSecret: 'a-secret-of-sessions-of-40-characters-ab',
    publicUrl: 'https://llm.example.com/team',
    oidcIssuer: 'https://login.example.com/realms/x',
    oidcClientId: 'router',
    oidcClientSecret: 'oidc-secret',
    oidcRoleClaim: 'realm_access.roles',
    oidcRoleMap: ['cn=admins=admin', 'staff=viewer'],
    oidcAudience: 'https://llm.example.com',
    oidcClientClaim: 'azp',
    databaseUrl: 'postgres://router:secret@db/router',
    timeZone: 'Asia/Kathmandu',
    budgetStoreDown: 'refuse',
    budgetWebhookUrl: 'https://hooks.example.org/budgets',
    budgetWebhookSecret: 'a-secret-of-32-characters-or-so',
    usageQuarterDays: 40,
    usageDays: 400,
    usageSpool: '/spool',
    forceMasking: true,
    maskingPipeline: ['fast_masker', 'pii_masker'],
    maskerPiiHost: 'http://masker:8000',
    maskingSecret: 'another-secret-of-32-characters',
    cache: true,
    cacheTtlMs: 60_000,
    cacheMaxBytes: 1_000_000,
    cacheSecret: 'a-third-secret-of-32-characters',
    forceGuardrailRequest: true,
    guardrailPipeline: ['nask_guard', 'sojka_guard'],
    naskGuardHost: 'http://nask:5000',
    sojkaGuardHost: 'http://sojka:5000',
    forceGuardrailResponse: true,
    answerGuardrailPipeline: ['sojka_guard'],
    utilsPipeline: ['simple_semantic_routing', 'langchain_rag'],
    routingModels: ['small', 'large'],
    routingThresholds: [10, 90],
    routingDefaultModel: 'large',
    routingIntentCode: ['helm chart:3', 'yaml'],
    routingIntentMath: ['sum'],
    routingIntentCreative: ['tale'],
    routingIntentGeneral: ['hey'],
    ragCollection: 'docs',
    ragEmbedder: 'embed',
    ragChunkSize: 800,
    ragChunkOverlap: 80,
    indexDir: '/var/lib/indexes',
    indexKey: 'sk-index',
    bookInternalCalls: false,
    trustedProxies: ['10.0.0.0/8', '::1'],
    extensions: ['./a.ts', 'b'],
  })
})

test('booleans accept words for yes and no in any case, with surrounding white space', () => {
  for (const yes of ['true', '1', 't', 'y', 'yes', 'tak', 'on', ' TRUE ', 'Tak'])
    assert.equal(set('USE_PROMETHEUS', yes).usePrometheus, true, yes)
  for (const no of ['false', '0', 'f', 'n', 'no', 'nie', 'off', '', ' OFF '])
    assert.equal(set('USE_PROMETHEUS', no).usePrometheus, false, no)
  assert.match(
    errorsOf({ LLM_ROUTER_IN_DEBUG: 'maybe' })[0] ?? '',
    /^LLM_ROUTER_IN_DEBUG: "maybe" is not one of: true, 1/,
  )
})

test('integers accept the notation of Python', () => {
  assert.equal(set('SERVER_PORT', ' 8_080 ').serverPort, 8080)
  assert.equal(set('SERVER_PORT', '+0080').serverPort, 80)
  for (const bad of ['80a', '1__0', '_1', '8080.0', '-1', '65536', '0x50', '1e3']) {
    assert.deepEqual(errorsOf({ LLM_ROUTER_SERVER_PORT: bad }), [
      `LLM_ROUTER_SERVER_PORT: ${JSON.stringify(bad)} is not an integer from 0 to 65535`,
    ])
  }
})

test('an empty variable counts as unset', () => {
  assert.equal(set('SERVER_PORT', '').serverPort, 8080)
  assert.equal(set('LOG_LEVEL', ' ').logLevel, 'info')
  assert.equal(set('MODELS_CONFIG', '').modelsConfigPath, 'resources/configs/models-config.json')
})

test('an empty log file name disables the file', () => {
  assert.equal(set('LOG_FILENAME', '').logFilename, '')
})

test('timeouts are in seconds, with decimals', () => {
  assert.equal(set('EXTERNAL_TIMEOUT', '.25').externalTimeoutMs, 250)
  assert.equal(set('TIMEOUT', '0').timeoutMs, 0)
  for (const bad of ['0', '-1', '0.0001', 'x', '5s', '.', '1e3', '9999999'])
    assert.equal(errorsOf({ LLM_ROUTER_EXTERNAL_TIMEOUT: bad }).length, 1, bad)
  assert.equal(errorsOf({ LLM_ROUTER_TIMEOUT: '-0.5' }).length, 1)
})

test('log levels are accepted in any case and by their Python names', () => {
  const expected = {
    INFO: 'info',
    Warning: 'warn',
    CRITICAL: 'fatal',
    NOTSET: 'trace',
    TRACE: 'trace',
    Debug: 'debug',
  }
  for (const [written, level] of Object.entries(expected))
    assert.equal(set('LOG_LEVEL', written).logLevel, level)
  assert.deepEqual(errorsOf({ LLM_ROUTER_LOG_LEVEL: 'loud' }), [
    'LLM_ROUTER_LOG_LEVEL: "loud" is not one of: trace, debug, info, warn, error, fatal',
  ])
})

test('a Redis address names a server, a cluster or Sentinels; an invalid one is rejected without being shown', () => {
  const right = [
    ...[
      'redis://h',
      'redis://h:6379',
      'redis://:pw@h.example/1',
      'rediss://10.0.0.1:6390/',
      'redis://u:p%2Fw@h',
    ],
    ...[
      'redis://a:1,b:2',
      'rediss://:pw@a,b,[::1]:7000/0',
      'redis+cluster://h',
      'rediss+cluster://u:pw@h:7000',
    ],
    ...[
      'redis+sentinel://:pw@a:26379,b:26379/mymaster',
      'rediss+sentinel://[::1]/m/3',
      'redis+sentinel://a/m/',
    ],
  ]
  for (const url of right) assert.equal(set('REDIS_URL', url).redisUrl, url)
  const wrong: Record<string, RegExp> = {
    'redis-sentinel://secret:26379/mymaster': /is not an address like redis:/,
    'secret:6379': /is not an address like redis:/,
    'redis://': /host 1 is not a name or an address with a port/,
    'redis://secret,': /host 2 is not a name/,
    'redis://secret:0': /host 1 is not a name or an address with a port from 1 to 65535/,
    'redis://secret:70000': /host 1/,
    'redis://:sec/ret@h': /host 1 is not a name|percent-encode/,
    'redis://:sec#ret@h': /percent-encode/,
    'redis://:secret%zz@h': /not percent-encoded correctly/,
    'redis://secret/x': /database is not a number from 0 to 65535/,
    'redis://secret/1/2': /database is not a number/,
    'redis://secret,b/1': /a cluster only has database 0/,
    'redis+cluster://secret/2': /a cluster only has database 0/,
    'redis+sentinel://secret:26379': /lacks the name of the master: redis\+sentinel:\/\/host1/,
    'redis+sentinel://secret:26379/m/x': /database is not a number/,
    'redis+sentinel://secret:26379/m?db=1': /percent-encode/,
  }
  for (const [url, why] of Object.entries(wrong)) {
    const errors = errorsOf({ LLM_ROUTER_REDIS_URL: url })
    assert.equal(errors.length, 1, url)
    assert.match(errors[0] ?? '', /^LLM_ROUTER_REDIS_URL: /)
    assert.match(errors[0] ?? '', why, url)
    assert.doesNotMatch(errors[0] ?? '', /sec/, url)
  }
  assert.deepEqual(errorsOf({ LLM_ROUTER_REDIS_URL: 'redis://a,b', LLM_ROUTER_REDIS_DB: '1' }), [
    'LLM_ROUTER_REDIS_DB: a cluster only has database 0',
  ])
})

test('a start with a Redis Cluster warns that the Python router does not see its leases', () => {
  const notes = (url: string) => loadConfig({ LLM_ROUTER_REDIS_URL: url }).notes.join()
  assert.match(
    notes('redis+cluster://h'),
    /in a Redis Cluster leases are not shared with the Python llm-router/,
  )
  assert.equal(notes('redis://h'), '')
})

test('debug mode sets the log level to debug or lower', () => {
  const level = (name: string) =>
    loadConfig({ LLM_ROUTER_IN_DEBUG: '1', LLM_ROUTER_LOG_LEVEL: name }).config.logLevel
  assert.equal(level('error'), 'debug')
  assert.equal(level('trace'), 'trace')
})

test('the endpoint prefix gets one leading slash and no trailing one, and may be empty', () => {
  const expected = { api: '/api', '/api/': '/api', '//a/b//': '/a/b', '/': '', '': '', ' ': '' }
  for (const [written, prefix] of Object.entries(expected))
    assert.equal(set('EP_PREFIX', written).endpointPrefix, prefix, written)
  for (const bad of ['/a b', '/:id', '/a?b', '/a//b', '/*'])
    assert.equal(errorsOf({ LLM_ROUTER_EP_PREFIX: bad }).length, 1, bad)
})

test('the Python server names are mapped to a server type, with a note', () => {
  const expected = { flask: 'single', Waitress: 'single', GUNICORN: 'cluster' }
  for (const [written, type] of Object.entries(expected)) {
    const { config, notes } = loadConfig({ LLM_ROUTER_SERVER_TYPE: written })
    assert.equal(config.serverType, type)
    assert.deepEqual(notes, [`LLM_ROUTER_SERVER_TYPE: means "${type}" here`])
  }
  assert.deepEqual(loadConfig({ LLM_ROUTER_SERVER_TYPE: 'cluster' }).notes, [])
  assert.deepEqual(errorsOf({ LLM_ROUTER_SERVER_TYPE: 'uwsgi' }), [
    'LLM_ROUTER_SERVER_TYPE: "uwsgi" is not one of: single (also flask, waitress), cluster (also gunicorn)',
  ])
})

test('all invalid values are reported together', () => {
  const errors = errorsOf({
    LLM_ROUTER_SERVER_PORT: 'x',
    LLM_ROUTER_REDIS_PORT: '0',
    LLM_ROUTER_STREAM_DEFAULT: 'sometimes',
    LLM_ROUTER_SERVER_WORKERS_COUNT: '0',
  })
  assert.deepEqual(errors.map((error) => error.slice(0, error.indexOf(':'))).toSorted(), [
    'LLM_ROUTER_REDIS_PORT',
    'LLM_ROUTER_SERVER_PORT',
    'LLM_ROUTER_SERVER_WORKERS_COUNT',
    'LLM_ROUTER_STREAM_DEFAULT',
  ])
})

test('a value that looks like a reference to another variable is a warning', () => {
  const { warnings } = loadConfig({ LLM_ROUTER_REDIS_PASSWORD: 'os.environ/REDIS_PASSWORD' })
  assert.deepEqual(warnings, [
    'LLM_ROUTER_REDIS_PASSWORD: its value looks like a reference to an environment variable, but is used literally',
  ])
})

test('variables of the Python llm-router without an effect here are accepted with one line each', () => {
  const { notes, warnings } = loadConfig({
    LLM_ROUTER_MINIMUM: 'false',
    LLM_ROUTER_SERVER_THREADS_COUNT: '8',
    LLM_ROUTER_SERVER_WORKER_CLASS: 'gevent',
    LLM_ROUTER_SERVER_WORKERS_COUNT: '4',
    LLM_ROUTER_LOG_TO_FILE: '1',
    LLM_ROUTER_ALLOW_UNPROTECTED: 'hunter2',
    LLM_ROUTER_LANGCHAIN_RAG_DEVICE: 'cuda',
    LLM_ROUTER_LANGCHAIN_RAG_PERSIST_DIR: '/data',
    LLM_ROUTER_ROUTING_SEMANTIC_BIENCODER_MODEL: 'x',
    LLM_ROUTER_AUTH_DEFAULT_RATE_LIMIT: '60',
    LLM_ROUTER_AUTH_KEY_STORE: '',
  })
  assert.deepEqual(warnings, [])
  assert.deepEqual(
    notes.map((note) => note.slice(0, note.indexOf(':'))),
    [
      'LLM_ROUTER_ALLOW_UNPROTECTED',
      'LLM_ROUTER_AUTH_DEFAULT_RATE_LIMIT',
      'LLM_ROUTER_LANGCHAIN_RAG_DEVICE',
      'LLM_ROUTER_LANGCHAIN_RAG_PERSIST_DIR',
      'LLM_ROUTER_LOG_TO_FILE',
      'LLM_ROUTER_MINIMUM',
      'LLM_ROUTER_ROUTING_SEMANTIC_BIENCODER_MODEL',
      'LLM_ROUTER_SERVER_THREADS_COUNT',
      'LLM_ROUTER_SERVER_WORKERS_COUNT',
      'LLM_ROUTER_SERVER_WORKER_CLASS',
    ],
  )
  assert.doesNotMatch(notes.join(), /hunter2/)
})

test('an audit of contents stops the start, because contents are never stored', () => {
  for (const name of [
    'MASKING_WITH_AUDIT',
    'GUARDRAIL_WITH_AUDIT_REQUEST',
    'GUARDRAIL_WITH_AUDIT_RESPONSE',
  ]) {
    const variable = `LLM_ROUTER_${name}`
    assert.match(
      errorsOf({ [variable]: '1' }).join(),
      new RegExp(`^${variable}: this router never stores the content`),
    )
    assert.deepEqual(errorsOf({ [variable]: '0' }), [])
  }
})

test('guardrails require their services', () => {
  for (const what of ['REQUEST', 'RESPONSE']) {
    const forced = { [`LLM_ROUTER_FORCE_GUARDRAIL_${what}`]: '1' }
    const pipeline = `LLM_ROUTER_GUARDRAIL_STRATEGY_PIPELINE_${what}`
    assert.match(errorsOf(forced).join(), new RegExp(`${pipeline} must name nask_guard or sojka_guard`))
    const named = { ...forced, [pipeline]: 'sojka_guard' }
    assert.match(errorsOf(named).join(), /^LLM_ROUTER_GUARDRAIL_SOJKA_GUARD_HOST: required/)
    assert.deepEqual(errorsOf({ ...named, LLM_ROUTER_GUARDRAIL_SOJKA_GUARD_HOST: 'http://sojka' }), [])
  }
})

test('masking requires a secret if several hosts share it, and the address of its service', () => {
  const secret = 'a-secret-of-32-characters-or-so'
  const several = { LLM_ROUTER_FORCE_MASKING: '1', LLM_ROUTER_REDIS_HOST: 'redis' }
  assert.match(errorsOf(several).join(), /^LLM_ROUTER_MASKING_SECRET must be set/)
  assert.deepEqual(errorsOf({ ...several, LLM_ROUTER_MASKING_SECRET: secret }), [])
  assert.match(errorsOf({ LLM_ROUTER_MASKING_SECRET: 'short' }).join(), /MASKING_SECRET: needs at least 20/)
  const pipeline = { LLM_ROUTER_MASKING_STRATEGY_PIPELINE: 'fast_masker,pii_masker' }
  assert.match(errorsOf(pipeline).join(), /^LLM_ROUTER_MASKER_PII_HOST: required with pii_masker/)
  assert.match(
    errorsOf({ LLM_ROUTER_MASKING_STRATEGY_PIPELINE: 'magic' }).join(),
    /fast_masker and pii_masker/,
  )
})

test('an operator key is never shown, and a short one is a warning', () => {
  const errors = errorsOf({ LLM_ROUTER_ADMIN_KEY: 'hunter2 hunter2' })
  assert.match(errors.join(), /^LLM_ROUTER_ADMIN_KEY: the value is not a key of visible ASCII/)
  const { warnings } = loadConfig({ LLM_ROUTER_ADMIN_KEY: 'hunter2' })
  assert.match(warnings.join(), /^LLM_ROUTER_ADMIN_KEY: a key of fewer than 20 characters/)
  assert.doesNotMatch(`${errors}${warnings}`, /hunter2/)
  assert.deepEqual(loadConfig({ LLM_ROUTER_ADMIN_KEY: 'k'.repeat(20) }).warnings, [])
})

test('client keys that are enabled but not available stop the start', () => {
  const auth = { LLM_ROUTER_AUTH_ENABLED: '1' }
  const file = { LLM_ROUTER_AUTH_MEMORY_SEED_FILE: '/k.json' }
  assert.match(errorsOf(auth).join(), /^LLM_ROUTER_AUTH_ENABLED: LLM_ROUTER_AUTH_MEMORY_SEED_FILE must name/)
  for (const store of ['redis', 'vault']) {
    const errors = errorsOf({ ...auth, ...file, LLM_ROUTER_AUTH_KEY_STORE: store })
    assert.match(
      errors.join(),
      new RegExp(`^LLM_ROUTER_AUTH_KEY_STORE: this router does not store keys in "${store}"`),
    )
  }
  assert.match(errorsOf({ LLM_ROUTER_AUTH_ENABLED: 'enabled' }).join(), /"enabled" is not one of: true/)
  assert.match(
    errorsOf({ LLM_ROUTER_TRUSTED_PROXIES: '10.0.0.0/8, any' }).join(),
    /is not a list of addresses/,
  )
  assert.match(errorsOf({ LLM_ROUTER_AUTH_PUBLIC_ENDPOINTS: 'ping' }).join(), /is not a list of paths/)
  assert.deepEqual(errorsOf({ ...auth, ...file }), [])
})

test('a keys file without LLM_ROUTER_AUTH_ENABLED is a warning', () => {
  const { warnings } = loadConfig({ LLM_ROUTER_AUTH_MEMORY_SEED_FILE: '/k.json' })
  assert.match(warnings.join(), /NOT authenticated/)
})

test('an unknown variable is a warning that suggests a similar name and does not show the value', () => {
  const warningOf = (name: string) => loadConfig({ [name]: 'hunter2' }).warnings.join()
  assert.match(warningOf('LLM_ROUTER_SERVER_PROT'), /did you mean LLM_ROUTER_SERVER_PORT\?/)
  assert.match(warningOf('LLM_ROUTER_SERVER_WORKERS'), /did you mean LLM_ROUTER_SERVER_WORKERS_COUNT\?/)
  assert.match(warningOf('LLM_ROUTER_server_port'), /did you mean LLM_ROUTER_SERVER_PORT\?/)
  const far = warningOf('LLM_ROUTER_QUUX')
  assert.match(far, /LLM_ROUTER_QUUX is unknown/)
  assert.doesNotMatch(far, /did you mean|hunter2/)
})

test('variables that Kubernetes sets for a service named llm-router cause no warning', () => {
  const { notes, warnings } = loadConfig({
    LLM_ROUTER_SERVICE_HOST: '10.0.0.1',
    LLM_ROUTER_SERVICE_PORT_HTTP: '8080',
    LLM_ROUTER_PORT: 'tcp://10.0.0.1:8080',
    LLM_ROUTER_PORT_8080_TCP_ADDR: '10.0.0.1',
  })
  assert.deepEqual([notes, warnings], [[], []])
  assert.equal(loadConfig({ LLM_ROUTER_PORT: '9000' }).warnings.length, 1)
})
