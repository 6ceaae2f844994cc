import assert from 'node:assert/strict'
import { test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'

const body = { model: 'm', messages }

test('a response with endless headers is a failure of its target, and errors keep their stacks', async (t) => {
  const headers = 'x-a: b\r\n'.repeat(25_000)
  const upstream = await startUpstream([
    { kind: 'raw', bytes: `HTTP/1.1 200 OK\r\n${headers}\r\n` },
    openaiText('Hi'),
  ])
  const router = await startRouter({
    env: { LLM_ROUTER_IN_DEBUG: '1' },
    models: modelsConfig({ m: [{ id: 'm', api_type: 'vllm', api_host: upstream.url }] }),
  })
  t.after(async () => {
    await router.close()
    await upstream.close()
  })
  const limit = Error.stackTraceLimit
  const { status, text } = await post(`${router.url}/v1/chat/completions`, body)
  assert.equal(status, 502)
  assert.equal(JSON.parse(text).error.debug.cause, 'UND_ERR_HEADERS_OVERFLOW')
  assert.equal(Error.stackTraceLimit, limit)
  assert.equal((await post(`${router.url}/v1/chat/completions`, body)).status, 200)
})

test('a scrape of many models lets other requests run in between', async (t) => {
  // On a fast machine, a scrape would take only a few times as long as work may block the event loop.
  const now = performance.now.bind(performance)
  t.mock.method(performance, 'now', () => 20 * now())
  const upstream = await startUpstream(openaiText('Hi'))
  const names = Array.from({ length: 1000 }, (_, index) => `m${index}`)
  const router = await startRouter({
    env: { LLM_ROUTER_USE_PROMETHEUS: '1' },
    models: modelsConfig(
      Object.fromEntries(
        names.map((name) => [name, [{ id: name, api_type: 'vllm', api_host: upstream.url }]]),
      ),
    ),
  })
  t.after(async () => {
    await router.close()
    await upstream.close()
  })
  let turns = 0
  let running = true
  const count = (): void => {
    turns++
    if (running) setImmediate(count)
  }
  setImmediate(count)
  const scrape = await router.app.inject('/metrics')
  running = false
  assert.equal(scrape.statusCode, 200)
  for (const name of names)
    assert.ok(
      scrape.body.includes(`llm_router_target_usable{model_name="${name}",target="${name}"} 1\n`),
      name,
    )
  // In one piece it would take two iterations.
  assert.ok(turns > 5, `the event loop ran ${turns} iterations`)
})
