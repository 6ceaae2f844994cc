import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { type CheckOutcome, checkHealth } from '../../src/plugins/health/health-check.ts'
import { watchServer } from '../../src/plugins/health/server-watch.ts'
import type { CheckedState } from '../../src/sdk/target.ts'
import type { Transport } from '../../src/sdk/transport.ts'
import { targetOf } from '../helpers/models-file.ts'

/** The states reported for a server whose checks have these results, in this order. */
async function changes(
  results: readonly CheckOutcome['result'][],
  lastContentAt: (since: number) => number = () => Number.NEGATIVE_INFINITY,
): Promise<CheckedState[]> {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const reported: CheckedState[] = []
    const left = [...results]
    let now = 0
    const stop = watchServer({
      check: () => ({ result: Promise.resolve({ result: left.shift() }), stop: () => undefined }),
      state: 'up',
      intervalMs: 1_000,
      random: () => 0.5,
      now: () => now,
      lastContentAt: () => lastContentAt(now),
      onChange: (state) => void reported.push(state),
    })
    while (left.length > 0) {
      now += 1_000
      mock.timers.tick(1_000)
      await new Promise(setImmediate)
    }
    stop()
    return reported
  } finally {
    mock.timers.reset()
  }
}

test("changes of a server's state are reported once each", async () => {
  assert.deepEqual(await changes(['failed', 'failed', 'passed', 'failed', 'failed']), [
    'degraded',
    'up',
    'degraded',
  ])
  assert.deepEqual(await changes(['refused', 'refused', 'refused', 'passed']), ['degraded', 'refused', 'up'])
})

test('a check that the router itself could not make is ignored', async () => {
  assert.deepEqual(await changes([undefined, undefined, undefined, undefined]), [])
  const failed = await changes(['timeout', undefined, 'timeout', undefined, 'timeout'])
  assert.deepEqual(failed, ['degraded', 'silent'])
})

test('first content of a request since the check began counts as a passed check', async () => {
  assert.deepEqual(await changes(['timeout', 'timeout', 'timeout', 'timeout'], (since) => since), [])
  const before = await changes(['timeout', 'timeout', 'timeout'], (since) => since - 1)
  assert.deepEqual(before, ['degraded', 'silent'])
})

test('a check that fails for lack of a file descriptor is ignored, and one that is refused is not', async () => {
  for (const [code, expected] of [
    ['EMFILE', undefined],
    ['ECONNREFUSED', 'refused'],
    ['ENOTFOUND', 'refused'],
    ['ECONNRESET', 'failed'],
  ] as const) {
    const transport: Transport = {
      open: (_request, sink) => {
        setImmediate(() => sink.onError(Object.assign(new Error(code), { code }), false))
        return { pause() {}, resume() {}, abort() {} }
      },
    }
    const options = { path: '/health', timeoutMs: 60_000, userAgent: 'x' }
    const { result } = await checkHealth({ target: targetOf({}), transport, ...options }).result
    assert.equal(result, expected)
  }
})
