import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Redis } from 'ioredis'
import { eventually } from '../../helpers/eventually.ts'
import { post } from '../../helpers/http.ts'
import { bearer, keysFile } from '../../helpers/keys-file.ts'
import { messages } from '../../helpers/messages.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { type RedisServer, startRedis } from '../../helpers/programs/redis-server.ts'
import { startRouter } from '../../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../../helpers/scripted-upstream.ts'

const hourMs = 3_600_000
const tokens = 60_000_000
const keyOf = (id: string) => `sk-0123456789abcdef-${id}`

let redis: RedisServer
let upstream: ScriptedUpstream
before(async () => {
  redis = await startRedis()
  upstream = await startUpstream({
    kind: 'reply',
    body: {
      id: 'one',
      object: 'chat.completion',
      created: 1,
      model: 'm',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: tokens, completion_tokens: 1_000, total_tokens: tokens + 1_000 },
    },
  })
})
after(async () => {
  await upstream.close()
  await redis.stop()
})

/** Changes all recorded times, which is what Redis sees when its clock is set back by `ms`, or when as much time has passed. */
async function setBack(client: Redis, ms: number): Promise<void> {
  for (const key of await client.keys('*')) {
    const type = await client.type(key)
    if (type === 'zset')
      for (const member of await client.zrange(key, 0, '-1')) await client.zincrby(key, ms, member)
    if (type === 'hash' && (await client.hexists(key, 'at')) === 1) await client.hincrby(key, 'at', ms)
  }
}

test('when the clock of Redis is set back by an hour, the limits of a key do not last an hour longer', async (t) => {
  const file = keysFile([
    { id: 'requests', key: keyOf('requests'), requests_per_minute: 1 },
    { id: 'tokens', key: keyOf('tokens'), tokens_per_minute: tokens },
  ])
  t.after(() => file.remove())
  // A router remembers when Redis will allow the next request; a new one asks Redis.
  const start = async () => {
    const router = await startRouter({
      env: { ...file.env, LLM_ROUTER_REDIS_URL: `redis://127.0.0.1:${redis.port}` },
      models: modelsConfig({ m: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
    })
    t.after(() => router.close())
    return async (id: string): Promise<number> => {
      const body = { model: 'm', max_tokens: 1, messages }
      const headers = { 'content-type': 'application/json', ...bearer(keyOf(id)) }
      return (await post(`${router.url}/v1/chat/completions`, body, headers)).status
    }
  }
  const first = await start()
  assert.deepEqual([await first('requests'), await first('tokens')], [200, 200])
  await setBack(redis.redis, hourMs)
  const second = await start()
  assert.equal(await second('requests'), 429)
  // A million tokens become available each second.
  await eventually(async () => (await second('tokens')) === 200)
  await setBack(redis.redis, -61_000)
  const third = await start()
  assert.equal(await third('requests'), 200)
})
