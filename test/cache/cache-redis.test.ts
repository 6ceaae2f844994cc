import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { post } from '../helpers/http.ts'
import { bearer } from '../helpers/keys-file.ts'
import { type RedisServer, startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter } from '../helpers/router.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { createDocumentedUser, documentedPassword } from '../stores/documented-user.ts'
import { type CacheSetup, json, modelsWith, question, startCache } from './cache-setup.ts'

const adminKey = 'sk-admin-0123456789abcdef'
const secret = 'secret-of-the-cache-of-the-tests'
let redis: RedisServer
const open: (() => Promise<void>)[] = []

before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
  await redis.redis.flushall()
})

const envOf = (more: Record<string, string> = {}): Record<string, string> => ({
  LLM_ROUTER_REDIS_HOST: '127.0.0.1',
  LLM_ROUTER_REDIS_PORT: `${redis.port}`,
  LLM_ROUTER_CACHE_SECRET: secret,
  LLM_ROUTER_ADMIN_KEY: adminKey,
  ...more,
})

async function setup(env: Record<string, string> = {}, processors: object[] = [{ type: 'cache' }]) {
  const cache = await startCache({ processors, env: envOf(env) })
  open.push(cache.close)
  return cache
}

/** Another router with the same Redis and the same server. */
async function another({ upstream }: CacheSetup, env: Record<string, string> = {}) {
  const router = await startRouter({ models: modelsWith([{ type: 'cache' }], upstream.url), env: envOf(env) })
  open.push(router.close)
  return async (): Promise<string | null> => {
    const answer = await post(`${router.url}/v1/chat/completions`, question(), json)
    assert.equal(answer.status, 200, answer.text)
    return answer.headers.get('x-llm-router-cache')
  }
}

const names = (): Promise<string[]> => redis.redis.keys('llm-router:answer:*')

test('routers with one Redis and one secret share cached responses', async () => {
  const first = await setup()
  await first.ask(question(), 'miss')
  await kept(1)
  assert.equal(await (await another(first))(), 'hit')
  assert.equal(await (await another(first, { LLM_ROUTER_CACHE_SECRET: `${secret}-another` }))(), 'miss')
})

test('a router with response guardrails does not use responses of a router without them', async () => {
  const guard = await startUpstream({ kind: 'reply', body: { results: { safe: true } } })
  open.push(guard.close)
  const first = await setup()
  await first.ask(question(), 'miss')
  await kept(1)
  const ask = await another(first, {
    LLM_ROUTER_FORCE_GUARDRAIL_RESPONSE: '1',
    LLM_ROUTER_GUARDRAIL_STRATEGY_PIPELINE_RESPONSE: 'sojka_guard',
    LLM_ROUTER_GUARDRAIL_SOJKA_GUARD_HOST: guard.url,
  })
  assert.equal(await ask(), 'miss')
  assert.equal(await ask(), 'hit')
})

/** Waits until the response is stored, which happens after it has been sent. */
async function kept(count: number): Promise<string[]> {
  return await eventually(async () => {
    const found = await names()
    return found.length === count && found
  })
}

test('Redis never sees responses, requests or names, and no stored response can be changed or moved', async () => {
  const { ask } = await setup()
  await ask(question('What does Blue Falcon cost?'), 'miss')
  const [name = ''] = await kept(1)
  const sealed = (await redis.redis.getBuffer(name)) ?? Buffer.alloc(0)
  assert.doesNotMatch(sealed.toString('latin1'), /Answer|Falcon|choices/)
  assert.doesNotMatch(name, /answer:m:/)
  const ttl = await redis.redis.pttl(name)
  assert.ok(ttl > 3_500_000 && ttl <= 3_600_000, `${ttl}`)
  await ask(question('something else'), 'miss')
  const [other = ''] = (await kept(2)).filter((each) => each !== name)
  await redis.redis.set(other, sealed)
  await ask(question('something else'), 'miss')
  const changed = Buffer.from(sealed)
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
  await redis.redis.set(name, changed)
  await ask(question('What does Blue Falcon cost?'), 'miss')
})

test('DELETE P/cache removes responses from Redis', async () => {
  const { ask, router } = await setup()
  await ask(question(), 'miss')
  await ask({ ...question(), model: 'other' }, 'miss')
  await kept(2)
  const empty = (query: string) =>
    fetch(`${router.url}/api/cache${query}`, { method: 'DELETE', headers: bearer(adminKey) })
  assert.deepEqual(await (await empty('?model=m')).json(), { removed: 1 })
  await ask({ ...question(), model: 'other' }, 'hit')
  await ask(question(), 'miss')
  await kept(2)
  assert.deepEqual(await (await empty('')).json(), { removed: 2 })
  assert.deepEqual(await names(), [])
})

test('the documented Redis user has all required permissions', async () => {
  await createDocumentedUser(redis.redis)
  const { ask, router } = await setup({
    LLM_ROUTER_REDIS_URL: `redis://llm-router:${documentedPassword}@127.0.0.1:${redis.port}`,
  })
  await ask(question(), 'miss')
  await kept(1)
  await ask(question(), 'hit')
  const response = await fetch(`${router.url}/api/cache`, { method: 'DELETE', headers: bearer(adminKey) })
  assert.deepEqual(await response.json(), { removed: 1 })
  assert.deepEqual(await redis.redis.call('ACL', 'LOG'), [])
})

test('without LLM_ROUTER_CACHE_SECRET responses stay in memory, even with Redis', async () => {
  const { ask, router } = await setup({ LLM_ROUTER_CACHE_SECRET: '' })
  assert.ok(router.logs.some(({ msg }) => /set LLM_ROUTER_CACHE_SECRET/.test(String(msg))))
  await ask(question(), 'miss')
  await ask(question(), 'hit')
  assert.deepEqual(await names(), [])
})

test('an unreachable or unresponsive Redis is a miss', async () => {
  const own = await startRedis()
  open.push(() => own.stop())
  const env = { LLM_ROUTER_REDIS_PORT: `${own.port}` }
  const { ask, router } = await setup(env, [{ type: 'cache', timeout: 0.1 }])
  await ask(question(), 'miss')
  await ask(question(), 'hit')
  own.process.kill('SIGSTOP')
  const from = performance.now()
  await ask(question(), 'miss')
  await ask(question(), 'miss')
  assert.ok(performance.now() - from < 3_000)
  assert.ok(router.app.answerCache.failures > 0)
  own.process.kill('SIGCONT')
  const removing = await fetch(`${router.url}/api/cache`, { method: 'DELETE', headers: bearer(adminKey) })
  assert.ok([200, 503].includes(removing.status))
})
