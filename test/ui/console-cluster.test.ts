import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { after, before, test } from 'node:test'
import type { History } from '../../src/sdk/console/history.ts'
import type { Problem } from '../../src/sdk/console/problems.ts'
import type { RecentRequests } from '../../src/sdk/console/recent-requests.ts'
import type { Status } from '../../src/sdk/console/status.ts'
import { openEvents } from '../console/event-reader.ts'
import { chat, read, sum } from '../console/fleet.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import type { TestBrowser } from './browser.ts'
import { browserFor, chromium, needsChromium, openConsole } from './console-browser.ts'

/** Of the page. */
declare const document: { querySelector(selector: string): { textContent: string } | null }

/** One cluster for all tests, as three processes take seconds to start. */
let router: RouterProcess
let chrome: TestBrowser | undefined
before(async () => {
  if (chromium !== undefined) chrome = await browserFor()
  router = await startRouterProcess({
    env: { LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: '2' },
    models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }),
  })
})
after(() => Promise.all([chrome?.close(), router?.stop()]))

/** Each request opens a connection, which any of the workers may get. */
function ask(url: string, body: object): Promise<number> {
  const { hostname: host, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host,
        port,
        method: 'POST',
        path: '/v1/chat/completions',
        agent: new Agent(),
        headers: { 'content-type': 'application/json', connection: 'close' },
      },
      (answer) => answer.resume().once('end', () => resolve(answer.statusCode ?? 0)),
    )
    sent.once('error', reject)
    sent.end(JSON.stringify(body))
  })
}

test('the console shows each process of a cluster', needsChromium, async (t) => {
  const { open, click, page, close } = await openConsole(chrome ?? assert.fail('no Chromium'), router.url)
  t.after(close)
  await open('/settings')
  await click('#tab-versions')
  // A worker that does not respond in time on a busy machine is shown as such until its next status.
  await page.waitForFunction(
    (selector, both) => new RegExp(both).test(document.querySelector(selector)?.textContent ?? ''),
    {},
    '[aria-label="Processes of this router"] tbody',
    '1 pid \\d+all well.*2 pid \\d+all well',
  )
})

test('history, requests and events cover all workers, and survive the death of a worker', async () => {
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
  let received = 0
  while (received < 2 * count) {
    const { data } = await events.next('requests')
    received += (data.data as unknown[]).length + (data.skipped as number)
  }
  events.close()
  const restarted = router.listening(3)
  process.kill(pids[0] ?? 0, 'SIGKILL')
  await restarted
  assert.equal((await historyOf()).totals.requests, count)
  assert.equal((await read<RecentRequests>(router.url, '/requests')).data.length, Math.min(100, 2 * count))
})

test('a process of a cluster that hangs is a problem', async (t) => {
  const events = await openEvents(router.url)
  t.after(() => events.close())
  const { worker, workers } = (await events.next('status')).data as Pick<Status, 'worker' | 'workers'>
  // Not the one that sends these events.
  const other = workers.find((each) => each.worker !== worker) ?? assert.fail('one worker')
  process.kill(other.pid, 'SIGSTOP')
  t.after(() => process.kill(other.pid, 'SIGCONT'))
  const isSilent = ({ code }: Problem): boolean => code === 'worker_silent'
  const { data } = await events.next('problems', ({ problems }) => (problems as Problem[]).some(isSilent))
  const silent = (data.problems as Problem[]).find(isSilent)
  assert.equal(silent?.text, `Worker ${other.worker} does not respond: it is busy or hangs`)
})
