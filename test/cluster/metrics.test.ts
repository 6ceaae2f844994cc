import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from '../helpers/free-port.ts'
import { type Series, scrape } from '../helpers/metrics.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'

const path = '/v1/chat/completions'

let router: RouterProcess
let admin: string

before(async () => {
  const port = await freePort()
  admin = `http://127.0.0.1:${port}`
  router = await startRouterProcess({
    env: {
      LLM_ROUTER_SERVER_TYPE: 'cluster',
      LLM_ROUTER_SERVER_WORKERS_COUNT: '2',
      LLM_ROUTER_USE_PROMETHEUS: '1',
      LLM_ROUTER_ADMIN_PORT: `${port}`,
      LLM_ROUTER_DRAIN_ACCEPT: '0',
    },
    models: modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] }),
  })
  await router.listening(2)
})
after(() => router.stop())

/** Sends a request over a new connection, so to any worker. */
async function fresh(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = { 'content-type': 'application/json', connection: 'close' }
  return fetch(url, { ...init, headers })
}

const body = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'x' }] })

/** Sends chats over new connections; returns how many. */
async function chat(count: number): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: count }, () => fresh(router.url + path, { method: 'POST', body })),
  )
  for (const answer of answers) {
    assert.equal(answer.status, 200)
    await answer.text()
  }
  return count
}

const chats = (series: Series): number =>
  series.sum('http_requests_total', { method: 'POST', endpoint: path, http_status: '200' })

/** The metrics once they include what was sent: a request is counted when its connection has closed. */
async function counted(expected: number): Promise<Series> {
  const signal = AbortSignal.timeout(30_000)
  for (;;) {
    const series = await scrape(admin)
    if (chats(series) >= expected) return series
    signal.throwIfAborted()
    await pause(20)
  }
}

test('any worker returns the metrics of all workers, including those that have ended', async (t) => {
  const sent = await chat(40)
  await t.test('counters are summed exactly, and are the same in each scrape', async () => {
    await counted(sent)
    for (let index = 0; index < 6; index++) {
      const series = await scrape(admin)
      assert.equal(chats(series), sent)
      assert.equal(series.sum('llm_router_provider_calls_total', { model_name: 'demo' }), sent)
      assert.equal(series.sum('llm_router_provider_latency_seconds_count', { model_name: 'demo' }), sent)
      assert.equal(series.sum('llm_router_workers'), 2)
    }
  })

  await t.test('gauges of a state are not summed', async () => {
    const series = await scrape(admin)
    assert.equal(series.sum('llm_router_target_usable', { target: 'demo' }), 1)
    assert.equal(series.sum('llm_router_build_info'), 1)
    assert.equal(series.sum('llm_router_config_info'), 1)
    assert.equal(series.sum('llm_router_target_breaker_state', { target: 'demo', state: 'closed' }), 2)
  })

  await t.test('a killed worker does not reduce counters that were scraped', async () => {
    const [victim = 0] = await router.listening(2)
    const before = await scrape(admin)
    process.kill(victim, 'SIGKILL')
    await router.listening(3)
    const after = await scrape(admin)
    assert.equal(chats(after), sent)
    for (const name of before.names) {
      if (!/^(?:http|llm_router)_.*(?:_total|_count|_bucket)\b/.test(name)) continue
      assert.ok(after.sum(name) >= before.sum(name), name)
    }
    assert.equal(after.sum('llm_router_workers'), 2)
  })

  await t.test('a worker that shuts down gracefully hands over what was not scraped yet', async () => {
    const [, ending = 0] = await router.listening(3)
    const more = await chat(20)
    process.kill(ending, 'SIGTERM')
    await router.listening(4)
    assert.equal(chats(await counted(sent + more)), sent + more)
  })
})
