import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import { post } from '../helpers/http.ts'
import { keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiError,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const json = { 'content-type': 'application/json' }
const operatorKey = 'operator-key-of-this-test'

async function started(
  t: TestContext,
  strategy: string,
  env: Record<string, string> = {},
): Promise<{ router: TestRouter; canary: ScriptedUpstream; others: ScriptedUpstream[] }> {
  const upstreams = await Promise.all([1, 2, 3].map(() => startUpstream(openaiText('Hi'))))
  const providers = upstreams.map(({ url }, index) => ({
    id: `gpu-${'abc'[index]}`,
    api_type: 'vllm',
    api_host: url,
    ...(index === 2 ? { canary: true, weight: 0.25 } : {}),
  }))
  const router = await startRouter({
    env: { LLM_ROUTER_ADMIN_KEY: operatorKey, LLM_ROUTER_ROUTE_HEADERS: '1', ...env },
    models: { g: { one: { strategy, providers } }, active_models: { g: ['one'] } },
    random: seededRandom(7),
  })
  t.after(async () => {
    await router.close()
    for (const upstream of upstreams) await upstream.close()
  })
  const [first, second, canary] = upstreams
  assert.ok(first && second && canary)
  return { router, canary, others: [first, second] }
}

async function targetOf(router: TestRouter, headers: Record<string, string> = {}): Promise<string | null> {
  const body = { model: 'one', messages }
  const answer = await post(`${router.url}/v1/chat/completions`, body, { ...json, ...headers })
  assert.equal(answer.status, 200, answer.text)
  return answer.headers.get('x-llm-router-target')
}

async function sessionsAtCanary(router: TestRouter): Promise<string[]> {
  const found: string[] = []
  for (let session = 0; session < 48; session++)
    if ((await targetOf(router, { 'x-llm-router-session': `s-${session}` })) === 'gpu-c')
      found.push(`s-${session}`)
  return found
}

for (const strategy of ['weighted', 'cache_aware', 'first_available'])
  test(`${strategy}: a canary gets the sessions of its weight, always the same, and more of them with a larger weight`, async (t) => {
    const { router } = await started(t, strategy)
    const sessions = await sessionsAtCanary(router)
    assert.ok(sessions.length >= 5 && sessions.length <= 20, String(sessions.length))
    assert.deepEqual(await sessionsAtCanary(router), sessions)
    const set = await fetch(`${router.url}/api/models/one/weights`, {
      method: 'PUT',
      headers: { ...json, authorization: `Bearer ${operatorKey}` },
      body: JSON.stringify({ 'gpu-c': 0.5 }),
    })
    assert.equal(set.status, 200)
    const more = await sessionsAtCanary(router)
    assert.ok(more.length > sessions.length && sessions.every((session) => more.includes(session)))
  })

test('requests without a session are assigned to the canary one by one', async (t) => {
  const { router } = await started(t, 'balanced')
  let count = 0
  for (let request = 0; request < 80; request++) if ((await targetOf(router)) === 'gpu-c') count++
  assert.ok(count >= 8 && count <= 34, String(count))
})

test('the others replace a canary that fails, and the canary replaces them if all of them fail', async (t) => {
  const { router, canary, others } = await started(t, 'balanced')
  const [session = ''] = await sessionsAtCanary(router)
  const headers = { 'x-llm-router-session': session }
  canary.rescript(openaiError(500, { message: 'no' }))
  assert.match((await targetOf(router, headers)) ?? '', /^gpu-[ab]$/)
  canary.rescript(openaiText('Hi'))
  for (const other of others) other.rescript(openaiError(500, { message: 'no' }))
  assert.equal(await targetOf(router, { 'x-llm-router-session': 's-other' }), 'gpu-c')
})

test('a key with canary_header selects or avoids the canary; for other keys the header has no effect', async (t) => {
  const file = keysFile([
    { id: 'team', key: 'key-of-the-team-12345' },
    { id: 'testers', key: 'key-of-testers-12345', canary_header: true },
  ])
  t.after(() => file.remove())
  const { router } = await started(t, 'balanced', file.env)
  const ask = (key: string, choice: string, session: string) =>
    targetOf(router, {
      authorization: `Bearer ${key}`,
      'x-llm-router-canary': choice,
      'x-llm-router-session': session,
    })
  const [testers, team] = ['key-of-testers-12345', 'key-of-the-team-12345']
  const counts = { chosen: 0, avoided: 0, ignored: 0 }
  for (let session = 0; session < 20; session++) {
    if ((await ask(testers, 'true', `s-${session}`)) === 'gpu-c') counts.chosen++
    if ((await ask(testers, 'false', `s-${session}`)) === 'gpu-c') counts.avoided++
    if ((await ask(team, 'true', `s-${session}`)) === 'gpu-c') counts.ignored++
  }
  assert.deepEqual([counts.chosen, counts.avoided], [20, 0])
  assert.ok(counts.ignored < 14)
  const body = { model: 'one', messages }
  const wrong = { ...json, authorization: `Bearer ${testers}`, 'x-llm-router-canary': 'maybe' }
  assert.equal((await post(`${router.url}/v1/chat/completions`, body, wrong)).status, 400)
})
