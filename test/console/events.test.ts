import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applied, StatusDeltas } from '../../src/plugins/console-events/status-deltas.ts'
import type { Status, StatusDelta } from '../../src/sdk/console/status.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { openEvents } from './event-reader.ts'
import { chat, operator, operatorKey, read } from './fleet.ts'

const ids = (list: unknown): string[] => (list as { id: string }[]).map(({ id }) => id)

test('a listener first gets everything, then requests, steps, changes and problems as they occur', async (t) => {
  const router = await startRouter({
    models: modelsConfig({
      one: [
        { id: 'a', api_type: 'mock' },
        { id: 'b', api_type: 'mock' },
      ],
    }),
    env: { LLM_ROUTER_ADMIN_KEY: operatorKey },
  })
  t.after(() => router.close())
  const events = await openEvents(router.url, { headers: operator, query: '?range=1h' })
  t.after(() => events.close())
  const status = (await events.next('status')).data as Status
  assert.deepEqual(ids(status.models[0]?.targets), ['a', 'b'])
  assert.deepEqual((await events.next('problems')).data.problems, [])
  assert.deepEqual((await events.next('requests')).data.data, [])
  const history = (await events.next('history')).data
  assert.deepEqual([history.range, (history.requests as number[]).length], ['1h', 120])

  const seen = events.seen.length
  assert.equal((await post(`${router.url}/v1/chat/completions`, chat('one', true))).status, 200)
  const [request] = (await events.next('requests')).data.data as { model: string; status: number }[]
  assert.deepEqual([request?.model, request?.status], ['one', 200])
  const step = await events.next('step')
  assert.deepEqual([(step.data.requests as number[]).length, Object(step.data.totals).requests], [2, 1])
  await fetch(`${router.url}/api/targets/b/drain`, { method: 'POST', headers: operator })
  const { data } = await events.next('problems')
  assert.deepEqual(
    (data.problems as { code: string }[]).map(({ code }) => code),
    ['drained'],
  )
  const received = events.seen
    .slice(seen)
    .filter(({ name }) => name === 'delta')
    .reduce((whole, event) => applied(whole, event.data as unknown as StatusDelta), status)
  const now = await read<Status>(router.url, '/status', operator).catch(() => undefined)
  assert.equal(received.models[0]?.targets.find(({ id }) => id === 'b')?.state, 'drained')
  assert.equal(
    received.models[0]?.targets.find(({ id }) => id === 'a')?.uses,
    now?.models[0]?.targets[0]?.uses,
  )
  await events.next('heartbeat')
})

test('all listeners share one reading, and a later one gets the same data', async (t) => {
  const router = await startRouter({
    models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }),
    env: { LLM_ROUTER_ADMIN_KEY: operatorKey },
  })
  t.after(() => router.close())
  const first = await openEvents(router.url, { headers: operator })
  const second = await openEvents(router.url, { headers: operator })
  t.after(() => {
    first.close()
    second.close()
  })
  await Promise.all([first.next('status'), second.next('status')])
  const [one, two] = await Promise.all([first.next('heartbeat'), second.next('heartbeat')])
  assert.deepEqual(one.data, two.data)
})

test('a listener that connects while the last one disconnects misses no request', async (t) => {
  const router = await startRouter({ models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }) })
  t.after(() => router.close())
  const first = await openEvents(router.url)
  await first.next('status')
  const { status, rights } = router.app
  const { readAll } = status
  const [reading, reads, comes] = [
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
  ]
  t.mock.method(status, 'readAll', async () => {
    reading.resolve()
    await reads.promise
    return readAll()
  })
  await reading.promise
  const left = router.requestLogged()
  first.close()
  await left
  const { liveView } = rights
  t.mock.method(rights, 'liveView', (...of: Parameters<typeof liveView>) => {
    comes.resolve()
    return liveView(...of)
  })
  const opening = openEvents(router.url)
  await comes.promise
  reads.resolve()
  const second = await opening
  t.after(() => second.close())
  await second.next('status')
  assert.equal((await post(`${router.url}/v1/chat/completions`, chat('one'))).status, 200)
  assert.equal(
    ((await second.next('requests', ({ data }) => ids(data).length > 0)).data.data as []).length,
    1,
  )
})

