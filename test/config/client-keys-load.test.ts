import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { loadClientKeys } from '../../src/config/client-keys/load.ts'
import { ConfigError } from '../../src/sdk/errors.ts'

const long = 'sk-0123456789abcdefghij'
/** In the notation of the file. */
const fromEnv = ['$', '{K}'].join('')
const hex = createHash('sha256').update(long).digest('hex')

function load(root: unknown, env: Record<string, string> = {}) {
  return loadClientKeys(typeof root === 'string' ? root : JSON.stringify(root), 'keys.json', env)
}

/** The only client of a file with this record. */
function clientOf(record: object, env?: Record<string, string>) {
  const [entry] = load({ keys: [record] }, env).entries
  assert.ok(entry)
  return entry
}

function errorsOf(root: unknown, env?: Record<string, string>): string {
  try {
    load(root, env)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.errors.join('\n')
  }
  return ''
}

test('a record with only a key has all client surfaces and no limits', () => {
  const { client, sha256 } = clientOf({ id: 'a', key: long })
  assert.equal(sha256.toString('hex'), hex)
  assert.deepEqual(
    [client.id, client.enabled, client.expiresAt, client.limits],
    ['a', true, undefined, undefined],
  )
  assert.deepEqual([...client.surfaces], ['openai', 'anthropic', 'gemini', 'ollama', 'text'])
  assert.equal(client.mayUse('anything'), true)
})

test('a key may come from a variable or be given as its SHA-256, in upper or lower case', () => {
  for (const record of [
    { key: fromEnv },
    { sha256: hex },
    { sha256: hex.toUpperCase() },
    { key_plain: long },
  ])
    assert.equal(clientOf(record, { K: `${long}\n` }).sha256.toString('hex'), hex)
  assert.match(
    errorsOf({ keys: [{ key: fromEnv }] }),
    /keys\[0\]\.key: the environment variable K is not set/,
  )
})

test('each limit is read', () => {
  const { client } = clientOf({
    key: long,
    max_concurrent: 4,
    requests_per_minute: '60',
    tokens_per_minute: 1000,
    max_tokens: 100,
  })
  assert.deepEqual(client.limits, { concurrent: 4, requests: 60, tokens: 1000 })
  assert.equal(client.maxTokens, 100)
})

test('a star in a model pattern matches any characters, and every other character matches itself', () => {
  const { mayUse } = clientOf({ key: long, models: ['gpt-*', 'a.c', '*/llama-*-8b', 'ż'] }).client
  for (const name of ['gpt-', 'gpt-4.1', 'a.c', 'meta/llama-3-8b', '/llama--8b', 'ż'])
    assert.ok(mayUse(name), name)
  // The last two look like names in the list: another composition of ż, and a Cyrillic a.
  for (const name of [
    'GPT-4',
    'xgpt-4',
    'abc',
    'llama-3-8b',
    'meta/llama-3-8b ',
    'gpt',
    'z\u0307',
    '\u0430.c',
  ])
    assert.ok(!mayUse(name), name)
})

test('an empty list of models permits none', () => {
  assert.equal(clientOf({ key: long, models: [] }).client.mayUse('m'), false)
})

test('expires_at is a time, a day or a number of seconds', () => {
  const end = (expires_at: unknown) => clientOf({ key: long, expires_at }).client.expiresAt
  assert.equal(end('2027-01-31T00:00:00Z'), Date.UTC(2027, 0, 31))
  assert.equal(end('2027-01-31T02:00:00+02:00'), Date.UTC(2027, 0, 31))
  assert.equal(end('2027-01-31'), Date.UTC(2027, 0, 31))
  assert.equal(end(1_700_000_000), 1_700_000_000_000)
  assert.equal(end(null), undefined)
  for (const expires_at of ['tomorrow', '2027-13-01', '31.01.2027', true])
    assert.match(errorsOf({ keys: [{ key: long, expires_at }] }), /keys\[0\]\.expires_at: .* is not a time/)
})

