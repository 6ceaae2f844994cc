import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { jsonMemoryBytes, oldGenerationLimit } from '../../src/plugins/shedding/heap-room.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const mebibyte = 1024 * 1024
const chat = '/v1/chat/completions'

let upstream: ScriptedUpstream

before(async () => {
  upstream = await startUpstream(openaiText('Hi'))
})
after(() => upstream.close())

async function start(t: TestContext, env: Record<string, string>): Promise<RouterProcess> {
  const models = modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] })
  const router = await startRouterProcess({ env, models })
  t.after(() => router.stop())
  return router
}

async function shed(url: string, reason: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(new RegExp(`^llm_router_shed_total\\{reason="${reason}"[^}]*\\} (\\d+)`, 'm').exec(text)?.[1])
}

test('S23, P8 while the event loop is late, new requests are rejected and running ones continue', async (t) => {
  const router = await start(t, {
    LLM_ROUTER_EXTENSIONS: './test/fixtures/extensions/blocking.ts',
    LLM_ROUTER_USE_PROMETHEUS: '1',
    LLM_ROUTER_SHED_DELAY: '0.5',
  })
  const released = Promise.withResolvers<void>()
  upstream.rescript(async () => {
    await released.promise
    return openaiText('Hi')
  })
  t.after(() => {
    released.resolve()
    upstream.rescript(openaiText('Hi'))
  })
  const running = post(router.url + chat, { model: 'one', messages })
  await upstream.requestReceived(upstream.requests.length)
  for (const [path, status] of [
    [chat, 503],
    ['/v1/messages', 529],
    ['/api/chat', 503],
  ] as const) {
    const blocked = router.next(({ msg }) => msg === 'blocked')
    const accepted = router.next(({ msg }) => msg === 'new requests are accepted again')
    // Long enough for a busy machine to send the requests in the meantime. The first of the queued ones is late for certain.
    const blocking = fetch(`${router.url}/test/block?ms=3000`)
    await blocked
    const late = post(router.url + path, { model: 'one', messages, max_tokens: 1 })
    const reads = ['/livez', '/api/status'].map((each) => fetch(router.url + each))
    const { status: refused, headers, text } = await late
    assert.equal(refused, status, path)
    if (path === chat)
      assert.deepEqual([headers.get('retry-after'), JSON.parse(text).error.code], ['1', 'overloaded'])
    for (const read of reads) assert.equal((await read).status, 200)
    await blocking
    await accepted
  }
  assert.equal(await shed(router.url, 'event_loop'), 3)
  released.resolve()
  assert.equal((await running).status, 200)
  assert.equal((await post(router.url + chat, { model: 'one', messages })).status, 200)
})

test('S23, P9 while the heap is too full, new requests are rejected and all else is answered', async (t) => {
  const router = await start(t, {
    NODE_OPTIONS: '--max-old-space-size=120',
    LLM_ROUTER_USE_PROMETHEUS: '1',
    LLM_ROUTER_SHED_HEAP: '1',
  })
  await router.logged(({ reason }) => reason === 'heap')
  const { status, text } = await post(router.url + chat, { model: 'one', messages })
  assert.deepEqual([status, JSON.parse(text).error.code], [503, 'overloaded'])
  for (const path of ['/livez', '/api/status', '/ui', '/v1/models'])
    assert.equal((await fetch(router.url + path)).status, 200, path)
  assert.equal(await shed(router.url, 'heap'), 1)
})

test('S23 with limits of 0 nothing is rejected', async (t) => {
  const router = await start(t, {
    LLM_ROUTER_EXTENSIONS: './test/fixtures/extensions/blocking.ts',
    LLM_ROUTER_SHED_DELAY: '0',
    LLM_ROUTER_SHED_HEAP: '0',
  })
  const blocking = fetch(`${router.url}/test/block?ms=1500`)
  await router.logged(({ msg }) => msg === 'blocked')
  assert.equal((await post(router.url + chat, { model: 'one', messages })).status, 200)
  await blocking
})

/** On a machine that is busy with other tests the event loop may well be late. */
const smallHeap = { NODE_OPTIONS: '--max-old-space-size=120', LLM_ROUTER_SHED_DELAY: '0' }

/** Bodies that take many times their size in memory: the first of these crash a router without a check. */
const shapes: [what: string, unit: string][] = [
  ['empty objects', '{},'],
  ['nested lists', `${'[['.repeat(50)}${']]'.repeat(50)},`],
  ['numbers', '1,'],
]

function bodyOf(unit: string, bytes: number): string {
  return `{"model":"one","messages":[{"role":"user","content":"x"}],"x":[${unit.repeat(Math.floor(bytes / unit.length))}1]}`
}

test('S14 a small process', async (t) => {
  const router = await start(t, smallHeap)

  await t.test('accepts an ordinary large body', async () => {
    const content = 'x'.repeat(8 * mebibyte)
    for (let round = 0; round < 2; round++) {
      const { status, text } = await post(router.url + chat, {
        model: 'one',
        messages: [{ role: 'user', content }],
      })
      assert.equal(status, 200, text)
    }
  })

  await t.test(
    'P9 is never ended by parallel bodies that are small on the wire and large in memory',
    async () => {
      for (const [what, unit] of shapes) {
        const body = bodyOf(unit, 2 * mebibyte)
        const statuses = await Promise.all(
          // A refused connection is closed before the body is read; not every client then still reads the response.
          Array.from({ length: 6 }, () =>
            post(router.url + chat, body).then(
              (answer) => answer.status,
              () => 0,
            ),
          ),
        )
        for (const status of statuses) assert.ok([200, 503, 0].includes(status), `${what}: ${status}`)
        assert.equal(router.child.exitCode, null, what)
      }
      const never = await post(router.url + chat, bodyOf('{},', 12 * mebibyte)).catch(() => undefined)
      if (never) assert.equal(never.status, 413, 'it would not fit into an empty heap, so a retry is useless')
      assert.equal((await fetch(`${router.url}/livez`)).status, 200)
      await router.logged(({ msg }) => msg === 'listening')
    },
  )
})

test('S14 the memory estimate of a text is above its actual use, and close to it for ordinary texts', () => {
  const text = Buffer.from(JSON.stringify({ content: 'x'.repeat(mebibyte) }))
  assert.ok(jsonMemoryBytes(text) >= 2 * text.length && jsonMemoryBytes(text) < 2.1 * text.length)
  const objects = Buffer.from(`[${'{},'.repeat(1_000)}1]`)
  assert.ok(jsonMemoryBytes(objects) >= 21 * objects.length)
  const lists = Buffer.from('['.repeat(1_000))
  assert.ok(jsonMemoryBytes(lists) >= 28 * lists.length)
})

test("S14 the limit of the old generation is the one given to Node, otherwise most of the heap's", () => {
  const limit = 400 * mebibyte
  assert.equal(oldGenerationLimit('--max-old-space-size=100', limit), 100 * mebibyte)
  assert.equal(oldGenerationLimit('--max_old_space_size=90 --inspect', limit), 90 * mebibyte)
  assert.equal(oldGenerationLimit('--max-old-space-size=90 --max-old-space-size=80', limit), 80 * mebibyte)
  assert.equal(oldGenerationLimit('', limit), 380 * mebibyte)
  assert.equal(oldGenerationLimit('--max-old-space-size=0', limit), 380 * mebibyte)
})
