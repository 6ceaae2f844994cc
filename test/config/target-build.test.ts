import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allTargets } from '../../src/sdk/target.ts'
import { at, errorsIn, load, modelFile, providerErrors, targetOf } from '../helpers/models-file.ts'

test('fields that the Python llm-router does not have are read', () => {
  const target = targetOf({
    model_path: 'org/name',
    drop_params: ['logprobs'],
    paths: { chat: '/x?y=1' },
    stream_usage: false,
    mock: {
      reply: 'hi',
      tokens_per_second: '50',
      error_rate: 0,
      error_status: 503,
      tool_call: true,
      seed: 1,
    },
  })
  assert.partialDeepStrictEqual(target, {
    upstreamModel: 'org/name',
    dropParams: ['logprobs'],
    paths: { chat: '/x?y=1' },
    streamUsage: false,
    mock: { reply: 'hi', tokens_per_second: 50, error_rate: 0, error_status: 503, tool_call: true, seed: 1 },
  })
})

test('an embedded provider type requires no host', () => {
  const target = load(modelFile({ api_type: 'mock' })).models[0]?.targets[0]
  assert.deepEqual([target?.origin, target?.paths], ['', { chat: '/v1/chat/completions' }])
  assert.deepEqual(errorsIn(modelFile({ api_type: 'openai', api_host: '' })), [
    `${at}.api_host: missing; openai needs the address of its server`,
  ])
})

test('the error for an unknown api_type lists the known ones', () => {
  assert.deepEqual(providerErrors({ api_type: 'foo' }), [
    `${at}.api_type: "foo" is unknown; known: openai, ollama, mock`,
  ])
})

test('values of a wrong type are reported with path and allowed values', () => {
  const errors: [provider: Record<string, unknown>, error: string][] = [
    [{ api_type: null }, 'api_type: missing; it must be a string'],
    [{ weight: 'heavy' }, 'weight: "heavy" is not a number'],
    [{ tool_calling: 'perhaps' }, 'tool_calling: "perhaps" is not true or false'],
    [{ drop_params: ['a', 5] }, 'drop_params[1]: 5 is not a string'],
    [{ paths: '/x' }, 'paths: "/x" is not an object'],
    [{ defaults: [] }, 'defaults: a list is not an object'],
    [{ keep_alive: true }, 'keep_alive: true is not a string or a number'],
    [{ mock: { tokens_per_second: 0 } }, 'mock.tokens_per_second: 0 is not a number over 0'],
    [{ mock: { error_rate: '1.5' } }, 'mock.error_rate: 1.5 is not a number from 0 to 1'],
    [{ mock: { error_status: 200 } }, 'mock.error_status: 200 is not an integer from 400 to 599'],
    [{ mock: { first_token_ms: -1 } }, 'mock.first_token_ms: -1 is not a number of 0 or more'],
    [
      { mock: { tool_call: { nome: 'f' } } },
      'mock.tool_call: an object is not true, false or an object with a name and optionally arguments',
    ],
  ]
  for (const [provider, error] of errors) assert.deepEqual(providerErrors(provider), [`${at}.${error}`])
})

test('an invalid input_size is a warning and means unknown', () => {
  for (const bad of ['abc', -1, {}, true]) {
    const { models, warnings } = load(modelFile({ api_type: 'mock', input_size: bad }))
    assert.equal(models[0]?.targets[0]?.inputSize, 0)
    assert.deepEqual(warnings, [`${at}.input_size: not a number of 0 or more; treated as unknown`])
  }
})

test('a weight outside of 0 to 1 is clamped', () => {
  assert.deepEqual(
    [-1, 0, '0.25', 7, null].map((weight) => targetOf({ weight }).weight),
    [0, 0, 0.25, 1, 1],
  )
})

