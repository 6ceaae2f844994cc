import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { scrape } from '../helpers/metrics.ts'
import { openaiError, type Script } from '../helpers/scripted-upstream.ts'
import { breaksOn, fleetStarter, good } from './fleet.ts'

const startFleet = fleetStarter()
/** Messages of LiteLLM's proxy, version 1.108. */
const spent = 'Budget has been exceeded! Current cost: 0.2, Max budget: 0.1'
const invalidName =
  '/chat/completions: Invalid model name passed in model=up. Call `/v1/models` to view available models for your key.'

for (const message of ["model 'up' not found", 'model is not loaded', invalidName])
  test(`a server that answers 400 "${message}" is passed over, and the client gets an answer`, async (t) => {
    const lacking: Script = () => openaiError(400, { code: 400, message, type: 'invalid_request_error' })
    const fleet = await startFleet(t, [lacking, good])
    assert.equal((await fleet.ask('hi')).status, 200)
    assert.equal((await fleet.ask('hi', { stream: true })).status, 200)
    assert.equal((await fleet.ask('hi')).status, 200)
    fleet.counts()
    assert.equal((await fleet.ask('hi')).status, 200)
    assert.deepEqual(fleet.counts(), [0, 1], 'it counts as misconfigured, like a server that answers 404')
  })

test("a 400 about the request is the client's error even if its message mentions a model", async (t) => {
  const message = 'This model does not support the tool that was not found'
  const fleet = await startFleet(t, [() => openaiError(400, { message }), good])
  assert.equal((await fleet.ask('hi')).status, 400)
  assert.deepEqual(fleet.counts(), [1, 0])
})

describe('a request that every server refuses', () => {
  const refusals: [status: number, error: object, returned: number][] = [
    [401, { message: 'denied' }, 502],
    [402, { message: 'no credit' }, 502],
    [429, { message: 'x', type: 'insufficient_quota', code: 'insufficient_quota' }, 429],
    // Anthropic, and Moonshot
    [400, { type: 'invalid_request_error', message: 'Your credit balance is too low to access' }, 429],
    [429, { type: 'exceeded_current_quota_error', message: 'Your account is suspended' }, 429],
    [422, { type: 'budget_exceeded', message: spent, param: null, code: '422' }, 429],
    [403, { message: 'blocked by policy' }, 403],
    [404, { message: 'No such file: file-1' }, 404],
    [404, { message: 'The model `lora-x` does not exist.', code: 'model_not_found' }, 404],
    // llama.cpp in router mode
    [400, { code: 400, message: "model 'up' not found", type: 'invalid_request_error' }, 404],
    [400, { code: 400, message: 'model is not loaded', type: 'invalid_request_error' }, 404],
    [400, { code: '400', message: invalidName, param: null, type: 'invalid_request_error' }, 404],
    // LM Studio
    [400, { code: 'model_not_found', message: 'Failed to load model "up"', param: 'model' }, 404],
  ]
  for (const [status, error, returned] of refusals) {
    test(`with ${status} ${JSON.stringify(error)} gets ${returned} and affects no other client`, async (t) => {
      const refusing = breaksOn(openaiError(status, error))
      const fleet = await startFleet(t, [refusing, refusing, good], {
        strategy: 'balanced',
        models: { two: [0, 1] },
      })
      assert.equal((await fleet.ask('hi', {}, 'two')).status, 200)
      assert.equal((await fleet.ask('hi', {}, 'two')).status, 200)
      for (let index = 0; index < 6; index++) {
        assert.equal((await fleet.ask(`poison ${index}`, {}, 'two')).status, returned)
        assert.equal((await fleet.ask('hi', {}, 'two')).status, 200)
      }
      const ready = await fetch(`${fleet.router.url}/readyz`)
      assert.equal(ready.status, 200)
    })
  }

  test('leaves a cold model available to the next client', async (t) => {
    const refusing = breaksOn(openaiError(401, { message: 'x' }))
    const fleet = await startFleet(t, [refusing, refusing])
    for (let index = 0; index < 4; index++) await fleet.ask(`poison ${index}`)
    assert.equal((await fetch(`${fleet.router.url}/readyz`)).status, 200)
    assert.equal((await fleet.ask('hi')).status, 200)
  })
})

