import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecentRequests } from '../../src/sdk/console/recent-requests.ts'
import { keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiError, openaiStream, openaiText, startUpstream } from '../helpers/scripted-upstream.ts'
import { chat, operator, operatorKey, read } from './fleet.ts'

const ask = (url: string, body: object, headers: Record<string, string> = operator) =>
  fetch(`${url}/api/playground/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

test('the playground sends requests only to the target that it names, as the client "console"', async (t) => {
  const first = await startUpstream(openaiText('first'))
  const second = await startUpstream(() => openaiStream(['sec', 'ond']))
  const router = await startRouter({
    env: { LLM_ROUTER_ADMIN_KEY: operatorKey },
    models: modelsConfig({
      one: [
        { id: 'first', api_type: 'vllm', api_host: first.url },
        { id: 'second', api_type: 'vllm', api_host: second.url },
      ],
    }),
  })
  t.after(() => Promise.all([router.close(), first.close(), second.close()]))
  for (let count = 0; count < 3; count++) {
    const answer = await ask(router.url, { ...chat('one', true), target: 'second' })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('x-llm-router-target'), 'second')
    const text = await answer.text()
    assert.match(text, /"sec"[\s\S]*\[DONE\]/)
  }
  assert.deepEqual([first.requests.length, second.requests.length], [0, 3])
  assert.equal(Object(second.requests[0]?.body).target, undefined)
  const { data } = await read<RecentRequests>(router.url, '/requests', operator)
  assert.deepEqual(
    data.map(({ client, target, operation }) => [client, target, operation]),
    Array.from({ length: 3 }, () => ['console', 'second', 'chat']),
  )
  second.rescript(openaiError(500, { message: 'no' }))
  const failed = await ask(router.url, { ...chat('one'), target: 'second' })
  assert.equal(failed.status, 502)
  assert.equal(first.requests.length, 0)
  const whole = await ask(router.url, chat('one'))
  assert.equal(whole.status, 200)
  const unknown = await ask(router.url, { ...chat('one'), target: 'third' })
  assert.deepEqual([unknown.status, Object(await unknown.json()).error.code], [404, 'target_not_found'])
})

test('the playground requires an operator key', async (t) => {
  const keys = keysFile([
    { id: 'alice', key: 'sk-alice-0123456789abcdef' },
    { id: 'op', key: 'sk-operator-0123456789ab', surfaces: ['operator'], models: ['other'] },
  ])
  const models = modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] })
  const router = await startRouter({ env: keys.env, models })
  const open = await startRouter({ models })
  t.after(() => Promise.all([router.close(), open.close(), keys.remove()]))
  const statusFor = async (url: string, headers: Record<string, string>): Promise<number> =>
    (await ask(url, chat('one'), headers)).status
  assert.equal(await statusFor(router.url, {}), 401)
  assert.equal(await statusFor(router.url, { authorization: 'Bearer sk-alice-0123456789abcdef' }), 403)
  assert.equal(await statusFor(router.url, { authorization: 'Bearer sk-operator-0123456789ab' }), 200)
  assert.equal(await statusFor(open.url, {}), 403)
})
