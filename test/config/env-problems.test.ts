import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/settings/settings.ts'
import { errorsOf } from './env.ts'

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

test('the admin port cannot be the main port', () => {
  assert.deepEqual(errorsOf({ LLM_ROUTER_ADMIN_PORT: '8080' }), [
    'LLM_ROUTER_ADMIN_PORT: 8080 is already the main port (LLM_ROUTER_SERVER_PORT)',
  ])
  assert.equal(loadConfig({ LLM_ROUTER_SERVER_PORT: '0', LLM_ROUTER_ADMIN_PORT: '0' }).config.adminPort, 0)
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

test('a Redis host with a port or as a URL is an error that names the right variable, without the value', () => {
  for (const host of ['redis:6379', 'redis://:hunter2@redis:6379', 'redis/1'])
    assert.deepEqual(errorsOf({ LLM_ROUTER_REDIS_HOST: host }), [
      'LLM_ROUTER_REDIS_HOST: the value is not a hostname or an address; LLM_ROUTER_REDIS_PORT sets the port, and LLM_ROUTER_REDIS_URL takes a URL',
    ])
  for (const host of ['redis', 'redis.example.com', '10.0.0.1', '::1', 'fd00::6:1'])
    assert.deepEqual(errorsOf({ LLM_ROUTER_REDIS_HOST: host }), [])
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
