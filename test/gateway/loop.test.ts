import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { version } from '../../src/lib/version.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiServer, startUpstream } from '../helpers/scripted-upstream.ts'

const json = { 'content-type': 'application/json' }
const spare = { id: 'spare', api_type: 'mock' }

async function start(t: TestContext): Promise<TestRouter> {
  const router = await startRouter({ models: modelsConfig({ demo: [spare] }) })
  t.after(() => router.close())
  return router
}

/** Changes the servers of the router's model. */
async function configure(router: TestRouter, providers: Record<string, unknown>[]): Promise<void> {
  const config = modelsConfig({ demo: providers, other: [spare] })
  writeFileSync(router.file, JSON.stringify(config))
  await router.logged(({ msg }) => msg === 'models-config.json reloaded')
}

const leadingTo = (id: string, { url }: TestRouter): Record<string, unknown> => ({
  id,
  api_host: url,
  api_type: 'vllm',
})

const requestsOf = ({ logs }: TestRouter): number => logs.filter(({ msg }) => msg === 'request').length

const paths = {
  '/v1/chat/completions': { model: 'demo', messages },
  '/v1/messages': { model: 'demo', max_tokens: 9, messages },
  '/v1/embeddings': { model: 'demo', input: 'Hello' },
}

for (const [path, body] of Object.entries(paths))
  test(`${path}: a request whose only server is the router itself fails after a few rounds`, async (t) => {
    const router = await start(t)
    await configure(router, [leadingTo('self', router)])
    const answer = await post(router.url + path, body)
    assert.ok(answer.status >= 500, answer.text)
    const requests = requestsOf(router)
    assert.ok(requests > 1 && requests < 20, `${requests} requests`)
    const last = router.logs.find(({ status }) => status === 508)
    assert.equal(last?.error_code, 'loop_detected')
  })

test('two routers that name each other as servers do not pass a request on forever', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  await configure(one, [leadingTo('two', two)])
  await configure(two, [leadingTo('one', one)])
  const answer = await post(`${one.url}/v1/chat/completions`, paths['/v1/chat/completions'])
  assert.ok(answer.status >= 500, answer.text)
  const requests = requestsOf(one) + requestsOf(two)
  assert.ok(requests < 20, `${requests} requests`)
})

test('a model that has another server besides the router itself is answered by the other', async (t) => {
  const router = await start(t)
  await configure(router, [leadingTo('self', router), { ...spare, id: 'second' }])
  const answer = await post(`${router.url}/v1/chat/completions`, paths['/v1/chat/completions'])
  assert.equal(answer.status, 200, answer.text)
})

test('a chain of routers answers', async (t) => {
  const [last, middle, first] = [await start(t), await start(t), await start(t)]
  await configure(middle, [leadingTo('last', last)])
  await configure(first, [leadingTo('middle', middle)])
  const answer = await post(`${first.url}/v1/chat/completions`, paths['/v1/chat/completions'])
  assert.equal(answer.status, 200, answer.text)
})

test('a server learns from the user agent how many routers are in front of it', async (t) => {
  const upstream = await startUpstream(openaiServer('Hi'))
  t.after(() => upstream.close())
  const [second, first] = [await start(t), await start(t)]
  await configure(second, [{ id: 'a', api_host: upstream.url, api_type: 'vllm' }])
  await configure(first, [leadingTo('second', second)])
  const agents: (string | undefined)[] = []
  for (const router of [second, first]) {
    await post(`${router.url}/v1/chat/completions`, paths['/v1/chat/completions'])
    agents.push(upstream.requests.at(-1)?.headers['user-agent'])
  }
  assert.deepEqual(agents, [`llm-router/${version}`, `llm-router/${version} (hop 2)`])
})

test('the loop is reported in the dialect of the client', async (t) => {
  const router = await start(t)
  const answer = await post(`${router.url}/v1/messages`, paths['/v1/messages'], {
    ...json,
    'user-agent': 'llm-router/1.0.0 (hop 5)',
  })
  assert.equal(answer.status, 508)
  assert.equal(JSON.parse(answer.text).type, 'error')
  assert.match(JSON.parse(answer.text).error.message, /router itself/)
})
