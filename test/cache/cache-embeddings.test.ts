import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { isObject } from '../../src/lib/json/read.ts'
import { eventually } from '../helpers/eventually.ts'
import { openRequest, post } from '../helpers/http.ts'
import { startRouter } from '../helpers/router.ts'
import { type RecordedRequest, startUpstream } from '../helpers/scripted-upstream.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

/** A vector for each requested text, which contains the number of earlier requests. */
function vectors({ body }: RecordedRequest, index: number): object {
  const { input }: Record<string, unknown> = isObject(body) ? body : {}
  const data = [input].flat().map((text, at) => ({
    object: 'embedding',
    index: at,
    embedding: [index, at, String(text).length],
  }))
  return { object: 'list', model: 'up', data, usage: { prompt_tokens: 4, total_tokens: 4 } }
}

async function setup(gate?: Promise<void>, provider: object = {}) {
  const upstream = await startUpstream(async (request, index) => {
    await gate
    return { kind: 'reply', body: vectors(request, index) }
  })
  const router = await startRouter({
    models: {
      processors: [{ type: 'cache' }, { type: 'masking' }],
      g: { m: { providers: [{ api_type: 'vllm', api_host: upstream.url, model_path: 'up', ...provider }] } },
      active_models: { g: ['m'] },
    },
  })
  open.push(upstream, router)
  const ask = async (body: object, expected: string, path = '/v1/embeddings') => {
    const asked = upstream.requests.length
    const answer = await post(router.url + path, { model: 'm', ...body })
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.headers.get('x-llm-router-cache'), expected)
    if (expected === 'hit') assert.equal(upstream.requests.length, asked)
    return JSON.parse(answer.text)
  }
  return { upstream, router, ask }
}

test('cached embeddings are returned in the dialect of the request', async () => {
  const { ask, upstream } = await setup(undefined, { max_batch: 2 })
  for (const input of ['one', ['one', 'two', 'three'], 'Write to jan@example.com']) {
    const fresh = await ask({ input }, 'miss')
    assert.deepEqual(await ask({ input, user: 'jan' }, 'hit'), fresh)
  }
  await ask({ input: 'one', dimensions: 3 }, 'miss')
  const embed = await ask({ input: 'one' }, 'miss', '/api/embed')
  assert.deepEqual((await ask({ input: 'one' }, 'hit', '/api/embed')).embeddings, embed.embeddings)
  for (const { raw } of upstream.requests) assert.ok(!raw.includes('jan@example.com'))
})

test('embeddings requested concurrently are created once, even if the first client disconnects', async () => {
  const gate = Promise.withResolvers<void>()
  const { router, upstream, ask } = await setup(gate.promise)
  const first = await openRequest(router.url, '/v1/embeddings', { model: 'm', input: 'x' })
  await upstream.requestReceived(0)
  const second = ask({ input: 'x' }, 'hit')
  await eventually(() => router.app.exchanges.running === 2)
  for (let turns = 0; turns < 20; turns++) await turn()
  const left = router.requestLogged('open')
  first.destroy()
  await left
  gate.resolve()
  assert.equal((await second).data[0].embedding[0], 0)
  assert.equal(upstream.requests.length, 1)
})
