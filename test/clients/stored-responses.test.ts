import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import OpenAI, { BadRequestError, InternalServerError, NotFoundError, RateLimitError } from 'openai'
import { bearer, keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type Behaviour, openaiServer, type Script, startUpstream } from '../helpers/scripted-upstream.ts'

const keys = ['alice', 'bob'].map((id) => ({ id, key: `key-of-${id}` }))

interface Setup {
  router: TestRouter
  clientOf(name: string): OpenAI
  /** `METHOD path` of the requests that reached a server. */
  requests(server?: number): string[]
}

/** A router with client keys in front of servers that store responses. */
async function setUp(t: TestContext, provider: object, ...scripts: Script[]): Promise<Setup> {
  const upstreams = await Promise.all(scripts.map((script) => startUpstream(script)))
  const file = keysFile(keys)
  const router = await startRouter({
    env: { ...file.env, LLM_ROUTER_BALANCE_STRATEGY: 'balanced' },
    models: modelsConfig({
      m: upstreams.map(({ url }, index) => ({
        id: `server-${index}`,
        api_host: url,
        api_token: 'server-key',
        model_path: 'upstream-model',
        ...provider,
      })),
    }),
  })
  t.after(async () => {
    await router.close()
    for (const upstream of upstreams) await upstream.close()
    file.remove()
  })
  return {
    router,
    clientOf: (name) => new OpenAI({ baseURL: `${router.url}/v1`, apiKey: `key-of-${name}`, maxRetries: 0 }),
    requests: (server = 0) =>
      (upstreams[server]?.requests ?? []).map(({ method, url, headers }) => {
        assert.equal(headers.authorization, bearer('server-key').authorization)
        return `${method} ${url}`
      }),
  }
}

const responseOf = (id: string, status: string): object => ({
  id,
  object: 'response',
  created_at: 1,
  model: 'upstream-model',
  status,
  background: true,
  output: [],
})

/** A server that runs a response in the background until it is asked for it. */
function backgroundServer(id = 'resp_1'): Script {
  return ({ method, url }): Behaviour => {
    if (method === 'DELETE') return { kind: 'reply', body: { id, object: 'response', deleted: true } }
    if (url.includes('/input_items')) return { kind: 'reply', body: { object: 'list', data: [{ id: 'i' }] } }
    if (url.endsWith('/cancel')) return { kind: 'reply', body: responseOf(id, 'cancelled') }
    return { kind: 'reply', body: responseOf(id, method === 'GET' ? 'completed' : 'queued') }
  }
}

const native = { api_type: 'openai', responses: true }
const background = { model: 'm', input: 'Hi', background: true }

test('a background response is polled, cancelled, listed and deleted at the server that runs it', async (t) => {
  const { clientOf, requests } = await setUp(t, native, backgroundServer())
  const { responses } = clientOf('alice')
  const created = await responses.create(background)
  assert.equal(created.status, 'queued')
  const polled = await responses.retrieve(created.id, { include: ['reasoning.encrypted_content'] })
  assert.equal(polled.status, 'completed')
  assert.equal(polled.model, 'm')
  assert.equal((await responses.cancel(created.id)).status, 'cancelled')
  assert.deepEqual((await responses.inputItems.list(created.id, { limit: 5 })).data, [{ id: 'i' }])
  await responses.delete(created.id)
  await assert.rejects(responses.retrieve(created.id), NotFoundError)
  assert.deepEqual(requests(), [
    'POST /v1/responses',
    `GET /v1/responses/resp_1?${new URLSearchParams({ 'include[]': 'reasoning.encrypted_content' })}`,
    'POST /v1/responses/resp_1/cancel',
    'GET /v1/responses/resp_1/input_items?limit=5',
    'DELETE /v1/responses/resp_1',
  ])
})

