import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { post, type RawAnswer } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  openaiText,
  type Script,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const body = { model: 'm', messages }
/** The message of llama.cpp. */
const loading: Behaviour = {
  kind: 'reply',
  status: 503,
  body: { error: { message: 'Loading model', type: 'unavailable_error', code: 503 } },
}

interface Setting {
  servers: ScriptedUpstream[]
  router: TestRouter
  ask(): Promise<RawAnswer>
}

async function setUp(
  t: TestContext,
  scripts: Script[],
  { env = {}, provider = {} }: { env?: Record<string, string>; provider?: object } = {},
): Promise<Setting> {
  const servers: ScriptedUpstream[] = []
  for (const script of scripts) servers.push(await startUpstream(script))
  const providers = servers.map(({ url }, index) => {
    return { id: `box${index}`, api_type: 'vllm', api_host: url, ...provider }
  })
  const router = await startRouter({ env, models: modelsConfig({ m: providers }) })
  t.after(async () => {
    await router.close()
    await Promise.all(servers.map((server) => server.close()))
  })
  return { servers, router, ask: () => post(`${router.url}/v1/chat/completions`, body) }
}

const isChat = ({ method }: { method: string }): boolean => method === 'POST'

test('while a server loads its model another one answers, and loading does not count as a failure', async (t) => {
  const { servers, router, ask } = await setUp(t, [loading, openaiText('Hi')])
  const answers = await Promise.all(Array.from({ length: 6 }, ask))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  const target = router.app.models.find('m')?.targets[0] ?? assert.fail('no target')
  assert.equal(router.app.health.stateOf(target), 'loading')
  assert.equal(router.app.health.of(target).breaker.state, 'closed')
  const asked = servers[0]?.requests.length
  for (let count = 0; count < 4; count++) assert.equal((await ask()).status, 200)
  assert.equal(servers[0]?.requests.length, asked, 'it gets no requests for a while')
})

test('without another server a request waits until the model is loaded', async (t) => {
  const { servers, ask } = await setUp(t, [[loading, openaiText('Hi')]])
  const answer = await ask()
  assert.deepEqual([answer.status, servers[0]?.requests.length], [200, 2])
})

test('a request waits at most LLM_ROUTER_LOADING_TIMEOUT for a loading model, then gets Retry-After', async (t) => {
  for (const env of [{ LLM_ROUTER_LOADING_TIMEOUT: '0.2' }, { LLM_ROUTER_EXTERNAL_TIMEOUT: '0.2' }]) {
    const { ask } = await setUp(t, [loading], { env })
    const { status, headers, text } = await ask()
    assert.equal(status, 503)
    assert.match(headers.get('retry-after') ?? '', /^[1-9]\d*$/)
    assert.equal(JSON.parse(text).error.code, 'model_loading')
  }
})

test('a health check detects loading, by the message of llama.cpp or by a failing /health/ready', async (t) => {
  const unready: Behaviour = { kind: 'reply', status: 503, body: '' }
  for (const [check, provider] of [
    [loading, {}],
    [unready, { health_check: '/health/ready' }],
  ] as const) {
    let script: Behaviour = check
    const { servers, router, ask } = await setUp(
      t,
      [(request) => (isChat(request) ? openaiText('Hi') : script)],
      {
        env: { LLM_ROUTER_HEALTH_INTERVAL: '0.05' },
        provider,
      },
    )
    await router.logged(({ msg, state }) => msg === 'health check' && state === 'loading')
    const asked = ask()
    await servers[0]?.requestReceived((servers[0]?.requests.length ?? 0) + 2)
    assert.ok(!servers[0]?.requests.some(isChat), 'the request waits')
    script = { kind: 'reply', status: 200, body: '' }
    assert.equal((await asked).status, 200)
  }
})

test('a waiting request is sent to another server as soon as one is usable', async (t) => {
  let other: Behaviour = loading
  const { router, ask } = await setUp(
    t,
    [
      (request) => (isChat(request) ? openaiText('One') : loading),
      (request) => (isChat(request) ? openaiText('Two') : other),
    ],
    { env: { LLM_ROUTER_HEALTH_INTERVAL: '0.05' } },
  )
  for (const id of ['box0', 'box1'])
    await router.logged(
      ({ msg, state, target }) => msg === 'health check' && state === 'loading' && target === id,
    )
  const asked = ask()
  other = { kind: 'reply', status: 200, body: '' }
  const { status, text } = await asked
  assert.equal(status, 200)
  assert.match(text, /Two/)
})

