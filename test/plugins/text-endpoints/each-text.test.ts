import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type EachTextOptions,
  eachText,
  type TextOutcome,
} from '../../../src/plugins/text-endpoints/each-text.ts'
import { RouterError } from '../../../src/sdk/errors.ts'

interface Call {
  text: string
  signal: AbortSignal
  done(result: unknown): void
  fail(error: unknown): void
}

/** Calls that a test completes by hand; a call whose signal is aborted fails with the signal's reason. */
function handmade(options: Partial<EachTextOptions> & { texts: readonly string[] }) {
  const calls: Call[] = []
  const outcomes = eachText({
    limit: 8,
    partial: false,
    signal: new AbortController().signal,
    ask(text, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      if (signal.aborted) reject(signal.reason)
      signal.addEventListener('abort', () => reject(signal.reason))
      calls.push({ text, signal, done: resolve, fail: reject })
      return promise
    },
    ...options,
  })
  const call = (index: number): Call => calls[index] ?? assert.fail(`there is no call ${index}`)
  return { calls, call, outcomes }
}

async function all(outcomes: AsyncIterable<TextOutcome>): Promise<unknown[]> {
  const results: unknown[] = []
  for await (const { result } of outcomes) results.push(result)
  return results
}

test('results are in the order of the texts, each returned as soon as those before it are complete', async () => {
  const { call, outcomes } = handmade({ texts: ['a', 'b', 'c'] })
  const first = outcomes.next()
  call(2).done('C')
  call(0).done('A')
  assert.deepEqual((await first).value, { index: 0, result: 'A', error: undefined })
  const second = outcomes.next()
  call(1).done('B')
  assert.equal((await second).value?.result, 'B')
  assert.equal((await outcomes.next()).value?.result, 'C')
  assert.equal((await outcomes.next()).done, true)
})

test('no more calls run than the limit, and a free slot is used immediately', async () => {
  const { calls, call, outcomes } = handmade({ texts: ['a', 'b', 'c', 'd'], limit: 2 })
  const first = outcomes.next()
  assert.deepEqual(
    calls.map(({ text }) => text),
    ['a', 'b'],
  )
  call(1).done('B')
  call(0).done('A')
  await first
  await outcomes.next()
  const third = outcomes.next()
  assert.equal(calls.length, 4)
  call(3).done('D')
  call(2).done('C')
  assert.equal((await third).value?.result, 'C')
  assert.deepEqual(await all(outcomes), ['D'])
})

test('the first failure is thrown with its index even if earlier texts are open, and the others are cancelled', async () => {
  const { calls, call, outcomes } = handmade({ texts: ['a', 'b', 'c'], limit: 2 })
  const first = outcomes.next()
  const cause = new Error('ECONNRESET')
  call(1).fail(
    new RouterError('rate_limit', 'Slow down', { retryAfterSeconds: 3, code: 'slow', causeCode: 'X', cause }),
  )
  await assert.rejects(first, (error) => {
    assert.ok(error instanceof RouterError)
    assert.deepEqual(
      [
        error.kind,
        error.status,
        error.message,
        error.param,
        error.code,
        error.retryAfterSeconds,
        error.causeCode,
      ],
      ['rate_limit', 429, 'texts[1]: Slow down', 'texts[1]', 'slow', 3, 'X'],
    )
    assert.equal(error.cause, cause)
    return true
  })
  assert.ok(call(0).signal.aborted)
  const reason: unknown = call(0).signal.reason
  // To its target a cancelled call looks like a client that disconnected.
  assert.ok(reason instanceof RouterError && reason.kind === 'client_gone')
  assert.equal(calls.length, 2)
})

test('with partial a failure is an outcome, and the other texts continue', async () => {
  const { call, outcomes } = handmade({ texts: ['a', 'b'], partial: true })
  const first = outcomes.next()
  const error = new RouterError('upstream_error', 'broken')
  call(0).fail(error)
  call(1).done('B')
  assert.deepEqual((await first).value, { index: 0, result: null, error })
  assert.deepEqual(await all(outcomes), ['B'])
})

test('the abort of the whole request is thrown, also with partial', async () => {
  for (const partial of [false, true]) {
    const controller = new AbortController()
    const { call, outcomes } = handmade({ texts: ['a', 'b'], partial, signal: controller.signal })
    const first = outcomes.next()
    const reason = new RouterError('client_gone', 'left')
    controller.abort(reason)
    await assert.rejects(first, (error) => error === reason)
    assert.ok(call(1).signal.aborted)
  }
})

test('a bug is thrown unchanged, also with partial', async () => {
  const { call, outcomes } = handmade({ texts: ['a'], partial: true })
  const first = outcomes.next()
  const bug = new TypeError('x is undefined')
  call(0).fail(bug)
  await assert.rejects(first, (error) => error === bug)
})

test('a reader that stops early cancels open calls and waits until they have ended', async () => {
  const { call, outcomes } = handmade({ texts: ['a', 'b'] })
  const first = outcomes.next()
  call(0).done('A')
  await first
  await outcomes.return()
  assert.ok(call(1).signal.aborted)
})

test('without texts no call is made', async () => {
  const { calls, outcomes } = handmade({ texts: [] })
  assert.deepEqual(await all(outcomes), [])
  assert.equal(calls.length, 0)
})

test('a call that succeeds after a failure starts no further call', async () => {
  const asked: string[] = []
  const late = Promise.withResolvers<string>()
  const outcomes = eachText({
    texts: ['late', 'bad', 'never'],
    limit: 2,
    partial: false,
    signal: new AbortController().signal,
    async ask(text) {
      asked.push(text)
      if (text === 'bad') throw new RouterError('upstream_error', 'broken')
      return await late.promise
    },
  })
  const first = outcomes.next()
  late.resolve('done all the same')
  // Which of the two is reported depends on their order; neither may start the third.
  await first.catch(() => undefined)
  await outcomes.next().catch(() => undefined)
  assert.deepEqual(asked, ['late', 'bad'])
})
