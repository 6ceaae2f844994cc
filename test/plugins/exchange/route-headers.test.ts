import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { post } from '../../helpers/http.ts'
import { keysFile } from '../../helpers/keys-file.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../../helpers/router.ts'
import {
  openaiError,
  openaiStream,
  openaiText,
  type Script,
  type ScriptedUpstream,
  startUpstream,
} from '../../helpers/scripted-upstream.ts'

const json = { 'content-type': 'application/json' }
const names = ['x-llm-router-target', 'x-llm-router-attempts']

async function started(
  t: TestContext,
  scripts: readonly Script[],
  env: Record<string, string> = {},
  provider: object = {},
): Promise<{ router: TestRouter; upstreams: ScriptedUpstream[] }> {
  const upstreams = await Promise.all(scripts.map((script) => startUpstream(script)))
  const providers = upstreams.map(({ url }, index) => {
    return { id: `gpu-${'abc'[index]}`, api_type: 'vllm', api_host: url, ...provider }
  })
  const router = await startRouter({ env, models: modelsConfig({ one: providers }) })
  t.after(async () => {
    await router.close()
    for (const upstream of upstreams) await upstream.close()
  })
  return { router, upstreams }
}

function chat(text = 'Hi', more: object = {}): object {
  return { model: 'one', messages: [{ role: 'user', content: text }], ...more }
}

async function routeOf(
  router: TestRouter,
  path: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<(string | null)[]> {
  const answer = await post(router.url + path, body, { ...json, ...headers })
  return names.map((name) => answer.headers.get(name))
}

test('LLM_ROUTER_ROUTE_HEADERS names target and attempts of whole responses, streams and other operations', async (t) => {
  const env = { LLM_ROUTER_ROUTE_HEADERS: '1' }
  const { router, upstreams } = await started(t, [openaiError(500, { message: 'no' }), openaiText('Hi')], env)
  assert.deepEqual(await routeOf(router, '/v1/chat/completions', chat()), ['gpu-b', '2'])
  upstreams[0]?.rescript(openaiStream(['Hi']))
  upstreams[1]?.rescript(openaiStream(['Hi']))
  const [target, attempts] = await routeOf(router, '/v1/chat/completions', chat('Hi', { stream: true }))
  assert.match(target ?? '', /^gpu-[ab]$/)
  assert.equal(attempts, '1')
  upstreams[1]?.rescript({
    kind: 'reply',
    body: { object: 'list', data: [{ object: 'embedding', index: 0, embedding: [1] }], model: 'm' },
  })
  upstreams[0]?.rescript(openaiError(500, { message: 'no' }))
  const [other] = await routeOf(router, '/v1/embeddings', { model: 'one', input: 'Hi' })
  assert.equal(other, 'gpu-b')
})

test('an error after failed attempts names them too', async (t) => {
  const { router } = await started(
    t,
    [openaiError(500, { message: 'no' }), openaiError(500, { message: 'no' })],
    { LLM_ROUTER_ROUTE_HEADERS: '1' },
  )
  assert.deepEqual(await routeOf(router, '/v1/chat/completions', chat()), ['gpu-b', '2'])
})

test('without the setting only a request with an operator key gets the route headers', async (t) => {
  const adminKey = 'operator-key-of-this-test'
  const { router } = await started(t, [openaiText('Hi')], { LLM_ROUTER_ADMIN_KEY: adminKey })
  const path = '/v1/chat/completions'
  assert.deepEqual(await routeOf(router, path, chat()), [null, null])
  assert.deepEqual(await routeOf(router, path, chat(), { authorization: 'Bearer any' }), [null, null])
  assert.deepEqual(await routeOf(router, path, chat(), { authorization: `Bearer ${adminKey}` }), [
    'gpu-a',
    '1',
  ])
})

test('with client keys, those with the surface "operator" get the route headers', async (t) => {
  const file = keysFile([
    { id: 'team', key: 'key-of-the-team-12345' },
    { id: 'ops', key: 'key-of-operators-12345', surfaces: ['openai', 'operator'] },
  ])
  t.after(() => file.remove())
  const { router } = await started(t, [openaiText('Hi')], file.env)
  const path = '/v1/chat/completions'
  const routeFor = (key: string) => routeOf(router, path, chat(), { authorization: `Bearer ${key}` })
  assert.deepEqual(await routeFor('key-of-the-team-12345'), [null, null])
  assert.deepEqual(await routeFor('key-of-operators-12345'), ['gpu-a', '1'])
})

async function reasonOf(
  router: TestRouter,
  id: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<unknown> {
  const line = router.requestLogged(id)
  await post(`${router.url}/v1/chat/completions`, body, { ...json, 'x-request-id': id, ...headers })
  return (await line).reason
}

test('the log line says why each target was chosen', async (t) => {
  const { router, upstreams } = await started(t, [openaiText('Hi'), openaiText('Hi')], {
    LLM_ROUTER_BALANCE_STRATEGY: 'least_busy',
  })
  assert.equal(await reasonOf(router, 'first', chat()), 'least loaded')
  upstreams[0]?.rescript(openaiError(503, { message: 'no' }))
  assert.equal(
    await reasonOf(router, 'second', chat()),
    'gpu-a: least loaded; gpu-b: failover after HTTP_503, least loaded',
  )
})

test('cache_aware reports which part of the prompt it expects in the cache', async (t) => {
  const { router } = await started(t, [openaiText('Hi'), openaiText('Hi')], {
    LLM_ROUTER_BALANCE_STRATEGY: 'cache_aware',
  })
  const long = 'All work and no play makes Jack a dull boy. '.repeat(400)
  const messages = [{ role: 'user', content: long }]
  assert.match(String(await reasonOf(router, 'first', { model: 'one', messages })), /^least loaded/)
  const more = [...messages, { role: 'assistant', content: 'Hi' }, { role: 'user', content: 'And?' }]
  const reason = String(await reasonOf(router, 'second', { model: 'one', messages: more }))
  const [, cached = '', all = ''] = /^cache (\d,\d{3}) of (\d,\d{3}) tokens$/.exec(reason) ?? []
  const [known, prompt] = [cached, all].map((text) => Number(text.replace(',', '')))
  assert.ok(known !== undefined && prompt !== undefined && known > 1_000 && known < prompt, reason)
})

test('a request that waited for its target reports how long', async (t) => {
  const release = Promise.withResolvers<void>()
  const answer = openaiText('Hi')
  const { router, upstreams } = await started(
    t,
    [
      async (_request, index) => {
        if (index === 0) await release.promise
        return answer
      },
    ],
    { LLM_ROUTER_BALANCE_STRATEGY: 'first_available' },
  )
  const first = post(`${router.url}/v1/chat/completions`, chat(), json)
  await upstreams[0]?.requestReceived(0)
  const second = reasonOf(router, 'second', chat())
  while (router.app.balancer.waiting(router.app.models.all()[0] ?? assert.fail()) === 0)
    await new Promise((resolve) => setImmediate(resolve))
  setTimeout(() => release.resolve(), 20)
  await first
  assert.match(String(await second), /^queue \d+ ms, only target$/)
})
