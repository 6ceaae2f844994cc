import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { bearer } from '../helpers/keys-file.ts'
import { scrape } from '../helpers/metrics.ts'
import { startCollector, type TraceCollector } from '../helpers/tracing/trace-collector.ts'
import { type CacheSetup, json, question, startCache } from './cache-setup.ts'

const adminKey = 'sk-admin-0123456789abcdef'
let collector: TraceCollector
let cache: CacheSetup

before(async () => {
  collector = await startCollector()
  cache = await startCache({
    env: {
      LLM_ROUTER_USE_PROMETHEUS: '1',
      LLM_ROUTER_ADMIN_KEY: adminKey,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: '5',
    },
  })
})
after(async () => {
  await cache.close()
  await collector.close()
})

test('log line, span and metrics contain the cache outcome', async () => {
  const { ask, router } = cache
  const body = question('What do you see?')
  for (const [outcome, headers] of [
    ['miss', {}],
    ['hit', {}],
    ['bypass', { 'cache-control': 'no-store' }],
  ] as const) {
    const id = `seen-${outcome}`
    await ask(body, outcome, { 'x-request-id': id, ...headers })
    const line = await router.requestLogged(id)
    assert.equal(line.cache, outcome)
    assert.equal(line.target === undefined, outcome === 'hit')
    const [span] = await collector.spansWhere(
      1,
      ({ attributes }) => attributes['llm_router.request_id'] === id,
    )
    assert.equal(span?.attributes['llm_router.cache'], outcome)
  }
  const metrics = await scrape(router.url)
  for (const outcome of ['hit', 'miss', 'bypass'])
    assert.equal(metrics.sum('llm_router_cache_requests_total', { model: 'm', outcome }), 1)
  assert.equal(metrics.sum('llm_router_cache_answers'), 1)
  assert.ok(metrics.sum('llm_router_cache_bytes') > 100)
  assert.equal(metrics.sum('llm_router_cache_failures_total'), 0)
  for (const line of router.logs) assert.doesNotMatch(JSON.stringify(line), /What do you see/)
})

test('P/route names the cache that applies, or the reason for a bypass', async () => {
  const route = async (more: object): Promise<unknown> => {
    const body = { ...question(), ...more }
    const { status, text } = await post(`${cache.router.url}/api/route`, body, {
      ...json,
      ...bearer(adminKey),
    })
    assert.equal(status, 200, text)
    return JSON.parse(text).cache
  }
  assert.deepEqual(await route({}), { name: 'cache', scope: 'client' })
  assert.deepEqual(await route({ store: true }), { name: 'cache', scope: 'client', bypass: 'store' })
})
