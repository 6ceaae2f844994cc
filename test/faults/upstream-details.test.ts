import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import OpenAI from 'openai'
import { linesIn } from '../helpers/events-in.ts'
import {
  answerBytes,
  chunk,
  type FaultScript,
  fin,
  hang,
  head,
  rst,
  streamHead,
} from '../helpers/fault-upstream.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { repeats } from '../helpers/repeats.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiChunk, openaiDone } from '../helpers/scripted-upstream.ts'
import { openWith, sharedSetups } from './faulty-setup.ts'
import { assertNothingLeft } from './invariants.ts'
import { faultText, wholeJson } from './upstream-faults.ts'

const setups = sharedSetups(20)

test('each of 1 to 50 events before a reset reaches the client, followed by an error', async () => {
  let events = 0
  const texts = Array.from({ length: 50 }, (_, index) => `${index} `)
  const { router, models, upstream } = setups.open(function* (_request, index) {
    yield streamHead
    for (const text of texts.slice(0, events)) yield chunk(openaiChunk({ content: text }))
    yield arrived[index]?.promise ?? ''
    yield rst
  })
  const arrived: PromiseWithResolvers<void>[] = []
  const client = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'x', maxRetries: 0 })
  for (events = 1; events <= texts.length; events++) {
    const all = Promise.withResolvers<void>()
    arrived.push(all)
    const got: string[] = []
    const stream = await client.chat.completions.create({ model: models.one, messages, stream: true })
    await assert.rejects(async () => {
      for await (const { choices } of stream) {
        got.push(choices[0]?.delta.content ?? '')
        if (got.length === events) all.resolve()
      }
    }, OpenAI.APIError)
    assert.deepEqual(got, texts.slice(0, events))
  }
  await assertNothingLeft({ router, models }, [upstream], texts.length)
})

const garbage = Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"}}]}\n\n', 'latin1')
test('bytes that are not valid UTF-8 reach a client of the same dialect unchanged', async () => {
  const events = Buffer.concat([
    Buffer.from(openaiChunk({ content: 'x' })),
    garbage,
    Buffer.from(openaiChunk({}, 'stop') + openaiDone),
  ])
  const { router, models, upstream } = setups.open(() => [
    answerBytes(events, ['content-type: text/event-stream']),
  ])
  const response = await fetch(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: models.one, stream: true, messages }),
  })
  const expected = events.toString('latin1').replaceAll('"upstream-model"', `"${models.one}"`)
  assert.equal(Buffer.from(await response.arrayBuffer()).toString('latin1'), expected)
  await assertNothingLeft({ router, models }, [upstream], 1)
})

test('after content, an event that is not valid JSON ends a passed-through stream with an error', async () => {
  const seen = Promise.withResolvers<void>()
  const { router, models, upstream } = setups.open(() => [
    streamHead,
    chunk(openaiChunk({ content: 'x' })),
    seen.promise,
    chunk('data: {"choi\n\n'),
    hang,
  ])
  const response = await fetch(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: models.one, stream: true, messages }),
  })
  let text = ''
  for await (const piece of response.body ?? []) {
    text += Buffer.from(piece).toString()
    seen.resolve()
  }
  const [first, last, ...rest] = text.split('\n\n')
  assert.equal(JSON.parse(first?.slice('data: '.length) ?? '').choices[0].delta.content, 'x')
  assert.equal(JSON.parse(last?.slice('data: '.length) ?? '').error.type, 'server_error')
  assert.deepEqual(rest, [''])
  await assertNothingLeft({ router, models }, [upstream], 1)
})

