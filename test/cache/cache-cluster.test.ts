import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { bearer } from '../helpers/keys-file.ts'
import { scrape } from '../helpers/metrics.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { completion, modelsWith, question } from './cache-setup.ts'

const adminKey = 'sk-admin-0123456789abcdef'

type Send = (method: string, path: string, body?: object) => Promise<{ cache: string; text: string }>

/** All requests use one connection, so they go to one worker. */
function connectTo({ url }: RouterProcess): Send {
  const { hostname: host, port } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', ...bearer(adminKey) }
      const sent = request({ host, port, method, path, agent, headers }, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve({ cache: String(response.headers['x-llm-router-cache']), text })
      })
      sent.once('error', reject)
      sent.end(body && JSON.stringify(body))
    })
}

async function twoWorkers(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-cache-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const extension = join(folder, 'pid.ts')
  writeFileSync(
    extension,
    `export default async (app) => { app.get('/pid', () => ({ pid: process.pid })) }\n`,
  )
  const upstream = await startUpstream((_request, index) => ({
    kind: 'reply',
    body: completion(`Answer ${index}`),
  }))
  t.after(() => upstream.close())
  const router = await startRouterProcess({
    models: modelsWith([{ type: 'cache' }], upstream.url),
    env: {
      LLM_ROUTER_EXTENSIONS: extension,
      LLM_ROUTER_SERVER_TYPE: 'cluster',
      LLM_ROUTER_SERVER_WORKERS_COUNT: '2',
      LLM_ROUTER_ADMIN_KEY: adminKey,
      LLM_ROUTER_USE_PROMETHEUS: '1',
    },
  })
  t.after(() => router.stop())
  await router.listening(2)
  const found = new Map<number, Send>()
  const signal = AbortSignal.timeout(10_000)
  while (found.size < 2) {
    signal.throwIfAborted()
    const send = connectTo(router)
    const { pid }: { pid: number } = JSON.parse((await send('GET', '/pid')).text)
    if (!found.has(pid)) found.set(pid, send)
  }
  const [one, other] = [...found.values()]
  assert.ok(one && other)
  return { one, other, upstream, router }
}

test('workers share cached responses and remove them together', async (t) => {
  const { one, other, upstream, router } = await twoWorkers(t)
  const ask = (send: Send) => send('POST', '/v1/chat/completions', question())
  assert.equal((await ask(one)).cache, 'miss')
  assert.equal((await ask(one)).cache, 'hit')
  const signal = AbortSignal.timeout(10_000)
  // The primary may receive the response after the next request.
  while ((await ask(other)).cache !== 'hit') signal.throwIfAborted()
  assert.ok(upstream.requests.length <= 2)
  const metrics = await scrape(router.url)
  assert.equal(metrics.sum('llm_router_cache_answers'), 1)
  assert.ok(metrics.sum('llm_router_cache_requests_total', { model: 'm', outcome: 'hit' }) >= 2)
  assert.deepEqual(JSON.parse((await other('DELETE', '/api/cache?model=m')).text), { removed: 1 })
  assert.equal((await ask(one)).cache, 'miss')
})