test('the tokens of a background response are counted once, when it is first read after its end', async (t) => {
  let status = 'in_progress'
  const usage = { input_tokens: 7, output_tokens: 5, total_tokens: 12 }
  const server: Script = ({ method }) => ({
    kind: 'reply',
    body:
      method === 'GET' && status === 'completed'
        ? { ...responseOf('resp_1', status), usage }
        : responseOf('resp_1', status),
  })
  const { clientOf, router } = await setUp(t, native, server)
  const { responses } = clientOf('alice')
  const { id } = await responses.create(background)
  const counted: unknown[] = []
  for (const next of ['in_progress', 'completed', 'completed']) {
    status = next
    const logged = router.requestLogged()
    await responses.retrieve(id)
    const line = await logged
    counted.push([line.client, line.model, line.prompt_tokens, line.completion_tokens])
  }
  const uncounted = ['alice', undefined, undefined, undefined]
  assert.deepEqual(counted, [uncounted, ['alice', 'm', 7, 5], uncounted])
})

test('the response of one client cannot be read or cancelled by another', async (t) => {
  const { clientOf, requests } = await setUp(t, native, backgroundServer())
  const { id } = await clientOf('alice').responses.create(background)
  const { responses } = clientOf('bob')
  await assert.rejects(responses.retrieve(id), NotFoundError)
  await assert.rejects(responses.cancel(id), NotFoundError)
  await assert.rejects(responses.inputItems.list(id), NotFoundError)
  await assert.rejects(responses.delete(id), NotFoundError)
  assert.equal(requests().length, 1)
})

test('a key that may use a model by an alias has its responses, until it may no longer use the model', async (t) => {
  const upstream = await startUpstream(backgroundServer())
  const file = keysFile([{ id: 'alice', key: 'key-of-alice', models: ['alias'] }])
  const provider = { ...native, api_host: upstream.url }
  const router = await startRouter({
    env: { ...file.env, LLM_ROUTER_CONFIG_POLL: '0.05' },
    models: { ...modelsConfig({ m: [provider], other: [provider] }), aliases: { alias: 'm' } },
  })
  t.after(async () => {
    await router.close()
    await upstream.close()
    file.remove()
  })
  const { responses } = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'key-of-alice', maxRetries: 0 })
  const { id } = await responses.create({ ...background, model: 'alias' })
  assert.equal((await responses.retrieve(id)).model, 'alias')
  file.write([{ id: 'alice', key: 'key-of-alice', models: ['other'] }])
  await router.logged(({ msg }) => /key/.test(String(msg)) && /reload/.test(String(msg)))
  await assert.rejects(responses.retrieve(id), NotFoundError)
})

test('a response is not returned past a guardrail that was added after its creation', async (t) => {
  const { clientOf, router, requests } = await setUp(t, native, backgroundServer())
  const { responses } = clientOf('alice')
  const { id } = await responses.create(background)
  const config: object = JSON.parse(readFileSync(router.file, 'utf8'))
  const guardrail = { type: 'guardrail', name: 'words', on: 'response', words: ['secret'] }
  writeFileSync(router.file, JSON.stringify({ ...config, processors: [guardrail] }))
  await router.logged(({ msg }) => msg === 'models-config.json reloaded')
  await assert.rejects(responses.retrieve(id), NotFoundError)
  assert.equal(requests().length, 1)
})

test('what the router remembers of a response is not a response itself, which earlier versions would continue', async (t) => {
  const { clientOf, requests, router } = await setUp(t, native, backgroundServer())
  const { responses } = clientOf('alice')
  const { id } = await responses.create(background)
  assert.equal(await router.app.responses.find(`alice/${id}`), undefined)
  await assert.rejects(responses.retrieve(`held:${id}`), NotFoundError)
  await responses.create({ model: 'm', input: 'And?', previous_response_id: `held:${id}` })
  assert.deepEqual(requests(), ['POST /v1/responses', 'POST /v1/responses'])
})

test('each response is requested from the server that created it', async (t) => {
  const { clientOf, requests } = await setUp(
    t,
    native,
    backgroundServer('resp_a'),
    backgroundServer('resp_b'),
  )
  const { responses } = clientOf('alice')
  const ids = new Set<string>()
  for (let count = 0; count < 2; count++) ids.add((await responses.create(background)).id)
  assert.deepEqual([...ids].toSorted(), ['resp_a', 'resp_b'])
  for (const id of ids) await responses.retrieve(id)
  assert.deepEqual(requests(0), ['POST /v1/responses', 'GET /v1/responses/resp_a'])
  assert.deepEqual(requests(1), ['POST /v1/responses', 'GET /v1/responses/resp_b'])
})