test('a client may have several keys: strings, objects, and one at the top level', () => {
  const { clients, entries } = load(
    {
      keys: [
        {
          id: 'a',
          key: `${long}1`,
          expires_at: '2027-01-31',
          keys: [
            `${long}2`,
            { id: 'laptop', sha256: hex, expires_at: '2028-01-01' },
            { key: fromEnv, expires_at: '2026-12-01', enabled: false },
          ],
        },
      ],
    },
    { K: `${long}3` },
  )
  assert.deepEqual(
    clients.map(({ id, enabled }) => [id, enabled]),
    [['a', true]],
  )
  assert.deepEqual(
    entries.map(({ client: { id, keyId, enabled, expiresAt } }) => [id, keyId, enabled, expiresAt]),
    [
      ['a', undefined, true, Date.UTC(2027, 0, 31)],
      ['a', undefined, true, Date.UTC(2027, 0, 31)],
      ['a', 'laptop', true, Date.UTC(2027, 0, 31)],
      ['a', undefined, false, Date.UTC(2026, 11, 1)],
    ],
  )
})

test('an error in one of several keys names its path, and no key', () => {
  const keys = [long, { key: 'a b' }, { kye: long }, 7, { key: long }]
  const errors = errorsOf({ keys: [{ id: 'a', keys }] })
  assert.match(errors, /keys\[0\]\.keys\[2\]\.kye: no such field/)
  assert.match(errors, /keys\[0\]\.keys\[3\]: 7 is not/)
  assert.ok(!errors.includes(long))
  assert.match(
    errorsOf({ keys: [{ id: 'a', keys: [{ key: 'a b' }] }] }),
    /keys\[0\]\.keys\[0\]\.key: contains a space/,
  )
  assert.match(errorsOf({ keys: [{ id: 'a', keys: [long, long] }] }), /"a" and "a" have the same key/)
  assert.match(errorsOf({ keys: [{ id: 'a', keys: [] }] }), /keys\[0\]: needs a "key"/)
  assert.match(errorsOf({ keys: [{ id: 'a', keys: long }] }), /keys\[0\]\.keys: .* is not a list of keys/)
})

test('a keys file of the Python llm-router is read, with the policies of its records', () => {
  const { entries, warnings } = load([
    {
      key_plain: `${long}1`,
      key_id: 'dev-1',
      policy_name: 'developer',
      is_active: true,
      metadata: {},
      created_at: 1,
    },
    { key_plain: `${long}2`, is_active: false },
    { key_plain: `${long}3`, policy_override: { rate_limit: 5, model_whitelist: ['m'], ip_whitelist: null } },
    { key_plain: `${long}4`, policy_override: { can_access: false, rate_limit: 0 } },
  ])
  const clients = entries.map(({ client }) => client)
  assert.deepEqual(
    clients.map(({ id, enabled, limits, models }) => ({ id, enabled, limits, models })),
    [
      { id: 'dev-1', enabled: true, limits: undefined, models: undefined },
      { id: 'key-2', enabled: false, limits: undefined, models: undefined },
      { id: 'key-3', enabled: true, limits: { requests: 5 }, models: ['m'] },
      { id: 'key-4', enabled: false, limits: undefined, models: undefined },
    ],
  )
  assert.match(warnings.join(), /keys\[0\]\.policy_name: has no effect/)
})

test('an unsupported protection in a record of the Python llm-router stops the start', () => {
  const text = errorsOf([
    { key_plain: long, policy_override: { ip_whitelist: ['10.0.0.1'], budget_monthly_tokens: 5 } },
  ])
  assert.match(text, /keys\[0\]\.policy_override\.ip_whitelist: .*not supported/)
  assert.match(text, /keys\[0\]\.policy_override\.budget_monthly_tokens: 5 is not supported/)
  assert.match(errorsOf([{ key_hash: '$2b$12$x' }]), /bcrypt/)
})

