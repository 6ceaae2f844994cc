import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FormatRegistry } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { type Status, StatusSchema } from '../../src/sdk/console/status.ts'
import { closedPort, openRequest, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiChunk, openaiDone, startUpstream } from '../helpers/scripted-upstream.ts'

FormatRegistry.Set('date-time', (text) => new Date(text).toISOString() === text)

const ask = (model: string, stream = false) => ({ model, stream, messages })

async function statusOf(url: string, path = '/api/status'): Promise<Status> {
  const response = await fetch(url + path)
  assert.equal(response.status, 200)
  const status: unknown = await response.json()
  assert.deepEqual([...Value.Errors(StatusSchema, status)], [])
  return status as Status // just checked
}

function targetIn(status: Status, id: string) {
  const target = status.models.flatMap(({ targets }) => targets).find((each) => each.id === id)
  return target ?? assert.fail(`no target ${id}`)
}

/** The events of an SSE stream, one at a time. */
async function* eventsOf(response: Response): AsyncGenerator<Status> {
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  let text = ''
  for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += piece
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const event = text.slice(0, end)
      text = text.slice(end + 2)
      if (event.startsWith('data: ')) yield JSON.parse(event.slice('data: '.length))
    }
  }
}

test('a new router is ready, and reports its models and strategy', async (t) => {
  const router = await startRouter({
    env: { LLM_ROUTER_BALANCE_STRATEGY: 'weighted' },
    models: {
      g: {
        one: {
          strategy: 'least_busy',
          providers: [{ id: 'a', api_type: 'mock', input_size: 4096, weight: 0.25 }],
          providers_sleep: [{ id: 'spare', api_type: 'mock' }],
        },
        two: { providers: [{ id: 'b', api_type: 'mock' }] },
      },
      active_models: { g: ['one', 'two'] },
    },
  })
  t.after(() => router.close())
  const status = await statusOf(router.url)
  assert.deepEqual([status.state, status.strategy, status.worker], ['ready', 'weighted', 0])
  assert.deepEqual(
    status.models.map(({ name, strategy }) => [name, strategy]),
    [
      ['one', 'least_busy'],
      ['two', 'weighted'],
    ],
  )
  const { state, weight, context, uses, type } = targetIn(status, 'a')
  assert.deepEqual(
    { state, weight, context, uses, type },
    { state: 'up', weight: 0.25, context: 4096, uses: 0, type: 'mock' },
  )
  assert.equal(targetIn(status, 'spare').state, 'standby')
})

test('an answered request shows in the use count and the speed of its target', async (t) => {
  const router = await startRouter({ models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }) })
  t.after(() => router.close())
  assert.equal((await post(`${router.url}/v1/chat/completions`, ask('one'))).status, 200)
  await router.logged(({ msg }) => msg === 'request')
  const status = await statusOf(router.url)
  const { uses, in_flight, requests_per_minute, first_content_ms, failure_rate } = targetIn(status, 'a')
  assert.deepEqual([uses, in_flight, requests_per_minute, failure_rate], [1, 0, 1, 0])
  assert.ok(first_content_ms !== undefined && first_content_ms >= 0)
  assert.equal(status.requests.finished, 1)
  assert.equal(status.requests.per_minute, 1)
})

test('a running stream is in flight until it ends', async (t) => {
  const finish = Promise.withResolvers<void>()
  const upstream = await startUpstream({
    kind: 'stream',
    pieces: [openaiChunk({ content: 'Hi' }), finish.promise, openaiChunk({}, 'stop'), openaiDone],
  })
  const router = await startRouter({
    models: modelsConfig({ one: [{ id: 'a', api_type: 'vllm', api_host: upstream.url }] }),
  })
  t.after(() => Promise.all([router.close(), upstream.close()]))
  const socket = await openRequest(router.url, '/v1/chat/completions', ask('one', true))
  await upstream.requestReceived(0)
  assert.equal(targetIn(await statusOf(router.url), 'a').in_flight, 1)
  const logged = router.logged(({ endpoint }) => endpoint === '/v1/chat/completions')
  finish.resolve()
  socket.resume()
  await logged
  assert.equal(targetIn(await statusOf(router.url), 'a').in_flight, 0)
  socket.destroy()
})

test('a failure that another target made good is shown at its target only, without an address', async (t) => {
  const gone = await closedPort()
  const router = await startRouter({
    models: modelsConfig({
      one: [
        { id: 'dead', api_type: 'vllm', api_host: gone, api_token: 'sk-very-secret', weight: 1 },
        { id: 'good', api_type: 'mock' },
      ],
    }),
  })
  t.after(() => router.close())
  for (let count = 0; count < 4; count++) {
    assert.equal((await post(`${router.url}/v1/chat/completions`, ask('one'))).status, 200)
  }
  const status = await statusOf(router.url)
  const dead = targetIn(status, 'dead')
  assert.equal(dead.last_errors[0]?.code, 'ECONNREFUSED')
  assert.deepEqual([dead.state, dead.breaker, status.state], ['open', 'open', 'degraded'])
  assert.ok(dead.retry_in_seconds > 0)
  assert.deepEqual([status.failures, status.requests.failed], [[], 0])
  const text = JSON.stringify(status)
  assert.ok(
    !text.includes(new URL(gone).port) && !text.includes('127.0.0.1') && !text.includes('secret'),
    text,
  )
})

