import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { eventsIn as jsonEventsIn, linesIn } from '../../helpers/events-in.ts'
import { openRequest, post } from '../../helpers/http.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../../helpers/router.ts'
import {
  type Behaviour,
  ollamaStream,
  openaiChunk,
  openaiError,
  openaiStream,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../../helpers/scripted-upstream.ts'
import { byText, eventsIn, ollamaDefaults, promptsDir, system, uncut, user } from './support.ts'

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('unused'))
  router = await startRouter({
    env: { LLM_ROUTER_PROMPTS_DIR: promptsDir },
    models: modelsConfig({
      m1: [{ id: 'm1', api_type: 'vllm', api_host: upstream.url }],
      oll: [{ id: 'oll', api_type: 'ollama', api_host: upstream.url }],
      resting: [{ id: 'resting', api_type: 'vllm', api_host: upstream.url }],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

const lines = { 'content-type': 'application/json', accept: 'application/x-ndjson' }
const article = (body: object, headers?: Record<string, string>) =>
  post(`${router.url}/api/generate_article_from_text`, { text: 'x', stream: true, ...body }, headers)
const simplify = (body: object, headers?: Record<string, string>) =>
  post(`${router.url}/api/simplify_text`, { model: 'm1', stream: true, ...body }, headers)

function deltas(events: unknown[]): string {
  return events
    .map((event) =>
      typeof event === 'object' && event !== null && 'choices' in event && Array.isArray(event.choices)
        ? (event.choices[0]?.delta.content ?? '')
        : '',
    )
    .join('')
}

test('one text is streamed in OpenAI chunks with the prompt applied, from either kind of upstream', async () => {
  for (const [model, script] of [
    ['m1', openaiStream(['Hel', 'lo'])],
    ['oll', ollamaStream(['Hel', 'lo'])],
  ] as const) {
    upstream.rescript(script)
    const { status, headers, text } = await article({ model })
    assert.equal(status, 200, text)
    assert.match(headers.get('content-type') ?? '', /^text\/event-stream/)
    const events = eventsIn(text)
    assert.equal(events.at(-1), '[DONE]')
    assert.equal(deltas(events), 'Hello')
  }
  assert.deepEqual(upstream.requests.at(-1)?.body, {
    model: 'oll',
    messages: [system('PL wpis.'), user('x')],
    stream: true,
    options: ollamaDefaults,
    ...uncut,
  })
})

test('one text is streamed in Ollama lines to clients that accept those', async () => {
  for (const [model, script] of [
    ['m1', openaiStream(['Hel', 'lo'])],
    ['oll', ollamaStream(['Hel', 'lo'])],
  ] as const) {
    upstream.rescript(script)
    const { headers, text } = await article({ model }, lines)
    assert.match(headers.get('content-type') ?? '', /^application\/x-ndjson/)
    const parts = linesIn(text)
    assert.equal(parts.map(({ message }) => message.content).join(''), 'Hello')
    assert.deepEqual(
      parts.map(({ model: name, done }) => [name, done]),
      [...parts.slice(1).map(() => [model, false]), [model, true]],
    )
    assert.equal(parts.at(-1).eval_count, 3)
  }
})

test('one text whose upstream fails before its first content gets a real HTTP status', async () => {
  upstream.rescript(openaiError(429, { message: 'slow down' }, { 'retry-after': '7' }))
  const { status, headers, text } = await article({ model: 'resting' })
  assert.equal(status, 429)
  assert.equal(headers.get('retry-after'), '7')
  assert.equal(JSON.parse(text).status, false)
})

test('several texts yield one event each, in order and as soon as possible, followed by the totals', async () => {
  const gates = new Map(['a', 'b', 'c'].map((text) => [text, Promise.withResolvers<Behaviour>()]))
  upstream.rescript(byText(Object.fromEntries(Array.from(gates, ([text, { promise }]) => [text, promise]))))
  const socket = await openRequest(router.url, '/api/translate', {
    model: 'm1',
    texts: ['a', 'b', 'c'],
    stream: true,
  })
  let received = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    received += chunk
  })
  const until = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(received)) await once(socket, 'data')
  }
  gates.get('b')?.resolve(openaiText('B'))
  gates.get('a')?.resolve(openaiText('A'))
  await until(/"index":1/)
  assert.doesNotMatch(received, /"index":2|"done"/)
  gates.get('c')?.resolve(openaiText('C'))
  await until(/\r\n0\r\n\r\n$/)
  socket.destroy()
  const [head = '', body = ''] = received.split(/\r\n\r\n(.*)/s)
  assert.match(head, /^HTTP\/1\.1 200 /)
  assert.match(head, /content-type: text\/event-stream/)
  assert.match(head, /x-accel-buffering: no/)
  const events = jsonEventsIn(body)
  const { generation_time, ...totals } = events.pop()
  assert.deepEqual(events, [
    { index: 0, result: { original: 'a', translated: 'A' } },
    { index: 1, result: { original: 'b', translated: 'B' } },
    { index: 2, result: { original: 'c', translated: 'C' } },
  ])
  assert.deepEqual(totals, { done: true, total: 3, failed: 0 })
  assert.ok(generation_time > 0)
})