test('a conversation continues at the engine that has stored its previous response', async (t) => {
  const vllm = { api_type: 'vllm', responses: true }
  const { clientOf, requests } = await setUp(t, vllm, backgroundServer('resp_a'), backgroundServer('resp_b'))
  const { responses } = clientOf('alice')
  const { id } = await responses.create({ model: 'm', input: 'Hi' })
  const server = id === 'resp_a' ? 0 : 1
  for (let count = 0; count < 3; count++)
    await responses.create({ model: 'm', input: 'And?', previous_response_id: id })
  assert.equal(requests(server).length, 4)
})

test('with "store": false the router does not remember who answered', async (t) => {
  const { clientOf, requests } = await setUp(t, native, backgroundServer())
  const { responses } = clientOf('alice')
  const { id } = await responses.create({ model: 'm', input: 'Hi', store: false })
  await assert.rejects(responses.retrieve(id), NotFoundError)
  assert.equal(requests().length, 1)
})

test('a stream tells which server has its response, even if its client leaves before the end', async (t) => {
  const created = { type: 'response.created', sequence_number: 0, response: responseOf('resp_1', 'queued') }
  const delta = { type: 'response.output_text.delta', sequence_number: 1, delta: 'Hi' }
  const events = [created, delta].map((data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`)
  const { promise: end, resolve } = Promise.withResolvers<string>()
  t.after(() => resolve(''))
  const server: Script = ({ method }) =>
    method === 'GET'
      ? { kind: 'reply', body: responseOf('resp_1', 'completed') }
      : { kind: 'stream', pieces: [...events, end] }
  const { clientOf, router } = await setUp(t, native, server)
  const { responses } = clientOf('alice')
  const logged = router.requestLogged()
  const stream = await responses.create({ ...background, stream: true })
  for await (const { type } of stream) {
    assert.equal(type, 'response.created')
    break
  }
  assert.equal((await logged).outcome, 'client_gone')
  assert.equal((await responses.retrieve('resp_1')).status, 'completed')
})

test('a background response can be cancelled while it is streamed', async (t) => {
  const created = { type: 'response.created', sequence_number: 0, response: responseOf('resp_1', 'queued') }
  const delta = { type: 'response.output_text.delta', sequence_number: 1, delta: 'Hi' }
  const ended = {
    type: 'response.incomplete',
    sequence_number: 2,
    response: responseOf('resp_1', 'cancelled'),
  }
  const [first, second, last] = [created, delta, ended].map((data) => `data: ${JSON.stringify(data)}\n\n`)
  const { promise: end, resolve } = Promise.withResolvers<string>()
  t.after(() => resolve(''))
  const server: Script = ({ url }) => {
    if (!url.endsWith('/cancel')) return { kind: 'stream', pieces: [first ?? '', second ?? '', end] }
    resolve(last ?? '')
    return { kind: 'reply', body: responseOf('resp_1', 'cancelled') }
  }
  const { clientOf } = await setUp(t, native, server)
  const { responses } = clientOf('alice')
  const seen: string[] = []
  for await (const event of await responses.create({ ...background, stream: true })) {
    seen.push(event.type)
    if (event.type === 'response.created')
      assert.equal((await responses.cancel(event.response.id)).status, 'cancelled')
  }
  assert.equal(seen.at(-1), 'response.incomplete')
})

test('an error of the server reaches the client in its own terms', async (t) => {
  const failing =
    (status: number): Script =>
    ({ method }) =>
      method === 'GET'
        ? { kind: 'reply', status, body: { error: { message: 'No such response' } } }
        : { kind: 'reply', body: responseOf('resp_1', 'queued') }
  for (const [status, kind] of [
    [404, NotFoundError],
    [400, BadRequestError],
    [401, InternalServerError],
    [500, InternalServerError],
  ] as const) {
    const { clientOf } = await setUp(t, native, failing(status))
    const { responses } = clientOf('alice')
    const { id } = await responses.create(background)
    await assert.rejects(responses.retrieve(id), kind, `${status}`)
  }
})

/** A server that creates responses, and does this with each request about one. */
const serverThatAnswers =
  (...behaviours: Behaviour[]): Script =>
  ({ url }) =>
    url === '/v1/responses'
      ? { kind: 'reply', body: responseOf('resp_1', 'queued') }
      : (behaviours.shift() ?? { kind: 'reply', body: responseOf('resp_1', 'completed') })

test('a request on a connection that the server has closed is sent again', async (t) => {
  const { clientOf, requests } = await setUp(t, native, serverThatAnswers({ kind: 'reset' }))
  const { responses } = clientOf('alice')
  const { id } = await responses.create(background)
  assert.equal((await responses.retrieve(id)).status, 'completed')
  assert.deepEqual(requests().slice(1), ['GET /v1/responses/resp_1', 'GET /v1/responses/resp_1'])
})

test('what is not a response, or an error with status 200, is an error', async (t) => {
  const failed = {
    ...responseOf('resp_1', 'failed'),
    error: { code: 'server_error', message: 'Out of memory' },
  }
  const bodies = ['<html>Log in</html>', '', '[]', { error: { message: 'Broken' } }]
  const { clientOf } = await setUp(
    t,
    native,
    serverThatAnswers(
      ...bodies.map((body): Behaviour => ({ kind: 'reply', body })),
      { kind: 'reply', body: { error: { message: 'No such response', code: 404 } } },
      { kind: 'reply', body: failed },
      { kind: 'reply', body: { error: { message: 'Broken' } } },
      { kind: 'reply', status: 204, body: '' },
    ),
  )
  const { responses } = clientOf('alice')
  const { id } = await responses.create(background)
  for (const body of bodies) await assert.rejects(responses.retrieve(id), InternalServerError, `${body}`)
  await assert.rejects(responses.retrieve(id), NotFoundError)
  assert.equal((await responses.retrieve(id)).error?.code, 'server_error')
  await assert.rejects(responses.delete(id), InternalServerError)
  await responses.delete(id)
  await assert.rejects(responses.retrieve(id), NotFoundError)
})

test('a server that asks to wait does so through the router', async (t) => {
  const limited: Behaviour = { kind: 'reply', status: 429, headers: { 'retry-after': '7' }, body: {} }
  const { clientOf } = await setUp(t, native, serverThatAnswers(limited))
  const { responses } = clientOf('alice')
  const { id } = await responses.create(background)
  await assert.rejects(responses.retrieve(id), (error: unknown) => {
    assert.ok(error instanceof RateLimitError)
    assert.equal(error.headers.get('retry-after'), '7')
    return true
  })
})

test('the input items of a response that the router has stored are listed page by page', async (t) => {
  const { clientOf } = await setUp(t, { api_type: 'openai' }, openaiServer('Hello'))
  const { responses } = clientOf('alice')
  const { id } = await responses.create({
    model: 'm',
    input: [
      { role: 'user', content: 'One' },
      { role: 'assistant', content: 'Two' },
      { role: 'user', content: [{ type: 'input_text', text: 'Three' }] },
    ],
  })
  const texts: unknown[] = []
  for await (const item of responses.inputItems.list(id, { limit: 2, order: 'asc' }))
    texts.push('content' in item ? item.content : item)
  assert.deepEqual(texts, [
    [{ type: 'input_text', text: 'One' }],
    [{ type: 'output_text', text: 'Two' }],
    [{ type: 'input_text', text: 'Three' }],
  ])
  const { data } = await responses.inputItems.list(id, { limit: 1 })
  assert.equal(data.length, 1)
  assert.match(JSON.stringify(data), /Three/)
  await assert.rejects(responses.inputItems.list(id, { after: 'unknown' }), BadRequestError)
  const wrongOrder: object = { order: 'up' }
  await assert.rejects(responses.inputItems.list(id, wrongOrder), /'order' must be .*asc.*desc/)
  await assert.rejects(responses.cancel(id), BadRequestError)
})
