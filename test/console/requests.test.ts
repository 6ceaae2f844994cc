import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { FormatRegistry } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { type RecentRequests, RecentRequestsSchema } from '../../src/sdk/console/recent-requests.ts'
import { closedPort, openRequest, post } from '../helpers/http.ts'
import { bearer, keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { RawClient } from '../helpers/raw-client.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiError, openaiStream, startUpstream } from '../helpers/scripted-upstream.ts'
import { chat, read } from './fleet.ts'

FormatRegistry.Set('date-time', (text) => new Date(text).toISOString() === text)

async function requestsOf(url: string, query = '', headers = {}): Promise<RecentRequests> {
  const requests = await read<RecentRequests>(url, `/requests${query}`, headers)
  assert.deepEqual([...Value.Errors(RecentRequestsSchema, requests)], [])
  return requests
}

/** Sends chats to these models over one connection, pipelined, so that the client takes little time. */
async function askAll(url: string, models: readonly string[]): Promise<void> {
  const client = await RawClient.open(url)
  for (let at = 0; at < models.length; at += 50) {
    const some = models.slice(at, at + 50)
    const requests = some.map((model) => {
      const body = JSON.stringify(chat(model))
      return `POST /v1/chat/completions HTTP/1.1\r\nhost: router\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
    })
    client.send(requests.join(''))
    for (const _each of some) assert.equal((await client.answer()).status, 404)
  }
  client.socket.destroy()
}

test('a request has its target and the reason for it, its tokens and times, and its attempts', async (t) => {
  const broken = await startUpstream(() => openaiError(503, { message: 'the prompt was: a secret prompt' }))
  const good = await startUpstream(() => openaiStream(['Hello', ' there'], { usage: true }))
  const router = await startRouter({
    env: { LLM_ROUTER_BALANCE_STRATEGY: 'least_busy' },
    models: modelsConfig({
      one: [
        { id: 'broken', api_type: 'vllm', api_host: broken.url },
        { id: 'good', api_type: 'vllm', api_host: good.url },
      ],
    }),
  })
  t.after(() => Promise.all([router.close(), broken.close(), good.close()]))
  const answer = await fetch(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(chat('one', true)),
  })
  await answer.text()
  const id = answer.headers.get('x-request-id')
  const { data, newest } = await requestsOf(router.url)
  const [request] = data
  assert.ok(request && data.length === 1 && newest === request.seq)
  assert.deepEqual(
    [request.id, request.model, request.target, request.status, request.outcome, request.operation],
    [id, 'one', 'good', 200, 'success', 'chat'],
  )
  assert.deepEqual(
    [request.dialect, request.stream, request.endpoint],
    ['openai', true, '/v1/chat/completions'],
  )
  assert.ok(request.completion_tokens !== null && request.completion_tokens > 0 && request.ttft_ms !== null)
  const [first, second] = request.attempts
  assert.deepEqual([first?.target, first?.outcome, first?.error?.code], ['broken', 'failure', 'HTTP_503'])
  assert.match(first?.error?.text ?? '', /answered 503/)
  assert.deepEqual([second?.target, second?.outcome, second?.error], ['good', 'success', undefined])
  assert.match(second?.reason ?? '', /failover after HTTP_503/)
  assert.ok(first?.end_ms != null && second && second.start_ms >= first.end_ms)
  assert.ok(second.ttft_ms !== null && second.end_ms !== null && second.end_ms <= request.duration_ms)
  assert.deepEqual(await read(router.url, `/requests/${id}`), request)
  assert.ok(!JSON.stringify(data).includes('secret'))
})

test('requests are filtered by client, model, target, status and outcome, and paged', async (t) => {
  const keys = keysFile([
    { id: 'alice', key: 'sk-alice-0123456789abcdef' },
    { id: 'bob', key: 'sk-bob-0123456789abcdefgh' },
    { id: 'op', key: 'sk-operator-0123456789ab', surfaces: ['operator'] },
  ])
  const router = await startRouter({
    env: keys.env,
    models: modelsConfig({
      one: [{ id: 'a', api_type: 'mock' }],
      two: [{ id: 'dead', api_type: 'vllm', api_host: await closedPort() }],
    }),
  })
  t.after(() => Promise.all([router.close(), keys.remove()]))
  const ask = (key: string, model: string) =>
    fetch(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer(key) },
      body: JSON.stringify(chat(model)),
    }).then((response) => response.text())
  for (const model of ['one', 'two', 'gpt-9']) await ask('sk-alice-0123456789abcdef', model)
  await ask('sk-bob-0123456789abcdefgh', 'one')
  await ask('sk-wrong-0123456789abcdef', 'one')
  const operator = bearer('sk-operator-0123456789ab')
  const models = async (query: string) =>
    (await requestsOf(router.url, query, operator)).data.map(({ client, model, asked, status }) => [
      client,
      model ?? asked ?? null,
      status,
    ])
  assert.deepEqual(await models('?client=alice'), [
    ['alice', 'gpt-9', 404],
    ['alice', 'two', 502],
    ['alice', 'one', 200],
  ])
  assert.deepEqual(await models('?model=one'), [
    ['bob', 'one', 200],
    ['alice', 'one', 200],
  ])
  assert.deepEqual(await models('?target=dead'), [['alice', 'two', 502]])
  assert.deepEqual(await models('?status=5xx'), [['alice', 'two', 502]])
  assert.deepEqual(await models('?status=401'), [[null, null, 401]])
  assert.deepEqual(await models('?outcome=error'), [['alice', 'two', 502]])
  assert.deepEqual(await models('?unknown_model=true'), [['alice', 'gpt-9', 404]])
  const first = await requestsOf(router.url, '?limit=2', operator)
  const rest = await requestsOf(router.url, `?limit=10&cursor=${first.next_cursor}`, operator)
  assert.deepEqual([first.data.length, rest.data.length, rest.next_cursor], [2, 3, undefined])
  const since = await requestsOf(router.url, `?since=${rest.data[0]?.seq}`, operator)
  assert.deepEqual(since.data, first.data)
  // A client may not see the requests of others.
  const alice = await fetch(`${router.url}/api/requests`, { headers: bearer('sk-alice-0123456789abcdef') })
  assert.equal(alice.status, 403)
  assert.equal((await fetch(`${router.url}/api/requests`)).status, 401)
})

test('unknown models that clients ask for are listed, with the number of requests and the nearest name', async (t) => {
  const router = await startRouter({
    models: modelsConfig({ 'llama3-70b': [{ id: 'a', api_type: 'mock' }] }),
  })
  t.after(() => router.close())
  for (const name of ['llama3-70', 'llama3-70', `x${'\u202e'}y\n${'z'.repeat(300)}`])
    await post(`${router.url}/v1/chat/completions`, chat(name))
  const { unknown_models: unknown, data } = await requestsOf(router.url)
  assert.deepEqual(
    unknown.map(({ name, count, exists, did_you_mean }) => [name.slice(0, 9), count, exists, did_you_mean]),
    [
      ['x?y?zzzzz', 1, false, undefined],
      ['llama3-70', 2, false, 'llama3-70b'],
    ],
  )
  assert.ok(unknown.every(({ name }) => name.length <= 128))
  assert.equal(data.length, 3)
  await askAll(
    router.url,
    Array.from({ length: 150 }, (_, index) => `model-${index}`),
  )
  assert.equal((await requestsOf(router.url)).unknown_models.length, 100)
})

test('a request whose client disconnects is listed with the outcome of its attempt', async (t) => {
  const upstream = await startUpstream({ kind: 'hang' })
  const router = await startRouter({
    models: modelsConfig({ one: [{ id: 'a', api_type: 'vllm', api_host: upstream.url }] }),
  })
  t.after(() => Promise.all([router.close(), upstream.close()]))
  const socket = await openRequest(router.url, '/v1/chat/completions', chat('one'))
  await upstream.requestReceived(0)
  const logged = router.requestLogged()
  socket.destroy()
  await logged
  const [request] = (await requestsOf(router.url)).data
  assert.deepEqual(
    [request?.status, request?.outcome, request?.attempts[0]?.outcome],
    [499, 'client_gone', 'cancelled'],
  )
})

test('of many requests per second, 100 with the same outcome are listed, and all are counted', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.after(() => mock.timers.reset())
  const router = await startRouter({ models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }) })
  t.after(() => router.close())
  await askAll(router.url, Array<string>(150).fill('gone'))
  assert.equal((await post(`${router.url}/v1/chat/completions`, chat('one'))).status, 200)
  const { data, newest } = await requestsOf(router.url, '?limit=1000')
  assert.deepEqual(
    [newest, data[0]?.outcome, data.slice(1).map(({ outcome }) => outcome)],
    [151, 'success', Array(100).fill('client_error')],
  )
  await askAll(router.url, ['gone'])
  const later = await requestsOf(router.url, `?since=${newest}`)
  assert.deepEqual([later.newest, later.data.length], [152, 1])
})

test('the list keeps the last 1,000 requests', async (t) => {
  const router = await startRouter({ models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }) })
  t.after(() => router.close())
  const oldest = await fetch(`${router.url}/v1/chat/completions`, { method: 'POST' })
  await oldest.text()
  for (let count = 0; count < 1_050; count += 50) {
    await askAll(router.url, Array<string>(50).fill('gone'))
    await requestsOf(router.url, '?limit=1')
  }
  const { data, newest } = await requestsOf(router.url, '?limit=1000')
  assert.deepEqual([data.length, newest], [1_000, 1_051])
  const response = await fetch(`${router.url}/api/requests/${oldest.headers.get('x-request-id')}`)
  assert.deepEqual([response.status, Object(await response.json()).code], [404, 'request_not_found'])
})