test('an error names file, line, column and path, and never a key', () => {
  const text = `{
  "keys": [
    { "id": "a", "key": "${long}" },
    { "id": "b c",
      "key": ["${long}"],
      "modles": ["m"],
      "max_tokens": 0 }
  ]
}`
  const errors = errorsOf(text)
  assert.match(errors, /^keys\.json:4:13: keys\[1\]\.id: "b c" is not up to 64 letters/m)
  assert.match(errors, /^keys\.json:5:14: keys\[1\]\.key: .* is not a string/m)
  assert.match(errors, /^keys\.json:6:17: keys\[1\]\.modles: no such field; did you mean "models"\?/m)
  assert.match(errors, /^keys\.json:7:21: keys\[1\]\.max_tokens: 0 is not an integer from 1/m)
  assert.ok(!errors.includes(long))
})

test('a keys file may have comments and trailing commas, and a repeated member is an error with its position', () => {
  const { entries } = loadClientKeys(`// team\n{"keys": [{"id": "a", "key": "${long}",},],}`, 'keys.json', {})
  assert.equal(entries[0]?.client.id, 'a')
  assert.equal(
    errorsOf(`{"keys": [ // team\n{"id": "a",\n"key": "${long}", "id": "b",}]}`),
    'keys.json:3:41: keys[0].id: occurs more than once',
  )
})

test('invalid JSON is reported with its position and without its text', () => {
  assert.equal(
    errorsOf(`{"keys": [\n{"key": "${long}",,}]}`),
    'keys.json:2:35: not valid JSON from here on: expected a name in double quotes',
  )
})

test('keys files without keys, or with duplicate ids or keys, are rejected', () => {
  assert.match(errorsOf({ keys: [] }), /keys\.json:1:9: keys: contains no key/)
  assert.match(errorsOf([]), /contains no key/)
  assert.match(errorsOf({ key: [] }), /not an object with a list "keys"/)
  assert.match(errorsOf('7'), /not an object with a list "keys"/)
  assert.match(errorsOf({ keys: [{ id: 'a' }] }), /keys\[0\]: needs a "key"/)
  assert.match(errorsOf({ keys: [{ key: long, sha256: hex }] }), /has more than one of/)
  assert.match(errorsOf({ keys: [{ key: 'with blank 0123456789' }] }), /contains a space/)
  assert.match(errorsOf({ keys: [{ key: '' }] }), /is empty/)
  assert.match(errorsOf({ keys: ['x'] }), /keys\[0\]: "x" is not an object/)
  const twins = [
    { id: 'a', key: long },
    { id: 'b', sha256: hex },
    { id: 'a', key: `${long}2` },
  ]
  assert.match(errorsOf({ keys: twins }), /"a" and "b" have the same key\n.*the id "a" is used twice/)
  assert.match(
    errorsOf(`{"keys":[{"key":"${long}","max_tokens":1,"max_tokens":999}]}`),
    /max_tokens: occurs more than once/,
  )
})

test('a short key is a warning', () => {
  const { warnings } = load({ keys: [{ key: 'secret' }] })
  assert.match(warnings.join(), /keys\[0\]\.key: is shorter than 20/)
  assert.doesNotMatch(warnings.join(), /secret/)
})

test('a key in the notation of a variable of another program is a warning', () => {
  for (const key of ['os.environ/THE_CLIENTS_OWN_KEY', '$THE_CLIENTS_OWN_KEY_OF_ANNA']) {
    const { warnings } = load({ keys: [{ key }] })
    assert.match(warnings.join(), /keys\[0\]\.key: looks like a reference to an environment variable/)
    assert.doesNotMatch(warnings.join(), /THE_CLIENTS/)
  }
})

test('comments and $schema are accepted', () => {
  assert.equal(errorsOf({ $schema: 'x', keys: [{ key: long, _comment: 'of Anna' }] }), '')
})
