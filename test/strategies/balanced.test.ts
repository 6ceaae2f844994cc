import assert from 'node:assert/strict'
import { test } from 'node:test'
import { post } from '../helpers/http.ts'
import { modelsConfig, startRouter } from '../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const messages = [{ role: 'user', content: 'x' }]

async function threeBoxes(t: { after(fn: () => Promise<void>): void }): Promise<{
  ask: () => Promise<unknown>
  counts: () => number[]
}> {
  const boxes: ScriptedUpstream[] = []
  for (let index = 0; index < 3; index++) boxes.push(await startUpstream(openaiText('Hi')))
  const providers = boxes.map(({ url }, index) => ({ id: `box${index}`, api_type: 'vllm', api_host: url }))
  const router = await startRouter({ models: modelsConfig({ small: providers }) })
  t.after(async () => {
    await router.close()
    for (const box of boxes) await box.close()
  })
  return {
    ask: () => post(`${router.url}/v1/chat/completions`, { model: 'small', messages }),
    counts: () => boxes.map(({ requests }) => requests.length),
  }
}

test('calls one after the other go round in the order of the file', async (t) => {
  const { ask, counts } = await threeBoxes(t)
  await ask()
  assert.deepEqual(counts(), [1, 0, 0])
  await ask()
  assert.deepEqual(counts(), [1, 1, 0])
  await ask()
  await ask()
  assert.deepEqual(counts(), [2, 1, 1])
})

test('300 calls at once give each of three targets 100', async (t) => {
  const { ask, counts } = await threeBoxes(t)
  await Promise.all(Array.from({ length: 300 }, ask))
  assert.deepEqual(counts(), [100, 100, 100])
})
