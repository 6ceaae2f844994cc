import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FormatRegistry } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { type History, HistorySchema } from '../../src/sdk/console/history.ts'
import { eventually } from '../helpers/eventually.ts'
import { closedPort, openRequest, post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiError, openaiStream, startUpstream } from '../helpers/scripted-upstream.ts'
import { chat, read, sum } from './fleet.ts'

FormatRegistry.Set('date-time', (text) => new Date(text).toISOString() === text)

async function historyOf(url: string, query = ''): Promise<History> {
  const history = await read<History>(url, `/history${query}`)
  assert.deepEqual([...Value.Errors(HistorySchema, history)], [])
  return history
}

test('the history has requests, errors, tokens and time to first token, in all ranges', async (t) => {
  const upstream = await startUpstream(() => openaiStream(['Hello', ' there'], { usage: true }))
  const router = await startRouter({
    models: modelsConfig({
      good: [{ id: 'dgx6', api_type: 'vllm', api_host: upstream.url }],
      bad: [{ id: 'dead', api_type: 'vllm', api_host: await closedPort() }],
    }),
  })
  t.after(() => Promise.all([router.close(), upstream.close()]))
  const url = `${router.url}/v1/chat/completions`
  for (const each of [chat('good', true), chat('good', true), chat('bad')]) await post(url, each)
  for (const [range, steps] of [
    ['15m', 90],
    ['1h', 120],
    ['6h', 120],
  ] as const) {
    const history = await historyOf(router.url, `?range=${range}`)
    assert.equal(history.requests.length, steps)
    assert.deepEqual([sum(history.requests), history.totals.requests], [3, 3])
    assert.deepEqual([sum(history.errors), history.totals.errors], [1, 1])
    assert.ok(history.totals.completion_tokens > 0)
    assert.equal(sum(history.prompt_tokens), history.totals.prompt_tokens)
    assert.ok((history.totals.ttft_p95_ms ?? 0) >= (history.totals.ttft_p50_ms ?? Number.NaN))
    const [dgx6, dead] = ['dgx6', 'dead'].map((id) => history.targets.find((target) => target.id === id))
    assert.deepEqual([sum(dgx6?.requests ?? []), sum(dgx6?.errors ?? [])], [2, 0])
    assert.ok(sum(dgx6?.tokens_per_second ?? []) > 0)
    assert.ok(dgx6?.ttft_ms.some((ms) => ms !== null))
    assert.equal(sum(dead?.errors ?? []), sum(dead?.requests ?? []))
    assert.equal(dead?.requests.length, history.spark.steps)
  }
})

test('the history of a router without requests is empty', async (t) => {
  const router = await startRouter({ models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }) })
  t.after(() => router.close())
  const { totals, targets, ttft_p50_ms, requests, from, step_seconds } = await historyOf(router.url)
  assert.deepEqual([totals.requests, totals.ttft_p50_ms, targets], [0, null, []])
  assert.ok(ttft_p50_ms.every((ms) => ms === null) && requests.every((count) => count === 0))
  assert.equal(Date.parse(from) % (step_seconds * 1000), 0)
})

test('requests that wait for a slot are the queue in the history', async (t) => {
  const upstream = await startUpstream({ kind: 'hang' })
  const router = await startRouter({
    models: modelsConfig({ one: [{ id: 'a', api_type: 'vllm', api_host: upstream.url, max_in_flight: 1 }] }),
  })
  t.after(() => Promise.all([router.close(), upstream.close()]))
  const sockets = [await openRequest(router.url, '/v1/chat/completions', chat('one'))]
  await upstream.requestReceived(0)
  sockets.push(await openRequest(router.url, '/v1/chat/completions', chat('one')))
  const { totals, running } = await eventually(async () => {
    const history = await historyOf(router.url)
    return history.totals.queue_max !== 0 && history
  })
  assert.deepEqual([totals.queue_max, Math.max(...running)], [1, 1])
  for (const socket of sockets) socket.destroy()
})

test('an unknown range is rejected with a message', async (t) => {
  const router = await startRouter({ models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }) })
  t.after(() => router.close())
  const response = await fetch(`${router.url}/api/history?range=2d`)
  const problem = Object(await response.json())
  assert.deepEqual([response.status, problem.status], [400, 400])
  assert.match(problem.detail, /range.*15m.*1h.*6h/)
})

test('server errors count for the target that failed, even if another one answered the request', async (t) => {
  const broken = await startUpstream(() => openaiError(503, { message: 'no' }))
  const router = await startRouter({
    models: modelsConfig({
      one: [
        { id: 'broken', api_type: 'vllm', api_host: broken.url },
        { id: 'good', api_type: 'mock' },
      ],
    }),
  })
  t.after(() => Promise.all([router.close(), broken.close()]))
  for (let count = 0; count < 4; count++) await post(`${router.url}/v1/chat/completions`, chat('one'))
  const { totals, targets } = await historyOf(router.url)
  assert.deepEqual([totals.requests, totals.errors], [4, 0])
  assert.ok(sum(targets.find(({ id }) => id === 'broken')?.errors ?? []) > 0)
})
