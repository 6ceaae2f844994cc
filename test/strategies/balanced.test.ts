import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

test('forty models with one request each do not all use their first target', async (t) => {
  const servers: ScriptedUpstream[] = []
  for (let index = 0; index < 4; index++) servers.push(await startUpstream(openaiText('Hi')))
  const names = Array.from({ length: 40 }, (_, index) => `model-${index}`)
  const models = Object.fromEntries(
    names.map((name) => [
      name,
      servers.map(({ url }, index) => ({ id: `${name}-${index}`, api_type: 'vllm', api_host: url })),
    ]),
  )
  for (const strategy of ['balanced', 'weighted', 'dynamic_weighted']) {
    const env = { LLM_ROUTER_BALANCE_STRATEGY: strategy }
    const router = await startRouter({ env, models: modelsConfig(models), random: seededRandom(1) })
    t.after(() => router.close())
    const before = servers.map(({ requests }) => requests.length)
    for (const model of names) await post(`${router.url}/v1/chat/completions`, { model, messages })
    const counts = servers.map(({ requests }, index) => requests.length - (before[index] ?? 0))
    for (const count of counts) assert.ok(count >= 4 && count <= 18, `${strategy}: ${counts}`)
  }
  t.after(() => Promise.all(servers.map((server) => server.close())))
})

async function threeServers(t: { after(fn: () => Promise<void>): void }): Promise<{
  ask: () => Promise<unknown>
  counts: () => number[]
}> {
  const servers: ScriptedUpstream[] = []
  for (let index = 0; index < 3; index++) servers.push(await startUpstream(openaiText('Hi')))
  const providers = servers.map(({ url }, index) => ({
    id: `server${index}`,
    api_type: 'vllm',
    api_host: url,
  }))
  const router = await startRouter({ models: modelsConfig({ small: providers }) })
  t.after(async () => {
    await router.close()
    for (const server of servers) await server.close()
  })
  return {
    ask: () => post(`${router.url}/v1/chat/completions`, { model: 'small', messages }),
    counts: () => servers.map(({ requests }) => requests.length),
  }
}

test('balanced: sequential requests use the targets in the order of the file', async (t) => {
  const { ask, counts } = await threeServers(t)
  await ask()
  assert.deepEqual(counts(), [1, 0, 0])
  await ask()
  assert.deepEqual(counts(), [1, 1, 0])
  await ask()
  await ask()
  assert.deepEqual(counts(), [2, 1, 1])
})

test('balanced: 300 concurrent requests give each of three targets 100', async (t) => {
  const { ask, counts } = await threeServers(t)
  await Promise.all(Array.from({ length: 300 }, ask))
  assert.deepEqual(counts(), [100, 100, 100])
})