test("a server that rejects the router's key comes last and is reported as misconfigured", async (t) => {
  const fleet = await startFleet(t, [openaiError(401, { message: 'bad key' }), good], {
    strategy: 'balanced',
  })
  for (let index = 0; index < 10; index++) assert.equal((await fleet.ask(`hi ${index}`)).status, 200)
  assert.equal(fleet.counts()[0], 1, 'one rejection is enough for a server that never answered')
  const labels = { target: fleet.targetOn('a'), reason: 'misconfigured' }
  assert.equal((await scrape(fleet.router.url)).sum('llm_router_target_resting', labels), 1)
  const line = await fleet.router.logged(
    ({ msg, target }) => msg === 'target misconfigured' && target === fleet.targetOn('a'),
  )
  assert.match(String(line.reason), /api_token/)
  const status = JSON.parse(await (await fetch(`${fleet.router.url}/api/status`)).text())
  const [target] = status.models[0].targets
  assert.equal(target.state, 'misconfigured')
  assert.match(target.reason, /401.*api_token/)
})

test('a server whose account has no credit left comes last and is reported, whatever wait it names', async (t) => {
  const quota = { type: 'insufficient_quota', code: 'insufficient_quota', message: 'You exceeded your quota' }
  const empty: Script = () => ({ ...openaiError(429, quota), headers: { 'retry-after': '1' } })
  const fleet = await startFleet(t, [empty, good], { strategy: 'balanced' })
  for (let index = 0; index < 6; index++) assert.equal((await fleet.ask(`hi ${index}`)).status, 200)
  assert.equal(fleet.counts()[0], 1)
  const status = JSON.parse(await (await fetch(`${fleet.router.url}/api/status`)).text())
  assert.match(status.models[0].targets[0].reason, /no credit/)
})

test('an account without credit is the last word only if no server gives one that a client can act on', async (t) => {
  const quota = openaiError(429, { code: 'insufficient_quota', message: 'x' })
  const limited = openaiError(429, { code: 'rate_limit_exceeded', message: 'slow down' })
  for (const scripts of [
    [quota, limited],
    [limited, quota],
  ]) {
    const fleet = await startFleet(t, scripts)
    const { status, text } = await fleet.ask('hi')
    assert.deepEqual([status, JSON.parse(text).error.code], [429, 'rate_limit_exceeded'])
    assert.deepEqual(fleet.counts(), [1, 1])
  }
})

test('a rejected key on the only server is a 502 with code upstream_auth', async (t) => {
  const fleet = await startFleet(t, [openaiError(401, { message: 'bad key' })])
  for (let index = 0; index < 3; index++) {
    const { status, text } = await fleet.ask('hi')
    assert.deepEqual([status, JSON.parse(text).error.code], [502, 'upstream_auth'])
  }
  assert.deepEqual(fleet.counts(), [3], 'it stays in use because it is the only server')
  const labels = { target: fleet.targetOn('a'), reason: 'misconfigured' }
  assert.equal((await scrape(fleet.router.url)).sum('llm_router_target_resting', labels), 1)
})

for (const [kind, error] of Object.entries({
  'an empty input, which Ollama rejects': 'Failed to create new sequence: no input provided',
  'an invalid body, which llama-cpp-python rejects': {
    message:
      "1 validation error:\n  {'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be 'text' or 'json_object'\", 'input': 'json_schema'}",
    type: 'internal_server_error',
  },
}))
  test(`${kind} with 500, is the error of the client`, async (t) => {
    const refusing = { kind: 'reply', status: 500, body: { error } } as const
    const fleet = await startFleet(t, [() => refusing, () => refusing])
    const body = { model: fleet.nameOf('m'), input: ['x', ''] }
    assert.equal((await post(`${fleet.router.url}/v1/embeddings`, body)).status, 400)
    assert.deepEqual(fleet.counts(), [1, 0])
  })

