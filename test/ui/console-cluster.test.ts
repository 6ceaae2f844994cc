import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { test } from 'node:test'
import type { History } from '../../src/sdk/console/history.ts'
import type { RecentRequests } from '../../src/sdk/console/recent-requests.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import { openEvents } from './event-reader.ts'
import { chat, read, sum } from './fleet.ts'

/** Over a new connection each, so over any of the workers. */
function ask(url: string, body: object): Promise<number> {
  const { hostname: host, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...{ host, port, method: 'POST', path: '/v1/chat/completions', agent: new Agent() },
        headers: { 'content-type': 'application/json', connection: 'close' },
      },
      (answer) => answer.resume().once('end', () => resolve(answer.statusCode ?? 0)),
    )
    sent.once('error', reject)
    sent.end(JSON.stringify(body))
  })
}

test('history, requests and events are those of all workers, and outlive a worker', async (t) => {
  const router = await startRouterProcess({
    env: { LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: '2' },
    models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }),
  })
  t.after(() => router.stop())
  const pids = await router.listening(2)
  const events = await openEvents(router.url)
  await events.next('status')
  const workers = new Set<number>()
  let count = 0
  while (workers.size < 2) {
    assert.ok(count < 500, 'one worker has got all requests')
    assert.deepEqual(
      await Promise.all([ask(router.url, chat('one')), ask(router.url, chat('two'))]),
      [200, 404],
    )
    count++
    const { data, unknown_models: unknown } = await read<RecentRequests>(router.url, '/requests?limit=1000')
    assert.deepEqual([data.length, unknown[0]?.count], [2 * count, count])
    for (const { worker } of data) workers.add(worker)
  }
  const historyOf = () => read<History>(router.url, '/history')
  assert.equal((await historyOf()).totals.requests, count)
  assert.equal(sum((await historyOf()).targets[0]?.requests ?? []), count)
  let told = 0
  while (told < 2 * count) {
    const { data } = await events.next('requests')
    told += (data.data as unknown[]).length + (data.skipped as number)
  }
  events.close()
  const restarted = router.listening(3)
  process.kill(pids[0] ?? 0, 'SIGKILL')
  await restarted
  assert.equal((await historyOf()).totals.requests, count)
  assert.equal((await read<RecentRequests>(router.url, '/requests')).data.length, Math.min(100, 2 * count))
})
