import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { bearer, keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'

const key = (name: string): string => `sk-of-alice-${name}-0123456789`
const sha256 = createHash('sha256').update(key('digest')).digest('hex')
const chat = { model: 'demo', messages }

async function open(t: TestContext, record: object) {
  const file = keysFile([{ id: 'alice', ...record }])
  const router = await startRouter({
    env: { ...file.env, LLM_ROUTER_USE_PROMETHEUS: '1', LLM_ROUTER_ADMIN_KEY: 'sk-of-the-admin-0123456789' },
    models: modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] }),
  })
  t.after(async () => {
    await router.close()
    file.remove()
  })
  const ask = async (name: string) => {
    const answer = await post(`${router.url}/v1/chat/completions`, chat, {
      'content-type': 'application/json',
      ...bearer(key(name)),
    })
    return { status: answer.status, left: answer.headers.get('x-ratelimit-remaining-requests') }
  }
  return { file, router, ask }
}

test('all keys of a client share one identity: limits, log and metrics', async (t) => {
  const keys = [key('text'), { key: key('object') }, { sha256 }]
  const { router, ask } = await open(t, { key: key('own'), keys, requests_per_minute: 4 })
  const answers = [await ask('own'), await ask('text'), await ask('object'), await ask('digest')]
  assert.deepEqual(
    answers,
    ['3', '2', '1', '0'].map((left) => ({ status: 200, left })),
  )
  assert.equal((await ask('text')).status, 429)
  const requests = router.logs.filter(({ msg }) => msg === 'request')
  assert.deepEqual([...new Set(requests.map(({ client }) => client))], ['alice'])
  const metrics = await fetch(`${router.url}/metrics`, { headers: bearer('sk-of-the-admin-0123456789') })
  const clients = [...(await metrics.text()).matchAll(/\bclient="([^"]*)"/g)].map(([, client]) => client)
  assert.deepEqual([...new Set(clients)], ['alice'])
})

test('each key can have its own expiry, and be disabled or removed on its own at run time', async (t) => {
  const { router, file, ask } = await open(t, {
    keys: [{ key: key('old'), expires_at: '2020-01-01' }, { key: key('off'), enabled: false }, key('new')],
  })
  assert.deepEqual(
    [(await ask('old')).status, (await ask('off')).status, (await ask('new')).status],
    [401, 401, 200],
  )
  file.write([{ id: 'alice', keys: [key('off'), key('newer')] }])
  await router.logged(({ msg }) => msg === 'client keys reloaded')
  assert.deepEqual(
    [(await ask('newer')).status, (await ask('off')).status, (await ask('new')).status],
    [200, 200, 401],
  )
})