test('a sleeping engine is not chosen, and one without sleep mode is not polled again until it is down', async (t) => {
  let sleeping: Behaviour = { kind: 'reply', status: 200, body: { is_sleeping: true } }
  const well: Behaviour = { kind: 'reply', status: 200, body: '' }
  const script: Script = (request) => {
    if (isChat(request)) return openaiText('Hi')
    return request.url === '/is_sleeping' ? sleeping : well
  }
  const { servers, router, ask } = await setUp(t, [script], { env: { LLM_ROUTER_HEALTH_INTERVAL: '0.05' } })
  await router.logged(({ msg, state }) => msg === 'health check' && state === 'asleep')
  assert.equal((await ask()).status, 503)
  assert.ok(!servers[0]?.requests.some(isChat))
  sleeping = { kind: 'reply', status: 404, body: { detail: 'Not Found' } }
  await router.logged(({ msg, state }) => msg === 'health check' && state === 'up')
  assert.equal((await ask()).status, 200)
  const questions = () => servers[0]?.requests.filter(({ url }) => url === '/is_sleeping').length
  const asked = questions()
  await servers[0]?.requestReceived((servers[0]?.requests.length ?? 0) + 4)
  assert.equal(questions(), asked)
})

test("an upstream's 503 and 529 are reported as overload to clients of every dialect", async (t) => {
  const { router } = await setUp(t, [
    (_request, index) => ({
      kind: 'reply',
      status: index % 2 === 0 ? 503 : 529,
      body: { error: { message: 'x' } },
    }),
  ])
  const chat = { ...body, max_tokens: 5 }
  // The first of each pair gets 503, the second one 529, which is the only code that Anthropic has for both.
  for (const [path, statuses] of [
    ['/v1/chat/completions', [503, 529]],
    ['/v1/messages', [529, 529]],
    ['/api/chat', [503, 529]],
  ] as const) {
    for (const [index, stream] of [false, true].entries()) {
      const { status, text } = await post(router.url + path, { ...chat, stream })
      assert.equal(status, statuses[index], path)
      if (path === '/v1/messages') assert.equal(JSON.parse(text).error.type, 'overloaded_error')
    }
  }
})

test('overload that an upstream reports in a stream is reported as overload', async (t) => {
  const event = `data: ${JSON.stringify({ error: { message: 'x', type: 'overloaded_error', code: 529 } })}\n\n`
  const { router } = await setUp(t, [{ kind: 'stream', pieces: [event] }])
  const { status, text } = await post(`${router.url}/v1/messages`, { ...body, max_tokens: 5, stream: true })
  assert.deepEqual([status, JSON.parse(text).error.type], [529, 'overloaded_error'])
  const other = await post(`${router.url}/v1/chat/completions`, { ...body, stream: true })
  assert.equal(other.status, 529)
})

test('a request that another server fails waits for the one that is loading', async (t) => {
  for (const other of [
    { kind: 'reply', status: 500, body: '' },
    { kind: 'reply', status: 429, headers: { 'retry-after': '60' }, body: '' },
  ] as const) {
    let state: Behaviour = loading
    const { servers, router, ask } = await setUp(
      t,
      [
        (request) => (isChat(request) ? openaiText('Hi') : state),
        (request) => (isChat(request) ? other : { kind: 'reply', status: 200, body: '' }),
      ],
      { env: { LLM_ROUTER_HEALTH_INTERVAL: '0.05', LLM_ROUTER_BALANCE_STRATEGY: 'balanced' } },
    )
    await router.logged(({ msg, state }) => msg === 'health check' && state === 'loading')
    const asked = ask()
    await servers[1]?.requestReceived(servers[1].requests.findLastIndex(isChat) + 1)
    state = { kind: 'reply', status: 200, body: '' }
    assert.equal((await asked).status, 200)
  }
})

test('a request does not wait for a server if a fallback model can answer', async (t) => {
  const servers = [await startUpstream(loading), await startUpstream(openaiText('Hi'))]
  const [providers, spares] = servers.map(({ url }) => [{ api_type: 'vllm', api_host: url }])
  const models = modelsConfig({ m: providers ?? [], spare: spares ?? [] }) as {
    test_models: Record<string, object>
  }
  Object.assign(models.test_models.m ?? {}, { fallbacks: ['spare'] })
  const router = await startRouter({ env: {}, models })
  t.after(async () => {
    await router.close()
    await Promise.all(servers.map((server) => server.close()))
  })
  const { status, headers } = await post(`${router.url}/v1/chat/completions`, body)
  assert.deepEqual([status, headers.get('x-llm-router-model')], [200, 'spare'])
})
