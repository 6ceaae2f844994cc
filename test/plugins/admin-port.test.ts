import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { type TestContext, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { freePort, openRequest, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'

const models = modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] })

async function start(
  t: TestContext,
  env: Record<string, string> = {},
  config: unknown = models,
): Promise<{ router: TestRouter; admin: string }> {
  const port = await freePort()
  const router = await startRouter({
    env: { LLM_ROUTER_ADMIN_PORT: `${port}`, LLM_ROUTER_USE_PROMETHEUS: '1', ...env },
    models: config,
  })
  t.after(() => router.close())
  return { router, admin: `http://127.0.0.1:${port}` }
}

const adminPaths = ['/metrics', '/api/metrics', '/livez', '/readyz', '/healthz', '/api/status', '/ui']

test('operator endpoints are served on the admin port only', async (t) => {
  const { router, admin } = await start(t)
  for (const path of adminPaths) {
    assert.equal((await fetch(admin + path)).status, 200, path)
    const refused = await fetch(router.url + path)
    assert.equal(refused.status, 404, path)
    assert.equal(refused.headers.get('allow'), null)
  }
})

test('the admin port serves no client endpoints', async (t) => {
  const { router, admin } = await start(t)
  for (const path of ['/', '/ping', '/v1/models', '/api/tags', '/nowhere']) {
    const refused = await fetch(admin + path)
    assert.equal(refused.status, 404, path)
    assert.equal(refused.headers.get('allow'), null)
  }
  const question = { model: 'demo', messages }
  assert.equal((await post(`${admin}/v1/chat/completions`, question)).status, 404)
  assert.equal((await post(`${router.url}/v1/chat/completions`, question)).status, 200)
  const wrongMethod = await post(`${admin}/metrics`, '')
  assert.equal(wrongMethod.status, 405)
  assert.equal(wrongMethod.headers.get('allow'), 'GET, HEAD')
})

test('without an admin port, all endpoints share one port', async (t) => {
  const router = await startRouter({ env: { LLM_ROUTER_USE_PROMETHEUS: '1' }, models })
  t.after(() => router.close())
  for (const path of [...adminPaths, '/ping']) {
    assert.equal((await fetch(router.url + path)).status, 200, path)
  }
})

test('the admin port serves consecutive requests over one connection', async (t) => {
  const { admin } = await start(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  for (let index = 0; index < 3; index++) {
    const [response] = await once(request(`${admin}/livez`, { agent }).end(), 'response')
    response.resume()
    await once(response, 'end')
    assert.equal(response.statusCode, 200)
  }
})

test('the admin port stays available during shutdown until the last response has been sent', async (t) => {
  let finish = (): void => undefined
  const upstream = await startUpstream({
    kind: 'stream',
    pieces: [
      'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
      new Promise<void>((resolve) => {
        finish = resolve
      }),
      'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    ],
  })
  t.after(() => upstream.close())
  const { router, admin } = await start(
    t,
    {},
    modelsConfig({ slow: [{ api_type: 'vllm', api_host: upstream.url }] }),
  )
  const socket = await openRequest(router.url, '/v1/chat/completions', {
    model: 'slow',
    stream: true,
    messages,
  })
  await once(socket, 'data')
  const closed = router.app.close()
  await eventually(() => router.app.drain.active)
  const ready = await fetch(`${admin}/readyz`)
  assert.equal(ready.status, 503)
  assert.deepEqual(await ready.json(), { status: 'not_ready', reasons: ['draining'] })
  assert.match(await fetch(`${admin}/metrics`).then((answer) => answer.text()), /llm_router_build_info/)
  finish()
  await closed
  await assert.rejects(fetch(`${admin}/livez`))
})

test('the router does not start when the admin port is in use', async (t) => {
  const { admin } = await start(t)
  const port = new URL(admin).port
  await assert.rejects(startRouter({ env: { LLM_ROUTER_ADMIN_PORT: port }, models }), { code: 'EADDRINUSE' })
})
