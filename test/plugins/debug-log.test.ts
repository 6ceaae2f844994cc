import assert from 'node:assert/strict'
import { test } from 'node:test'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiError, openaiText, startUpstream } from '../helpers/scripted-upstream.ts'

test('LLM_ROUTER_IN_DEBUG logs header names, target choices, attempts and timings, never content', async (t) => {
  const upstream = await startUpstream([
    openaiError(500, { message: 'broken' }),
    openaiText('an answer of secrets'),
  ])
  t.after(() => upstream.close())
  const target = (id: string) => ({ id, api_type: 'vllm', api_host: upstream.url })
  const router = await startRouter({
    env: { LLM_ROUTER_IN_DEBUG: '1' },
    models: modelsConfig({ m: [target('one'), target('two')] }),
  })
  t.after(() => router.close())
  const response = await fetch(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-private': 'value of secrets' },
    body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'a prompt of secrets' }] }),
  })
  assert.equal(response.status, 200)
  const id = response.headers.get('x-request-id')
  const own = await router.logged(
    ({ msg, request_id }) => msg === "the router's own time" && request_id === id,
  )
  assert.equal(typeof own.own_ms, 'number')
  const lines = router.logs.filter(({ request_id }) => request_id === id)
  const { headers } = lines.find(({ msg }) => msg === 'request received') ?? {}
  assert.ok(Array.isArray(headers) && headers.includes('x-private'))
  const attempts = lines.filter(({ msg }) => msg === 'attempt ended')
  assert.deepEqual(
    attempts.map(({ target, result }) => [target, result]),
    [
      ['one', 'failure'],
      ['two', 'success'],
    ],
  )
  assert.equal(lines.filter(({ msg }) => msg === 'target chosen').length, 2)
  assert.doesNotMatch(JSON.stringify(router.logs), /of secrets|127\.0\.0\.1:\d+\/v1/)
})