test('a default id is derived from model and host, independently of the rest of the file', () => {
  const ids = (file: unknown) =>
    load(file).models.flatMap((model) => allTargets(model).map((target) => target.id))
  const list = [
    { api_type: 'openai', api_host: 'http://192.0.2.1:8000/v1' },
    { api_type: 'openai', api_host: 'http://192.0.2.1:8000/v2', id: '' },
    { api_type: 'mock' },
  ]
  const made = ids(modelFile(...list))
  assert.equal(new Set(made).size, 3)
  assert.ok(
    made.every((id) => /^m@[0-9a-f]{8}#\d$/.test(id)),
    'an id does not contain the address',
  )
  const more = { g: { a: { providers: list }, m: { providers: list } }, active_models: { g: ['a', 'm'] } }
  assert.deepEqual(ids(more).slice(3), made)
  const [, , mock = ''] = made
  const taken = ids(modelFile({ api_type: 'mock' }, { api_type: 'mock', id: mock }))
  assert.equal(taken[1], mock)
  assert.notEqual(taken[0], mock)
})

test('environment variables are substituted in keys and in parts of addresses', () => {
  const env = { KEY: ' s3cret\n', HOST: '192.0.2.9:8000' }
  const target = targetOf({ api_token: `\${KEY}`, api_host: `http://\${HOST}/v1` }, { env })
  assert.equal(target.token, 's3cret')
  assert.equal(target.origin, 'http://192.0.2.9:8000')
  assert.equal(targetOf({ api_token: 'a$b' }).token, 'a$b')
  assert.equal(targetOf({ api_token: `\${A}` }, { env: { A: `\${B}`, B: 'x' } }).token, `\${B}`)
})

test('an unset environment variable is an error that names it', () => {
  assert.deepEqual(
    providerErrors({ api_token: `\${MY_KEY}`, api_host: `\${MY_HOST}` }, { env: { MY_HOST: '' } }),
    [
      `${at}.api_host: the environment variable MY_HOST is not set`,
      `${at}.api_token: the environment variable MY_KEY is not set`,
    ],
  )
  for (const bad of [`\${`, `\${}`, `\${a b}`, `\${KEY`])
    assert.match(providerErrors({ api_token: bad }).join(), /api_token: a \$\{ is not followed by/, bad)
})

test('the path of a key file is relative to the configuration', () => {
  const files = { '/etc/llm/keys/a': ' s3cret\n', '/run/b': 'other' }
  assert.equal(targetOf({ api_token_file: 'keys/a' }, { files }).token, 's3cret')
  assert.equal(targetOf({ api_token_file: '/run/b', api_token: '' }, { files }).token, 'other')
})

test('a key file that is missing or empty, or set together with a key, is an error', () => {
  assert.deepEqual(providerErrors({ api_token_file: 'keys/a' }), [
    `${at}.api_token_file: cannot read "keys/a": no such file (ENOENT)`,
  ])
  assert.deepEqual(providerErrors({ api_token_file: 'a' }, { files: { '/etc/llm/a': '\n' } }), [
    `${at}.api_token_file: "a" is empty`,
  ])
  assert.deepEqual(providerErrors({ api_token_file: 'a', api_token: 'b' }), [
    `${at}.api_token_file: api_token is set too; remove one of the two`,
  ])
})

test('no error shows a key', () => {
  const env = { KEY: 'hunter2\nhunter2', URL: 'http://me:hunter2@h' }
  const errors = [
    ...providerErrors({ api_token: `\${KEY}`, api_host: `\${URL}` }, { env }),
    ...providerErrors({ api_token: 'hunter2é' }),
    ...providerErrors({ api_token: ['hunter2'] }),
    ...providerErrors({ api_host: 'hunter2' }),
    ...errorsIn(modelFile({ api_type: 'openai', api_host: 'http://h', api_token: 22222222 })),
  ]
  assert.equal(errors.length, 6)
  assert.doesNotMatch(errors.join('\n'), /hunter2|2222/)
})

test('the defaults of a provider override those of its model, option by option', () => {
  const { models } = load({
    g: {
      m: {
        strategy: 'weighted',
        keep_alive: '30m',
        defaults: { temperature: 0.1, top_p: 0.5, options: { num_ctx: 1, seed: 1 } },
        options: { num_ctx: 2, mirostat: 1, top_k: null },
        providers: [
          { api_type: 'mock', defaults: { temperature: 0.9, min_p: null }, options: { num_ctx: '3' } },
          { api_type: 'mock', keep_alive: -1 },
        ],
      },
    },
    active_models: { g: ['m'] },
  })
  assert.equal(models[0]?.strategy, 'weighted')
  assert.deepEqual(
    models[0]?.targets.map((target) => target.defaults),
    [
      { temperature: 0.9, top_p: 0.5, keep_alive: '30m', options: { num_ctx: '3', mirostat: 1, seed: 1 } },
      { temperature: 0.1, top_p: 0.5, keep_alive: -1, options: { num_ctx: 2, mirostat: 1, seed: 1 } },
    ],
  )
  assert.deepEqual(targetOf({}).defaults, {})
})

test('paths may add an operation that the type does not have, and remove one that it has', () => {
  assert.deepEqual(targetOf({ paths: { rerank: '/rerank', chat: false } }).paths, { rerank: '/rerank' })
})

test('num_ctx of the provider overrides that of the model, in both forms', () => {
  const target = (model: object, provider: object) => {
    const providers = [{ api_type: 'openai', api_host: 'http://h', ...provider }]
    const file = { g: { m: { ...model, providers } }, active_models: { g: ['m'] } }
    const built = load(file).models[0]?.targets[0]
    return [built?.autoContext, built?.defaults.options]
  }
  assert.deepEqual(target({ num_ctx: 'auto' }, {}), [true, undefined])
  assert.deepEqual(target({ num_ctx: 'auto' }, { num_ctx: 8192 }), [undefined, { num_ctx: 8192 }])
  assert.deepEqual(target({ num_ctx: 8192 }, { num_ctx: 'auto' }), [true, undefined])
  assert.deepEqual(target({ num_ctx: 8192 }, { options: { num_ctx: 4096 } }), [undefined, { num_ctx: 4096 }])
})

test('max_batch is set per provider, and is 1 or more', () => {
  assert.equal(targetOf({ max_batch: '32' }).maxBatch, 32)
  assert.equal(targetOf({}).maxBatch, undefined)
  assert.match(providerErrors({ max_batch: 0 }).join(), /max_batch: 0 is not an integer of 1 or more/)
  assert.match(
    providerErrors({ num_ctx: 'automatic' }).join(),
    /num_ctx: "automatic" is not "auto" or a number/,
  )
})

test('the Responses API is used only where configured, and only on servers that may support it', () => {
  const pathOf = (provider: Record<string, unknown>) => targetOf(provider).paths.responses
  assert.equal(pathOf({ paths: { responses: '/v1/responses' } }), '/v1/responses')
  assert.equal(pathOf({ paths: { responses: '/v1/responses' }, responses: false }), undefined)
  assert.equal(pathOf({}), undefined)
  const { models, warnings } = load(
    modelFile({ api_type: 'ollama', api_host: 'http://a', paths: { responses: '/v1/responses' } }),
  )
  assert.equal(models[0]?.targets[0]?.paths.responses, undefined)
  assert.deepEqual(warnings, [`${at}.responses: not used with ollama servers`])
})