test('several texts yield JSON lines for clients that accept those, and no texts only the totals', async () => {
  upstream.rescript(openaiText('1. A?'))
  const path = `${router.url}/builtin/generate_questions`
  const { headers, text } = await post(path, { model: 'm1', texts: ['T'], stream: true }, lines)
  assert.match(headers.get('content-type') ?? '', /^application\/x-ndjson/)
  const [first, { generation_time: _time, ...last }] = linesIn(text)
  assert.deepEqual(first, { index: 0, result: { text: 'T', questions: ['A?'] } })
  assert.deepEqual(last, { done: true, total: 1, failed: 0 })
  const [only, ...rest] = eventsIn((await simplify({ texts: [] })).text)
  assert.ok(typeof only === 'object' && only !== null && 'total' in only)
  assert.deepEqual([only.total, rest], [0, []])
})

test('a text that fails after the first event ends the stream with an error and without totals', async () => {
  for (const [headers, isError] of [
    [undefined, /\ndata: \{"error":\{"message":"texts\[1\]: [^\n]*\}\}\n\n$/],
    [lines, /\n\{"error":"texts\[1\]: [^\n]*"\}\n$/],
  ] as const) {
    const second = Promise.withResolvers<Behaviour>()
    upstream.rescript(byText({ a: openaiText('A'), b: second.promise }))
    const logged = router.requestLogged()
    const response = await fetch(`${router.url}/api/simplify_text`, {
      method: 'POST',
      headers: headers ?? { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm1', texts: ['a', 'b'], stream: true }),
    })
    assert.equal(response.status, 200)
    second.resolve(openaiError(500, { message: 'see http://10.0.0.1/' }))
    const text = await response.text()
    assert.match(text, isError)
    assert.doesNotMatch(text, /"done"|10\.0\.0\.1/)
    assert.equal((await logged).outcome, 'truncated')
  }
})

test('a failure before the first event gets a real HTTP status', async () => {
  upstream.rescript(byText({ a: { kind: 'hang' }, b: openaiError(500, { message: 'x' }) }))
  const { status, text } = await simplify({ texts: ['a', 'b'] })
  assert.equal(status, 502, text)
  assert.equal(JSON.parse(text).error.param, 'texts[1]')
})

test('with partial, a failed text yields an event with its error, and counts in the totals', async () => {
  upstream.rescript(byText({ a: openaiError(400, { message: 'no' }), b: openaiText('B') }))
  const { status, text } = await simplify({ texts: ['a', 'b'], partial: true })
  assert.equal(status, 200)
  const [first, second, last] = eventsIn(text) as Record<string, unknown>[]
  assert.deepEqual([first?.index, first?.result], [0, null])
  assert.ok(first?.error)
  assert.deepEqual(second, { index: 1, result: 'B' })
  assert.deepEqual([last?.done, last?.total, last?.failed], [true, 2, 1])
})

test('a client that disconnects from a stream of texts ends every running upstream request', async () => {
  upstream.rescript(byText({ a: openaiText('A'), b: { kind: 'hang' }, c: { kind: 'hang' } }))
  const since = upstream.requests.length
  const logged = router.requestLogged()
  const body = { model: 'm1', texts: ['a', 'b', 'c'], stream: true }
  const socket = await openRequest(router.url, '/api/simplify_text', body)
  let received = ''
  while (!received.includes('"index":0')) received += String((await once(socket, 'data'))[0])
  await upstream.requestReceived(since + 2)
  socket.destroy()
  await Promise.all([0, 1, 2].map((index) => upstream.requestClosed(since + index)))
  assert.equal((await logged).outcome, 'client_gone')
})

test('a client that disconnects from the stream of one text ends its upstream request', async () => {
  upstream.rescript({ kind: 'stream', pieces: [openaiChunk({ content: 'Hi' })], ending: 'hang' })
  const since = upstream.requests.length
  const body = { model: 'm1', text: 'x', stream: true }
  const socket = await openRequest(router.url, '/api/generate_article_from_text', body)
  let received = ''
  while (!received.includes('Hi')) received += String((await once(socket, 'data'))[0])
  socket.destroy()
  await upstream.requestClosed(since)
})

test('a client that reads slowly gets every event', async () => {
  const answer = 'x'.repeat(4 * 1024 * 1024)
  upstream.rescript(openaiText(answer))
  const body = { model: 'm1', texts: ['a', 'b', 'c', 'd'], stream: true }
  const logged = router.requestLogged()
  const socket = await openRequest(router.url, '/api/simplify_text', body)
  await once(socket, 'readable')
  let bytes = 0
  let tail = ''
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    tail = (tail + chunk.toString('latin1')).slice(-400)
    if (tail.endsWith('\r\n0\r\n\r\n')) socket.end()
  })
  await once(socket, 'close')
  assert.match(tail, /"done":true,"total":4,"failed":0/)
  assert.ok(bytes > 4 * answer.length)
  assert.equal((await logged).outcome, 'success')
})
