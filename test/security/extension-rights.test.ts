import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { post, type RawAnswer } from '../helpers/http.ts'
import { type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { Series } from '../helpers/metrics.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiChunk,
  openaiError,
  openaiStream,
  openaiText,
  type RecordedRequest,
  type Script,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const extension = join(import.meta.dirname, '../fixtures/extensions/asking.ts')
const adminKey = 'sk-admin-0123456789abcdef'
const keyOf = (id: string) => `sk-0123456789abcdef-${id}`
const record = (id: string, more: object = {}) => ({ id, key: keyOf(id), ...more })
const records = [
  record('all'),
  record('nothing', { models: [] }),
  record('small', { models: ['small'] }),
  record('status', { surfaces: ['operator'] }),
  record('ollama', { surfaces: ['ollama'] }),
  record('both', { surfaces: ['operator', 'text'] }),
  record('three', { requests_per_minute: 3 }),
  record('read', { requests_per_minute: 2 }),
  record('single', { max_concurrent: 1 }),
  record('tokens', { tokens_per_minute: 100 }),
  record('capped', { max_tokens: 7 }),
  record('leaving'),
]

let upstream: ScriptedUpstream
let router: TestRouter
let file: KeysFile

before(async () => {
  upstream = await startUpstream(openaiText('Hi'))
  file = keysFile(records)
  const model = (id: string, more: object = {}) => ({
    providers: [{ id, model_path: id, api_type: 'vllm', api_host: upstream.url }],
    ...more,
  })
  const group = { small: model('small', { fallbacks: ['large'] }), large: model('large') }
  router = await startRouter({
    env: {
      ...file.env,
      LLM_ROUTER_EXTENSIONS: extension,
      LLM_ROUTER_ADMIN_KEY: adminKey,
      LLM_ROUTER_USE_PROMETHEUS: '1',
    },
    models: { g: group, active_models: { g: Object.keys(group) } },
  })
})
after(async () => {
  await router.close()
  await upstream.close()
  file.remove()
})

const isChat = ({ method }: RecordedRequest) => method === 'POST'
const sent = () => upstream.requests.filter(isChat)
const script = (next: Script) => upstream.rescript(next)

function headersOf(key: string | undefined): Record<string, string> {
  return {
    'content-type': 'application/json',
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
  }
}

function asked(id: string, body: object = {}, path = '/ask'): Promise<RawAnswer> {
  return post(router.url + path, { model: 'small', ...body }, headersOf(keyOf(id)))
}

async function got(id: string, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(router.url + path, { headers: headersOf(keyOf(id)) })
  return { status: response.status, text: await response.text() }
}

test('an extension endpoint that asks a model accepts only keys with a right to that model', async () => {
  const from = sent().length
  for (const [id, model, status] of [
    ['nothing', 'small', 404],
    ['small', 'large', 404],
    ['small', 'Small', 404],
    ['all', 'none', 404],
  ] as const) {
    for (const path of ['/ask', '/ask/any', '/ask/stream']) {
      const answer = await asked(id, { model }, path)
      assert.equal(answer.status, status, `${id} ${model} ${path}: ${answer.text}`)
      assert.equal(JSON.parse(answer.text).error.code, 'model_not_found')
    }
    assert.equal((await got(id, `/ask/by-get?model=${model}`)).status, status)
  }
  assert.equal(sent().length, from, 'nothing was sent upstream')
  for (const path of ['/ask', '/ask/any', '/ask/stream'])
    assert.equal((await asked('small', {}, path)).status, 200, path)
  script(openaiStream(['H', 'i']))
  const { events } = JSON.parse((await asked('small', {}, '/ask/stream')).text)
  assert.deepEqual(events, [
    { type: 'text', text: 'H' },
    { type: 'text', text: 'i' },
    { type: 'end', model: 'small', finishReason: 'stop', usage: { promptTokens: 9, completionTokens: 3 } },
  ])
  script(openaiText('Hi'))
})

test('a key with the status surface only asks no model, whatever the route declares', async () => {
  const from = sent().length
  for (const path of ['/ask', '/ask/any', '/ask/stream', '/ask/undeclared'])
    assert.equal((await asked('status', {}, path)).status, 403, path)
  for (const path of ['/ask/undeclared?model=small', '/ask/by-get?model=small'])
    assert.equal((await got('status', path)).status, 403, path)
  const { status } = await post(`${router.url}/ask/undeclared`, { model: 'small' }, headersOf(adminKey))
  assert.equal(status, 403)
  assert.equal(sent().length, from)
})

test('a route without a declared surface requires an operator key, also for GET', async () => {
  for (const id of ['all', 'small', 'ollama']) {
    assert.equal((await got(id, '/ask/undeclared?model=small')).status, 403, id)
    assert.equal((await asked(id, {}, '/ask/undeclared')).status, 403, id)
  }
  assert.equal((await fetch(`${router.url}/ask/undeclared?model=small`)).status, 401)
  assert.equal((await got('both', '/ask/undeclared?model=small')).status, 200)
  assert.equal((await asked('both', {}, '/ask/undeclared')).status, 200)
})

test('a key of another surface has no access, and a key of any surface has access to a route for all', async () => {
  assert.equal((await asked('ollama')).status, 403)
  assert.equal((await asked('ollama', {}, '/ask/any')).status, 200)
})

test('a fallback model is asked only for a key with a right to it', async (t) => {
  t.after(() => script(openaiText('Hi')))
  script(({ body }) =>
    Object(body).model === 'small' ? openaiError(500, { message: 'broken' }) : openaiText('Hi'),
  )
  const from = sent().length
  assert.equal((await asked('small')).status, 502)
  assert.equal((await asked('small', {}, '/ask/stream')).status, 502)
  const models = sent()
    .slice(from)
    .map(({ body }) => Object(body).model)
  assert.ok(!models.includes('large'))
  const answer = await asked('all')
  assert.equal(answer.status, 200)
  assert.equal(JSON.parse(answer.text)[0].model, 'large')
})

test("each model request of an extension counts as one request of its key, whatever the route's method", async () => {
  assert.equal((await asked('three', { times: 2 })).status, 200)
  assert.equal((await asked('three')).status, 200)
  const refused = await asked('three')
  assert.equal(refused.status, 429)
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  for (const status of [200, 200, 429])
    assert.equal((await got('read', '/ask/by-get?model=small')).status, status)
})

test('sequential model requests need one slot, and an additional concurrent one is rejected', async () => {
  assert.equal((await asked('single', { times: 3 })).status, 200)
  assert.equal((await asked('single', { times: 2, atOnce: true })).status, 429)
  assert.equal((await asked('single')).status, 200, 'and all slots were released')
  assert.equal((await asked('single', { upTo: 1 }, '/ask/stream')).status, 200)
  assert.equal((await asked('single', {}, '/ask/stream')).status, 200)
})

test('tokens of model requests are counted, and no more are requested than the key allows', async (t) => {
  t.after(() => script(openaiText('Hi')))
  const long = openaiText('Hi')
  assert.ok(long.kind === 'reply')
  script({ ...long, body: { ...Object(long.body), usage: { prompt_tokens: 60, completion_tokens: 60 } } })
  assert.equal((await asked('tokens')).status, 200)
  const refused = await asked('tokens')
  assert.equal(refused.status, 429)
  script(openaiText('Hi'))
  assert.equal((await asked('capped')).status, 200)
  const { body } = sent().at(-1) ?? assert.fail()
  assert.equal(Object(body).max_tokens ?? Object(body).max_completion_tokens, 7)
})

test('a key that is removed while its request runs makes no further model requests', async (t) => {
  t.after(() => file.write(records))
  const from = sent().length
  const waiting = asked('leaving', { wait: true })
  await got('all', '/ask/waiting')
  const reloaded = router.logged(({ clients }) => clients !== undefined)
  file.write(records.map((each) => (each.id === 'leaving' ? { ...each, expires_at: '2020-01-01' } : each)))
  await reloaded
  await asked('all', {}, '/ask/go')
  const { status, text } = await waiting
  assert.equal(status, 401, text)
  assert.equal(sent().length, from)
})

test("the log line and the metrics name model and dialect of an extension's model request", async () => {
  for (const path of ['/ask', '/ask/stream']) {
    const logged = router.requestLogged()
    await asked('all', {}, path)
    const { model, dialect, target, client, outcome, stream } = await logged
    assert.deepEqual(
      { model, dialect, target, client, outcome, stream },
      {
        model: 'small',
        dialect: 'openai',
        target: 'small',
        client: 'all',
        outcome: 'success',
        stream: path === '/ask/stream',
      },
    )
  }
  const metrics = new Series((await got('both', '/metrics')).text)
  assert.ok(metrics.sum('llm_router_requests_total', { model_name: 'small' }) > 0, metrics.names.join('\n'))
})

test('a reader that stops early ends the upstream request, and its request is not a failure', async (t) => {
  t.after(() => script(openaiText('Hi')))
  const { promise: never } = Promise.withResolvers<void>()
  script(() => ({
    kind: 'stream',
    pieces: [openaiChunk({ content: 'a' }), openaiChunk({ content: 'b' }), never],
  }))
  const index = upstream.requests.length
  const logged = router.requestLogged()
  const { status, text } = await asked('all', { upTo: 1 }, '/ask/stream')
  assert.equal(status, 200, text)
  assert.equal(JSON.parse(text).events.length, 1)
  await upstream.requestClosed(index)
  const { outcome, error } = await logged
  assert.deepEqual({ outcome, error }, { outcome: 'success', error: undefined })
})
