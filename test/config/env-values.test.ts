import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/settings/settings.ts'
import { errorsOf, set } from './env.ts'

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
    'redis://h',
    'redis://h:6379',
    'redis://:pw@h.example/1',
    'rediss://10.0.0.1:6390/',
    'redis://u:p%2Fw@h',
    'redis://a:1,b:2',
    'rediss://:pw@a,b,[::1]:7000/0',
    'redis+cluster://h',
    'rediss+cluster://u:pw@h:7000',
    'redis+sentinel://:pw@a:26379,b:26379/mymaster',
    'rediss+sentinel://[::1]/m/3',
    'redis+sentinel://a/m/',
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