test('in translation, invalid UTF-8 becomes the replacement character, and invalid JSON ends the stream with an error', async () => {
  const seen = Promise.withResolvers<void>()
  const { router, models, upstream } = setups.open(() => [
    streamHead,
    chunk(garbage),
    seen.promise,
    chunk('data: {"choi\n\n'),
    hang,
  ])
  const response = await fetch(`${router.url}/api/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: models.one, messages }),
  })
  let text = ''
  for await (const piece of response.body ?? []) {
    text += Buffer.from(piece).toString()
    seen.resolve()
  }
  const [first, last] = linesIn(text)
  assert.equal(first.message.content, '\ufffd\ufffd')
  assert.equal(typeof last.error, 'string')
  await assertNothingLeft({ router, models }, [upstream], 1)
})

const restCases: [header: string, seconds: number][] = [
  ['7', 7],
  ['0', 1],
  ['-1', 5],
  ['1000000000', 300],
  ['abc', 5],
  ['Fri, 01 Jan 2100 00:00:00 GMT', 300],
  ['Fri, 01 Jan 2010 00:00:00 GMT', 1],
]
for (const [header, seconds] of restCases) {
  test(`an upstream that answers 429 with Retry-After ${header} is paused for ${seconds} s`, async () => {
    const lines = [`retry-after: ${header}`]
    const { router, models, upstream } = setups.open(() => [
      head([...lines, 'content-length: 2'], 'HTTP/1.1 429 Too Many Requests'),
      '{}',
    ])
    const body = { model: models.pair, messages }
    assert.equal((await post(`${router.url}/v1/chat/completions`, body)).status, 429)
    const sent = upstream.requests.length
    const { status, headers } = await post(`${router.url}/v1/chat/completions`, body)
    assert.equal(status, 429)
    assert.equal(upstream.requests.length, sent, 'nothing is sent during the pause')
    const waitSeconds = Number(headers.get('retry-after'))
    assert.ok(waitSeconds >= seconds - 1 && waitSeconds <= seconds && waitSeconds >= 1, `${waitSeconds}`)
  })
}

const staleCount = repeats(140, 10_000)
for (const [name, end] of [
  ['closes', fin],
  ['resets', rst],
] as const) {
  test(`none of ${staleCount} requests fails at an upstream that ${name} its kept-alive sockets at any time`, async () => {
    let answers = 0
    const { router, models, upstream } = setups.open(function* () {
      yield answerBytes(wholeJson)
      // Immediately, or some iterations of the event loop later: the next request meets the socket in every state.
      for (let turn = 0; turn < answers++ % 7; turn++) yield new Promise((resolve) => setImmediate(resolve))
      yield end
    })
    for (let index = 0; index < staleCount; index++) {
      const { status, text } = await post(`${router.url}/v1/chat/completions`, {
        model: models.one,
        messages,
      })
      assert.equal(status, 200, text)
    }
    await assertNothingLeft({ router, models }, [upstream], staleCount)
  })
}

test('an unsolicited response is delivered to no client', async () => {
  const answerOf = (text: string): Buffer => answerBytes(wholeJson.replace(faultText, text))
  const { router, models, upstream } = setups.open((_request, index) => [
    Buffer.concat([answerOf(`right ${index}`), answerOf('canary')]),
  ])
  for (let index = 0; index < repeats(40, 1_000); index++) {
    const { status, text } = await post(`${router.url}/v1/chat/completions`, { model: models.one, messages })
    assert.equal(status, 200, text)
    assert.match(text, /"right \d+"/)
  }
  await upstream.idle()
})

test('an upstream that rejects a large body before reading it gets its response through', async (t) => {
  const script: FaultScript = () => [
    head(['content-length: 2', 'connection: close'], 'HTTP/1.1 413 Too Large'),
    '{}',
    hang,
  ]
  const { router, models } = await openWith(t, script, { early: true })
  const content = 'x'.repeat(16 * 1024 * 1024)
  const { status } = await post(`${router.url}/v1/chat/completions`, {
    model: models.one,
    messages: [{ role: 'user', content }],
  })
  assert.equal(status, 413)
  // The upstream reads nothing more, so it cannot see that its connection is gone.
  await assertNothingLeft({ router, models }, [], 1)
})

test('a host that does not resolve and one that does not use TLS count as down', async () => {
  const { router, models } = setups.open(() => [answerBytes(wholeJson)])
  for (const model of [models.nowhere, models.plain]) {
    const { status, text } = await post(`${router.url}/v1/chat/completions`, { model, messages })
    assert.equal(status, 200, text)
  }
})

const largeBytes = 17 * 1024 * 1024
const large = wholeJson.replace(faultText, 'x'.repeat(largeBytes))
test("a whole answer over 16 MiB is forwarded as it arrives, with the client's name of the model", async () => {
  const { router, models, upstream } = setups.open(() => [answerBytes(large)])
  const { status, text } = await post(`${router.url}/v1/chat/completions`, { model: models.one, messages })
  assert.equal(status, 200)
  assert.ok(text === large.replace('upstream-model', models.one))
  await assertNothingLeft({ router, models }, [upstream], 1)
})

for (const [name, headers] of [
  ['with a length', ['content-type: application/json', `content-length: ${large.length}`]],
  ['without a length', ['content-type: application/json']],
] as const) {
  test(`a whole answer ${name} that is cut after 16 MiB never looks complete`, async () => {
    const { router, models, upstream } = setups.open(() => [head(headers), large.slice(0, -9), fin])
    await assert.rejects(post(`${router.url}/v1/chat/completions`, { model: models.one, messages }))
    assert.equal(
      (await router.logged(({ msg, model }) => msg === 'request' && model === models.one)).outcome,
      'truncated',
    )
    await assertNothingLeft({ router, models }, [upstream], 1)
  })
}

test('a whole answer over 32 MiB that would have to be translated is rejected', async () => {
  const { router, models, upstream } = setups.open(() => [
    answerBytes(large.replace('xxx', 'xxx'.repeat(6_000_000))),
  ])
  const { status } = await post(`${router.url}/api/chat`, { model: models.one, stream: false, messages })
  assert.equal(status, 502)
  await assertNothingLeft({ router, models }, [upstream], 1)
})

/** A host whose accept queue is full: it neither accepts nor refuses the next connection. */
async function fullHost(): Promise<{ url: string; close(): Promise<void> }> {
  const code = `const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))`
  const child: ChildProcess = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  assert.ok(child.stdout)
  const [line] = await once(child.stdout, 'data')
  const port = Number(line)
  child.kill('SIGSTOP')
  const sockets: Socket[] = []
  for (let connected = true; connected; ) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    sockets.push(socket)
    const giveUp = AbortSignal.timeout(500)
    connected = await once(socket, 'connect', { signal: giveUp }).then(
      () => true,
      () => false,
    )
  }
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      for (const socket of sockets) socket.destroy()
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

test('a host that accepts no more connections delays a request by the connect timeout but does not fail it', async (t) => {
  const full = await fullHost()
  t.after(() => full.close())
  const { upstream } = setups.open(() => [answerBytes(wholeJson)])
  const at = (api_host: string, id: string) => ({ id, api_type: 'vllm', api_host })
  const router = await startRouter({
    env: { LLM_ROUTER_EXTERNAL_TIMEOUT: '0.3' },
    models: modelsConfig({
      two: [at(full.url, 'full'), at(upstream.url, 'good')],
      alone: [at(full.url, 'alone')],
    }),
  })
  t.after(() => router.close())
  for (let turn = 0; turn < 2; turn++) {
    const { status, text } = await post(`${router.url}/v1/chat/completions`, { model: 'two', messages })
    assert.equal(status, 200, text)
  }
  const alone = await post(`${router.url}/v1/chat/completions`, { model: 'alone', messages })
  assert.equal(alone.status, 504)
  await assertNothingLeft({ router }, [upstream], 3)
})