test('a chat to an embedding model of Ollama is an operation that the model does not support', async (t) => {
  const body = { error: '"up" does not support chat' }
  const fleet = await startFleet(t, [() => ({ kind: 'reply', status: 400, body })])
  const { status, text } = await fleet.ask('hi')
  assert.deepEqual([status, JSON.parse(text).error.code], [400, 'unsupported_operation'])
})

test('an embedding whose Ollama engine crashed, a 400, is sent to the next server', async (t) => {
  const error = 'do embedding request: Post "http://127.0.0.1:43987/embedding": EOF'
  const crashed = { kind: 'reply', status: 400, body: { error } } as const
  const embedding = { kind: 'reply', body: { data: [{ index: 0, embedding: [1] }], usage: {} } } as const
  const fleet = await startFleet(t, [() => crashed, () => embedding], { models: { m: [0, 1], alone: [0] } })
  const embed = (model: string) =>
    post(`${fleet.router.url}/v1/embeddings`, { model: fleet.nameOf(model), input: 'x' })
  assert.equal((await embed('m')).status, 200)
  assert.equal((await embed('alone')).status, 502)
})

test('chats to a model without chat support do not affect its embeddings', async (t) => {
  const embedding = { kind: 'reply', body: { data: [{ index: 0, embedding: [1] }], usage: {} } } as const
  const script: Script = ({ url }) =>
    url.includes('embeddings') ? embedding : { kind: 'reply', status: 404, body: { detail: 'Not Found' } }
  const fleet = await startFleet(t, [script])
  const embed = () => post(`${fleet.router.url}/v1/embeddings`, { model: fleet.nameOf('m'), input: 'x' })
  assert.equal((await embed()).status, 200)
  for (const path of [
    '/v1/chat/completions',
    '/v1/messages',
    '/api/chat',
    '/v1/responses',
    '/v1/completions',
  ]) {
    const asked = path.endsWith('responses') ? { input: 'hi' } : { messages, prompt: 'hi', max_tokens: 5 }
    const body = { model: fleet.nameOf('m'), stream: false, ...asked }
    const { status, text } = await post(`${fleet.router.url}${path}`, body)
    assert.equal(status, 400, `${path}: ${text}`)
    assert.match(text, /does not support/)
    assert.equal((await embed()).status, 200)
  }
})

