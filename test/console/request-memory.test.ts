import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { collectGarbage } from '../helpers/garbage.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { chat } from './fleet.ts'

const mebibyte = 1024 * 1024

test('the list of recent requests holds no body, neither before nor after it is reported', async (t) => {
  // Without intervals nothing is reported: ended requests stay in the process until the list is read.
  mock.timers.enable({ apis: ['setInterval'] })
  t.after(() => mock.timers.reset())
  const router = await startRouter({ models: modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }) })
  t.after(() => router.close())
  const usedBytes = (): number => {
    collectGarbage()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  /** Sockets and streams release what they have read a moment after the response. */
  const isFreed = async (most: number): Promise<boolean> => {
    for (let count = 0; count < 30; count++) {
      if (usedBytes() < most) return true
      await pause(50)
    }
    return false
  }
  const ask = async (bytes: number): Promise<void> => {
    const { status } = await post(`${router.url}/v1/chat/completions`, chat('one', false, 'x'.repeat(bytes)))
    assert.equal(status, 200)
  }
  await ask(mebibyte)
  const most = usedBytes() + 3 * mebibyte
  for (let count = 0; count < 8; count++) await ask(mebibyte)
  assert.ok(await isFreed(most), 'bodies are held before the report')
  const { data } = await router.app.activity.requests({ limit: 100 })
  assert.equal(data.length, 9)
  assert.ok(await isFreed(most), 'bodies are held by the list')
})
