import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import type { Transport } from '../../src/core/transport.ts'
import { checkHealth } from '../../src/relay/health-check.ts'
import { watchServer } from '../../src/relay/server-watch.ts'
import { targetOf } from '../helpers/models-file.ts'

/** The changes that a server with these answers, one for each check, is told to have made. */
async function changes(answers: readonly (boolean | undefined)[]): Promise<boolean[]> {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const told: boolean[] = []
    const left = [...answers]
    const stop = watchServer({
      ask: () => ({ result: Promise.resolve(left.shift()), stop: () => undefined }),
      ...{ healthy: true, intervalMs: 1_000, random: () => 0.5 },
      onChange: (healthy) => void told.push(healthy),
    })
    while (left.length > 0) {
      mock.timers.tick(1_000)
      await new Promise(setImmediate)
    }
    stop()
    return told
  } finally {
    mock.timers.reset()
  }
}

test('three failed checks in a row are a server that is down, two good ones one that is up again', async () => {
  assert.deepEqual(await changes([false, false, true, false, false]), [])
  assert.deepEqual(await changes([false, false, false, true, false, true, true]), [false, true])
})

test('a check that the router itself could not make counts for nothing', async () => {
  assert.deepEqual(await changes([undefined, undefined, undefined, undefined]), [])
  assert.deepEqual(await changes([false, undefined, false, undefined, false]), [false])
})

test('a router without a free file says nothing of a server, one that is refused does', async () => {
  for (const [code, healthy] of [
    ['EMFILE', undefined],
    ['ECONNREFUSED', false],
  ] as const) {
    const transport: Transport = {
      open: (_request, sink) => {
        setImmediate(() => sink.onError(Object.assign(new Error(code), { code }), false))
        return { pause() {}, resume() {}, abort() {} }
      },
    }
    const options = { path: '/health', timeoutMs: 60_000, userAgent: 'x' }
    assert.equal(await checkHealth({ target: targetOf({}), transport, ...options }).result, healthy)
  }
})