describe('a 429', () => {
  const tooLarge = openaiError(
    429,
    { message: 'Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7214.' },
    { 'retry-after': '30' },
  )

  test('about the size of one request causes no pause, whatever its headers say', async (t) => {
    const fleet = await startFleet(t, [breaksOn(tooLarge), breaksOn(tooLarge)])
    for (let index = 0; index < 5; index++) {
      const { status, text } = await fleet.ask(`poison ${index}`)
      assert.equal(status, 429)
      assert.match(text, /Limit 6000/)
      assert.equal((await fleet.ask('hi')).status, 200)
    }
  })

  test('without a wait does not pause the only server of a model', async (t) => {
    const fleet = await startFleet(t, [breaksOn(openaiError(429, { message: 'slow down' }))])
    for (let index = 0; index < 5; index++) {
      assert.equal((await fleet.ask(`poison ${index}`)).status, 429)
      assert.equal((await fleet.ask('hi')).status, 200)
    }
  })

  const waits: [headers: Record<string, string | string[] | (() => string)>, seconds: number][] = [
    [{ 'retry-after': '20' }, 20],
    [{ 'retry-after': ['20', '40'] }, 40],
    [{ 'retry-after-ms': '20000' }, 20],
    [{ 'retry-after': '86400' }, 300],
    [{ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '1m5s' }, 65],
    [{ 'x-ratelimit-remaining-requests': '7', 'x-ratelimit-reset-requests': '6m0s', 'retry-after': '3' }, 3],
    [
      {
        'anthropic-ratelimit-tokens-remaining': '0',
        'anthropic-ratelimit-tokens-reset': () => new Date(Date.now() + 90_000).toISOString(),
      },
      90,
    ],
    [
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': () => `${Math.floor(Date.now() / 1000) + 45}` },
      45,
    ],
  ]
  for (const [given, seconds] of waits) {
    test(`with ${Object.entries(given).join(' ')} pauses the server for about ${seconds} s`, async (t) => {
      const headers = Object.fromEntries(
        Object.entries(given).map(([name, value]) => [name, typeof value === 'function' ? value() : value]),
      )
      const fleet = await startFleet(t, [
        { kind: 'reply', status: 429, headers, body: { error: { message: 'x' } } },
      ])
      await fleet.ask('hi')
      fleet.counts()
      const answer = await fleet.ask('hi')
      assert.equal(answer.status, 429)
      assert.match(answer.headers.get('retry-after') ?? '', /^\d+$/)
      const returned = Number(answer.headers.get('retry-after'))
      assert.ok(returned <= seconds && returned > seconds - 15, `${returned}`)
      assert.deepEqual(fleet.counts(), [0], 'it receives nothing while it is paused')
    })
  }

  test('of Gemini, which has its wait in the body only, pauses the server for that long', async (t) => {
    const type = 'type.googleapis.com/google.rpc'
    const details = [{ '@type': `${type}.Help` }, { '@type': `${type}.RetryInfo`, retryDelay: '36.25s' }]
    const limited = { error: { code: 429, message: 'x', status: 'RESOURCE_EXHAUSTED', details } }
    for (const body of [limited, [limited]]) {
      const fleet = await startFleet(t, [{ kind: 'reply', status: 429, body }])
      const answers = [await fleet.ask('hi'), await fleet.ask('hi')]
      for (const { status, headers } of answers) {
        const seconds = Number(headers.get('retry-after'))
        assert.ok(status === 429 && seconds > 20 && seconds <= 37, `${status} ${seconds}`)
      }
      assert.deepEqual(fleet.counts(), [1])
    }
  })

  test('that names a limit with something remaining implies no wait', async (t) => {
    const headers = { 'x-ratelimit-remaining-tokens': '10', 'x-ratelimit-reset-tokens': '6m0s' }
    const fleet = await startFleet(t, [openaiError(429, { message: 'x' }, headers)])
    await fleet.ask('hi')
    await fleet.ask('hi')
    assert.deepEqual(fleet.counts(), [2])
  })
})

test('a 503 with Retry-After for one request does not affect other requests', async (t) => {
  const failing = breaksOn(openaiError(503, { message: 'x' }, { 'retry-after': '100' }))
  const fleet = await startFleet(t, [failing, failing])
  for (let index = 0; index < 5; index++) {
    const { status } = await fleet.ask(`poison ${index}`)
    assert.ok(status >= 500)
    assert.equal((await fleet.ask('hi')).status, 200)
  }
})

test('a key rejected for embeddings is reported like one rejected for chats', async (t) => {
  const fleet = await startFleet(t, [openaiError(401, { message: 'bad key' })])
  const { status } = await post(`${fleet.router.url}/v1/embeddings`, { model: fleet.nameOf('m'), input: 'x' })
  assert.equal(status, 502)
  const labels = { target: fleet.targetOn('a'), reason: 'misconfigured' }
  assert.equal((await scrape(fleet.router.url)).sum('llm_router_target_resting', labels), 1)
  const state = JSON.parse(await (await fetch(`${fleet.router.url}/api/status`)).text()).state
  assert.equal(state, 'degraded', 'it stays in use because it is the only server')
})

test('if two servers ask for a pause during one request, the client receives the shorter wait', async (t) => {
  const pause = (seconds: string) => openaiError(429, { message: 'x' }, { 'retry-after': seconds })
  const fleet = await startFleet(t, [pause('30'), pause('100')])
  const { status, headers } = await fleet.ask('hi')
  assert.deepEqual([status, headers.get('retry-after')], [429, '30'])
})