test('a failed request is listed with its model, target, status and cause', async (t) => {
  const upstream = await startUpstream({
    kind: 'reply',
    status: 503,
    body: { error: { message: 'secret words' } },
  })
  const router = await startRouter({
    models: modelsConfig({ one: [{ id: 'a', api_type: 'vllm', api_host: upstream.url }] }),
  })
  t.after(() => Promise.all([router.close(), upstream.close()]))
  const { status: returned } = await post(`${router.url}/v1/chat/completions`, ask('one'))
  await router.logged(({ msg }) => msg === 'request')
  const status = await statusOf(router.url)
  const [{ at, ...failure } = assert.fail('no failure')] = status.failures
  assert.deepEqual(failure, {
    model: 'one',
    target: 'a',
    status: returned,
    outcome: 'error',
    code: 'HTTP_503',
    text: 'answered 503 (Service Unavailable)',
  })
  assert.ok(Math.abs(Date.now() - Date.parse(at)) < 60_000)
  assert.deepEqual([status.requests.failed, status.requests.failed_per_minute], [1, 1])
  assert.ok(!JSON.stringify(status).includes('secret words'))
})

test('a request for an unknown model is not counted as a model request', async (t) => {
  const router = await startRouter({ models: modelsConfig({ one: [{ api_type: 'mock' }] }) })
  t.after(() => router.close())
  assert.equal((await post(`${router.url}/v1/chat/completions`, ask('nope'))).status, 404)
  await router.logged(({ msg }) => msg === 'request')
  assert.equal((await statusOf(router.url)).requests.finished, 0)
})

test('events are sent immediately and keep coming, and the timer runs only while there are listeners', async (t) => {
  const router = await startRouter({ models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }) })
  t.after(() => router.close())
  assert.equal(router.app.statusEvents.listeners, 0)
  const events = eventsOf(await fetch(`${router.url}/api/status/events`))
  const first = (await events.next()).value as Status
  assert.deepEqual([...Value.Errors(StatusSchema, first)], [])
  assert.equal(router.app.statusEvents.listeners, 1)
  assert.equal((await post(`${router.url}/v1/chat/completions`, ask('one'))).status, 200)
  let uses = 0
  while (uses === 0) uses = targetIn((await events.next()).value as Status, 'a').uses
  const logged = router.logged(({ endpoint }) => endpoint === '/api/status/events')
  await events.return(undefined)
  await logged
  assert.equal(router.app.statusEvents.listeners, 0)
})

test('a HEAD request for the events does not start listening', async (t) => {
  const router = await startRouter({ models: modelsConfig({ one: [{ api_type: 'mock' }] }) })
  t.after(() => router.close())
  const response = await fetch(`${router.url}/api/status/events`, { method: 'HEAD' })
  assert.equal(response.status, 405)
})

test('a listener above the limit is rejected without ending the others', async (t) => {
  const router = await startRouter({ models: modelsConfig({ one: [{ api_type: 'mock' }] }) })
  t.after(() => router.close())
  const silent = { update: () => undefined, end: () => undefined }
  const stops = Array.from({ length: 100 }, () => router.app.statusEvents.listen({ ...silent }))
  assert.equal((await fetch(`${router.url}/api/status/events`)).status, 503)
  assert.equal(router.app.statusEvents.listeners, 100)
  for (const stop of stops) stop()
})

test('a router that shuts down reports it and ends the event streams, so that they do not delay it', async () => {
  const router = await startRouter({ models: modelsConfig({ one: [{ api_type: 'mock' }] }) })
  const events = eventsOf(await fetch(`${router.url}/api/status/events`))
  await events.next()
  const closed = router.close()
  let last: Status | undefined
  for await (const status of events) last = status
  assert.equal(last?.state, 'draining')
  await closed
})

test('the status is under the prefix', async (t) => {
  const router = await startRouter({
    env: { LLM_ROUTER_EP_PREFIX: '/llm' },
    models: modelsConfig({ one: [{ api_type: 'mock' }] }),
  })
  t.after(() => router.close())
  assert.equal((await statusOf(router.url, '/llm/status')).state, 'ready')
  assert.equal((await fetch(`${router.url}/api/status`)).status, 404)
  assert.match(await (await fetch(`${router.url}/ui`)).text(), /data-api="llm\/"/)
})
