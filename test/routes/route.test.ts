import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import { closedPort, post } from '../helpers/http.ts'
import { keysFile } from '../helpers/keys-file.ts'
import type { TestRouter } from '../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { SharedRouter } from '../helpers/shared-router.ts'

const key = 'operator-key-of-this-test'
const operator = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
const shared = new SharedRouter({ LLM_ROUTER_ADMIN_KEY: key })
after(() => shared.close())
const long = 'All work and no play makes Jack a dull boy. '.repeat(400)

interface Route {
  strategy: string
  request: { prompt_tokens: number; session?: string; client: string }
  candidates: { target: string; score?: number; full: boolean; signals: Record<string, unknown> }[]
  excluded: { target: string; signals: Record<string, unknown> }[]
  choice?: { target: string; reason: string }
  waits: boolean
  error?: { code: string }
}

async function started(
  t: TestContext,
  strategy: string,
  more: object[] = [],
  env: Record<string, string> = {},
): Promise<{ router: TestRouter; upstreams: ScriptedUpstream[] }> {
  const upstreams = [await startUpstream(openaiText('Hi')), await startUpstream(openaiText('Hi'))]
  const providers = upstreams.map(({ url }, index) => {
    return { id: `gpu-${'ab'[index]}`, api_type: 'vllm', api_host: url, weight: index === 0 ? 1 : 0.5 }
  })
  const models = {
    g: { one: { strategy, providers: [...providers, ...more] } },
    active_models: { g: ['one'] },
  }
  const router = await shared.with(models, env)
  t.after(async () => {
    await router.close()
    for (const upstream of upstreams) await upstream.close()
  })
  return { router, upstreams }
}

async function routeOf(
  router: TestRouter,
  body: object,
  headers: Record<string, string> = {},
): Promise<Route> {
  const answer = await post(`${router.url}/api/route`, { model: 'one', ...body }, { ...operator, ...headers })
  assert.equal(answer.status, 200, answer.text)
  return JSON.parse(answer.text)
}

async function askedTarget(router: TestRouter, body: object): Promise<string | null> {
  const answer = await post(`${router.url}/v1/chat/completions`, { model: 'one', ...body }, operator)
  assert.equal(answer.status, 200)
  return answer.headers.get('x-llm-router-target')
}

const messages = [{ role: 'user', content: long }]

for (const strategy of [
  'balanced',
  'weighted',
  'dynamic_weighted',
  'least_busy',
  'adaptive',
  'cache_aware',
  'first_available',
])
  test(`${strategy}: P/route predicts what the next request gets, without asking a model or changing anything`, async (t) => {
    const { router, upstreams } = await started(t, strategy)
    for (let round = 0; round < 4; round++) {
      const asked = () => upstreams.reduce((sum, { requests }) => sum + requests.length, 0)
      const before = [asked(), await (await fetch(`${router.url}/api/status`)).json()]
      const route = await routeOf(router, { messages })
      assert.deepEqual((await routeOf(router, { messages })).choice, route.choice)
      assert.equal(asked(), before[0])
      assert.equal(route.candidates.length, 2)
      assert.equal(route.strategy, strategy)
      assert.ok(strategy === 'first_available' || route.candidates.every(({ score }) => score !== undefined))
      assert.equal(await askedTarget(router, { messages }), route.choice?.target)
      assert.deepEqual(route.candidates.map(({ signals }) => signals.uses).sort(), usesIn(before[1]))
    }
  })

function usesIn(status: unknown): unknown[] {
  const { models } = status as { models: { targets: { uses: number }[] }[] } // see status.test.ts
  return (models[0]?.targets ?? []).map(({ uses }) => uses).sort()
}

test('P/route returns the reason for the choice, in any dialect, for any client and session', async (t) => {
  const { router } = await started(t, 'cache_aware')
  const target = await askedTarget(router, { messages })
  const more = [...messages, { role: 'assistant', content: 'Hi' }, { role: 'user', content: 'And?' }]
  const { choice } = await routeOf(router, { messages: more })
  assert.equal(choice?.target, target)
  assert.match(choice?.reason ?? '', /^cache \d,\d{3} of \d,\d{3} tokens$/)
  const other = await routeOf(
    router,
    { dialect: 'gemini', contents: [{ role: 'user', parts: [{ text: long }] }], client: 'team' },
    { 'x-llm-router-session': 's-1' },
  )
  assert.deepEqual([other.request.client, other.request.session], ['team', 's-1'])
  assert.ok(other.request.prompt_tokens > 1_000)
})

test('P/route reports which targets are excluded, and with which error a request would fail', async (t) => {
  const dead = { id: 'dead', api_type: 'vllm', api_host: await closedPort() }
  const { router } = await started(t, 'balanced', [dead])
  for (let count = 0; count < 9; count++) await askedTarget(router, { messages })
  const { excluded, candidates } = await routeOf(router, { messages })
  assert.deepEqual(
    excluded.map(({ target, signals }) => [target, signals.state]),
    [['dead', 'open']],
  )
  assert.deepEqual(candidates.map(({ target }) => target).sort(), ['gpu-a', 'gpu-b'])
})

test('P/route requires an operator key', async (t) => {
  const file = keysFile([{ id: 'team', key: 'key-of-the-team-12345' }])
  t.after(() => file.remove())
  const { router } = await started(t, 'balanced', [], file.env)
  const body = { model: 'one', messages }
  const statusFor = async (headers: Record<string, string>) =>
    (await post(`${router.url}/api/route`, body, headers)).status
  assert.equal(await statusFor({ 'content-type': 'application/json' }), 401)
  assert.equal(await statusFor({ ...operator, authorization: 'Bearer key-of-the-team-12345' }), 403)
  assert.equal(await statusFor(operator), 200)
})

test('P/route rejects what is not a request for a model', async (t) => {
  const { router } = await started(t, 'balanced')
  const statusFor = async (body: object) => (await post(`${router.url}/api/route`, body, operator)).status
  assert.equal(await statusFor({ model: 'none', messages }), 404)
  assert.equal(await statusFor({ messages }), 400)
  assert.equal(await statusFor({ model: 'one', dialect: 'klingon', messages }), 400)
  assert.equal(await statusFor({ model: 'one', messages: 5, tools: 'x' }), 200)
})