test('events require a key if one is configured, and end when the router drains', async () => {
  const router = await startRouter({
    models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }),
    env: { LLM_ROUTER_ADMIN_KEY: operatorKey },
  })
  assert.equal((await fetch(`${router.url}/api/events`)).status, 401)
  const events = await openEvents(router.url, { headers: operator })
  await events.next('status')
  const closing = router.close()
  assert.deepEqual((await events.next('end')).data, { reason: 'draining' })
  await events.ended()
  await closing
})

test('without keys, events contain no addresses', async (t) => {
  const router = await startRouter({
    models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }),
  })
  t.after(() => router.close())
  const events = await openEvents(router.url)
  t.after(() => events.close())
  const { data } = await events.next('status')
  assert.ok(!JSON.stringify(data).includes('"address"'))
})

test('an idle router sends no changes until its memory has changed by 16 MiB', async (t) => {
  const router = await startRouter({ models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }) })
  t.after(() => router.close())
  const MiB = 1_048_576
  let bytes = 100 * MiB
  let readings = 0
  const enough = Promise.withResolvers<void>()
  t.mock.method(process.memoryUsage, 'rss', () => {
    readings++
    if (readings === 4) enough.resolve()
    // As garbage collection changes it.
    return bytes + (readings % 2) * 15 * MiB
  })
  const events = await openEvents(router.url)
  t.after(() => events.close())
  await events.next('status')
  await enough.promise
  bytes = 300 * MiB
  const { data } = await events.next('delta')
  assert.equal(events.seen.filter(({ name }) => name === 'delta').length, 1)
  const { status, models } = data as unknown as StatusDelta
  assert.deepEqual([Object.keys(status), models], [['workers'], []])
  assert.ok((status.workers?.[0]?.memory_bytes ?? 0) >= bytes)
  assert.ok((status.workers?.[0]?.uptime_seconds ?? 0) > 0)
})

/** A status in which every target has changed since the previous second. */
function busyStatus(targets: number, second: number): Status {
  return {
    version: '1',
    node: '24',
    uptime_seconds: second,
    worker: 0,
    strategy: 'balanced',
    state: 'ready',
    started_at: '2026-01-01T00:00:00.000Z',
    config: { version: 'v', loaded_at: '2026-01-01T00:00:00.000Z', failed: [] },
    requests: { finished: second, failed: 0, client_gone: 0, per_minute: second, failed_per_minute: 0 },
    failures: [],
    workers: [],
    models: [
      {
        name: 'm',
        strategy: 'balanced',
        waiting: 0,
        refused_per_minute: 0,
        panic: false,
        targets: Array.from({ length: targets }, (_none, index) => ({
          id: `gpu-${index}`,
          server: `gpu-${index}`,
          type: 'vllm',
          state: 'up',
          breaker: 'closed',
          retry_in_seconds: 0,
          since: '2026-01-01T00:00:00.000Z',
          in_flight: second % 7,
          uses: second + index,
          requests_per_minute: second,
          failed_per_minute: 0,
          failure_rate: 0,
          weight: 1,
          context: 4096,
          first_content_ms: 100 + second,
          last_errors: [],
        })),
      },
    ],
  }
}

test('an update of 200 busy servers is at most ten times as large as one of 10, and no change is omitted', () => {
  const sizeOf = (targets: number): number => {
    const deltas = new StatusDeltas()
    deltas.next(busyStatus(targets, 0))
    let received = busyStatus(targets, 0)
    let most = 0
    for (let second = 1; second <= 20; second++) {
      const delta = deltas.next(busyStatus(targets, second))
      if (!delta) continue
      most = Math.max(most, JSON.stringify(delta).length)
      received = applied(received, delta)
    }
    for (let more = 0; more < 5; more++) {
      const delta = deltas.next(busyStatus(targets, 20))
      if (delta) received = applied(received, delta)
    }
    assert.deepEqual(received.models, busyStatus(targets, 20).models)
    return most
  }
  assert.ok(sizeOf(200) <= 10 * sizeOf(10))
})

test('among many changes, those of states are sent first', () => {
  const deltas = new StatusDeltas()
  deltas.next(busyStatus(200, 0))
  const next = busyStatus(200, 1)
  const last = next.models[0]?.targets.at(-1)
  if (last) last.state = 'down'
  const received = ids(deltas.next(next)?.models[0]?.targets ?? [])
  assert.equal(received[0], 'gpu-199')
  // The rest is sent too, each target once before any of them again.
  const further = ids(deltas.next(next)?.models[0]?.targets ?? [])
  assert.ok(further.length > 0 && further.every((id) => !received.includes(id)))
})
