import assert from 'node:assert/strict'
import { once } from 'node:events'
import { afterEach, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { eventually } from '../helpers/eventually.ts'
import { openRequest, post } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type Behaviour, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { completion, modelsWith, question } from './cache-setup.ts'

const path = '/v1/chat/completions'
const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

async function setup(script: (index: number) => Behaviour | Promise<Behaviour>, cache: object = {}) {
  const upstream = await startUpstream((_request, index) => script(index))
  const router = await startRouter({ models: modelsWith([{ type: 'cache', ...cache }], upstream.url) })
  open.push(upstream, router)
  return { upstream, router }
}

/** Waits until this many requests are running. */
async function running(router: TestRouter, count: number): Promise<void> {
  await eventually(() => router.app.exchanges.running >= count)
  for (let turns = 0; turns < 20; turns++) await turn()
}

const chunk = (delta: object, reason: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`

const rest = [chunk({ content: ' is.' }), chunk({}, 'stop'), 'data: [DONE]\n\n']

const ask = (router: TestRouter, stream = false) => post(router.url + path, { ...question(), stream })

async function whole(upstream: ScriptedUpstream, count: number): Promise<void> {
  assert.equal(upstream.requests.length, count)
}

test('identical requests share one upstream response, whole and streamed', async () => {
  const gate = Promise.withResolvers<void>()
  const { upstream, router } = await setup(() =>
    gate.promise.then(() => ({ kind: 'reply', body: completion('It is.') })),
  )
  const all = [false, false, true, true].map((stream) => ask(router, stream))
  await running(router, all.length)
  gate.resolve()
  const answers = await Promise.all(all)
  const outcomes = answers.map(({ headers }) => headers.get('x-llm-router-cache'))
  assert.deepEqual(outcomes.toSorted(), ['hit', 'hit', 'hit', 'miss'])
  for (const { status, text } of answers) {
    assert.equal(status, 200)
    assert.match(text, /It is\./)
  }
  await whole(upstream, 1)
})

test('a shared upstream request continues while any client waits for it, and is aborted when none does', async () => {
  const gate = Promise.withResolvers<void>()
  const { upstream, router } = await setup((index) =>
    index === 0
      ? { kind: 'stream', pieces: [chunk({ content: 'It' }), gate.promise, ...rest] }
      : { kind: 'stream', pieces: [chunk({ content: 'No' })], ending: 'hang' },
  )
  const leader = await openRequest(router.url, path, { ...question(), stream: true })
  await once(leader, 'data')
  const follower = ask(router, true)
  await running(router, 2)
  const left = router.requestLogged('open')
  leader.destroy()
  assert.equal((await left).outcome, 'client_gone')
  gate.resolve()
  const answer = await follower
  assert.equal(answer.headers.get('x-llm-router-cache'), 'hit')
  assert.match(answer.text, /It is\./)
  await whole(upstream, 1)
  assert.equal((await ask(router)).headers.get('x-llm-router-cache'), 'hit')

  const other = { ...question('something else'), stream: true }
  const first = await openRequest(router.url, path, other)
  await once(first, 'data')
  const second = await openRequest(router.url, path, other)
  await running(router, 2)
  first.destroy()
  second.destroy()
  await upstream.requestClosed(1)
})

test('a request that waited for one that failed is sent itself', async () => {
  const gate = Promise.withResolvers<void>()
  const { upstream, router } = await setup((index) =>
    index === 0
      ? gate.promise.then(() => ({ kind: 'reply', status: 400, body: { error: { message: 'no' } } }))
      : { kind: 'reply', body: completion(`Answer ${index}`) },
  )
  const leader = ask(router)
  await upstream.requestReceived(0)
  const followers = [ask(router), ask(router)]
  await running(router, 3)
  gate.resolve()
  assert.equal((await leader).status, 400)
  for (const answer of await Promise.all(followers)) {
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('x-llm-router-cache'), 'miss')
  }
  await whole(upstream, 3)
})

test('a request that waited for a response that is not cached is sent itself', async () => {
  const gate = Promise.withResolvers<void>()
  const { upstream, router } = await setup((index) =>
    gate.promise.then(() => ({ kind: 'reply', body: completion(`Cut ${index}`, { reason: 'length' }) })),
  )
  const leader = ask(router)
  await upstream.requestReceived(0)
  const follower = ask(router)
  await running(router, 2)
  gate.resolve()
  assert.match((await leader).text, /Cut 0/)
  assert.match((await follower).text, /Cut 1/)
})

test('a client that does not read does not block others waiting for the same response', async () => {
  const piece = chunk({ content: 'x'.repeat(64 * 1024) })
  const pieces = [...Array.from({ length: 160 }, () => piece), ...rest]
  const { upstream, router } = await setup(() => ({ kind: 'stream', pieces }), {
    max_entry_bytes: 16 * 1024 * 1024,
  })
  const leader = await openRequest(router.url, path, { ...question(), stream: true })
  leader.pause()
  await upstream.requestReceived(0)
  const answer = await ask(router)
  assert.equal(answer.headers.get('x-llm-router-cache'), 'hit')
  assert.ok(answer.text.length > 10_000_000)
  await whole(upstream, 1)
  leader.destroy()
})

test('requests stop waiting for a response that has become too large to be cached', async () => {
  const gate = Promise.withResolvers<void>()
  const long = chunk({ content: 'x'.repeat(3_000) })
  const { router, upstream } = await setup(
    (index) =>
      index === 0
        ? { kind: 'stream', pieces: [chunk({ content: 'It' }), gate.promise, long], ending: 'hang' }
        : { kind: 'reply', body: completion('It is.') },
    { max_entry_bytes: 2_000 },
  )
  const leader = await openRequest(router.url, path, { ...question(), stream: true })
  await once(leader, 'data')
  const follower = ask(router)
  await running(router, 2)
  gate.resolve()
  const answer = await follower
  assert.equal(answer.headers.get('x-llm-router-cache'), 'miss')
  assert.match(answer.text, /It is\./)
  leader.destroy()
  await upstream.requestClosed(0)
})
