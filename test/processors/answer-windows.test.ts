import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { closedPort, post } from '../helpers/http.ts'
import { bearer, keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Piece,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'
import { SharedRouter } from '../helpers/shared-router.ts'
import { eventsIn } from './dialect-players.ts'

const shared = new SharedRouter()
after(() => shared.close())
const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

const chunk = (delta: unknown, more: Record<string, unknown> = {}): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta, finish_reason: null, ...more }] })}\n\n`
const say = (content: string): string => chunk({ content })
const ending = [chunk({}, { finish_reason: 'stop' }), 'data: [DONE]\n\n']

/** A model server that streams these pieces, and a guardrail service. */
async function rig(
  pieces: Iterable<Piece> | AsyncIterable<Piece>,
  judge: (request: RecordedRequest) => unknown,
  more: Record<string, unknown> = {},
  env?: Record<string, string>,
): Promise<{ router: TestRouter; upstream: ScriptedUpstream; service: ScriptedUpstream }> {
  const upstream = await startUpstream({ kind: 'stream', pieces })
  const service = await startUpstream(async (request) => ({ kind: 'reply', body: await judge(request) }))
  const models = {
    processors: [
      { type: 'guardrail', on: 'response', service: { type: 'http', url: `${service.url}/j` }, ...more },
    ],
    g: { m: { providers: [{ api_type: 'vllm', api_host: upstream.url, model_path: 'up' }] } },
    active_models: { g: ['m'] },
  }
  const router = env === undefined ? await shared.with(models) : await startRouter({ models, env })
  open.push(upstream, service, router)
  return { router, upstream, service }
}

const chat = (more: Record<string, unknown> = {}) => ({
  model: 'm',
  stream: true,
  messages,
  ...more,
})
const path = '/v1/chat/completions'
const safe = () => ({ safe: true })
const texts = ({ body }: RecordedRequest): string[] =>
  isObject(body) && Array.isArray(body.contents) ? body.contents : []

/** Sends a request and yields the text received so far as it grows. */
async function* reading(url: string, signal?: AbortSignal): AsyncGenerator<string> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(chat()),
    ...(signal && { signal }),
  })
  assert.ok(response.body)
  let text = ''
  for await (const bytes of response.body) {
    text += Buffer.from(bytes).toString()
    yield text
  }
}

const said = (text: string): string =>
  eventsIn(text)
    .flatMap(({ choices }) =>
      Array.isArray(choices) ? choices.map(({ delta }) => delta?.content ?? '') : [],
    )
    .join('')

test('a sentence is sent after it has been judged, before the next one arrives', async () => {
  const more = Promise.withResolvers<string>()
  const { router, service } = await rig([say('It is'), say(' so.'), say(' And'), more.promise], safe)
  let all = ''
  for await (const text of reading(router.url)) {
    all = text
    if (said(text) !== 'It is so.') continue
    assert.deepEqual(service.requests.map(texts), [['It is so.']])
    more.resolve([say(' more'), ...ending].join(''))
  }
  assert.equal(said(all), 'It is so. And more')
  assert.deepEqual(service.requests.at(-1)?.body, { contents: [' And more'], before: ['It is so.'] })
})

test('text without a sentence end is judged after 1,000 characters or after a timeout', async () => {
  const more = Promise.withResolvers<string>()
  const long = 'word '.repeat(300)
  const { router, service } = await rig([say(long), more.promise], safe)
  for await (const text of reading(router.url)) if (said(text) === long) more.resolve(ending.join(''))
  const windows = service.requests.flatMap(texts)
  assert.equal(windows.join(''), long)
  assert.ok(
    windows.every(({ length }) => length <= 1_000),
    String(windows.map(({ length }) => length)),
  )
  for (const { body } of service.requests.slice(1))
    assert.ok(isObject(body) && Array.isArray(body.before) && body.before[0].length <= 400)
})

test('only keep-alives are sent while a verdict is pending', async () => {
  const verdict = Promise.withResolvers<unknown>()
  const { router, service } = await rig(
    [say('Now.\n'), ...ending],
    () => verdict.promise,
    {},
    {
      LLM_ROUTER_STREAM_KEEPALIVE: '0.05',
    },
  )
  let all = ''
  let isAwaited = true
  for await (const text of reading(router.url)) {
    all = text
    if (!isAwaited || text.split(': ').length < 4) continue
    assert.equal(said(text), '')
    isAwaited = false
    verdict.resolve({ safe: true })
  }
  assert.equal(said(all), 'Now.\n')
  assert.equal(service.requests.length, 1)
})

test('a client that disconnects while a verdict is pending aborts the service and upstream requests', async () => {
  const never = Promise.withResolvers<unknown>()
  const { router, upstream, service } = await rig(
    [say('Now.\n'), never.promise.then(() => '')],
    () => never.promise,
  )
  const leave = new AbortController()
  const asking = (async () => {
    for await (const _text of reading(router.url, leave.signal));
  })()
  await service.requestReceived(0)
  const logged = router.requestLogged()
  leave.abort()
  await assert.rejects(asking)
  await Promise.all([service.requestClosed(0), upstream.requestClosed(0)])
  assert.equal((await logged).outcome, 'client_gone')
  never.resolve({ safe: true })
})

test('a blocked stream aborts the upstream request and counts as a success', async () => {
  const never = Promise.withResolvers<string>()
  const bad = say('This is bad.\n')
  const { router, upstream } = await rig(
    [say('Good.\n'), bad, never.promise],
    (request) => ({ verdict: texts(request).join('').includes('bad') ? 'block' : 'pass' }),
    {},
    { LLM_ROUTER_USE_PROMETHEUS: '1' },
  )
  const logged = router.requestLogged()
  const answer = await post(router.url + path, chat())
  assert.equal(answer.status, 200)
  assert.doesNotMatch(answer.text, /\bbad\b/)
  assert.match(answer.text, /"finish_reason":"content_filter"\}\]\}\n\ndata: \[DONE\]\n\n$/)
  await upstream.requestClosed(0)
  never.resolve('')
  const line = await logged
  assert.equal(line.outcome, 'success')
  assert.deepEqual(line.processors, [
    { processor: 'guardrail', on: 'response', outcome: 'blocked', values: 0 },
  ])
  assert.equal(upstream.requests.length, 1)
  const metrics = await (await fetch(`${router.url}/metrics`)).text()
  assert.match(metrics, /llm_router_processor_runs_total\{processor="guardrail",outcome="blocked"\} 1/)
  assert.doesNotMatch(JSON.stringify(router.logs), /This is bad/)
})

test('a response blocked while streaming is stored up to what was sent', async () => {
  const never = Promise.withResolvers<string>()
  const bad = Promise.withResolvers<string>()
  const { router } = await rig([say('Good.\n'), bad.promise, never.promise], safe, {
    service: undefined,
    words: ['bad'],
  })
  const response = await fetch(`${router.url}/v1/responses`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', input: 'hi', stream: true }),
  })
  assert.ok(response.body)
  let text = ''
  for await (const bytes of response.body) {
    text += Buffer.from(bytes).toString()
    if (text.includes('Good.')) bad.resolve(say('This is bad.\n'))
  }
  never.resolve('')
  const id = /"id":"(resp_\w+)"/.exec(text)?.[1]
  const stored = JSON.parse(await (await fetch(`${router.url}/v1/responses/${id}`)).text())
  assert.deepEqual([stored.status, stored.output[0].content[0].text], ['incomplete', 'Good.\n'])
})

test('the tokens of a blocked stream count for its client, up to what was generated', async () => {
  const key = 'k'.repeat(24)
  const keys = keysFile([{ id: 'a', key, tokens_per_minute: 10_000 }])
  open.push({ close: async () => keys.remove() })
  const never = Promise.withResolvers<string>()
  const pieces = [...Array.from({ length: 3_000 }, () => say('word ')), say('bad.\n'), never.promise]
  const { router } = await rig(pieces, safe, { service: undefined, words: ['bad'] }, keys.env)
  const headers = { 'content-type': 'application/json', ...bearer(key) }
  const { text, headers: received } = await post(router.url + path, chat(), headers)
  assert.match(text, /content_filter/)
  await router.requestLogged(received.get('x-request-id') ?? '')
  never.resolve('')
  const next = await post(`${router.url}/v1/chat/completions`, chat({ max_tokens: 1 }), headers)
  const left = Number(next.headers.get('x-ratelimit-remaining-tokens'))
  assert.ok(left < 7_500, String(left))
})

test('replaced text is sent in place of the original, which is never sent', async () => {
  const { router } = await rig(
    [say('Call '), say('55'), say('5. '), chunk({ content: 'Bye.' }), ...ending],
    () => ({ safe: true }),
    { service: undefined, expressions: ['\\b[0-9]{3}\\b'], action: 'replace', replacement: '###' },
  )
  const { text } = await post(router.url + path, chat())
  assert.equal(said(text), 'Call ###. Bye.')
})

test('a service can replace response contents', async () => {
  const { router } = await rig([say('one.\n'), say('two.\n'), ...ending], (request) => ({
    verdict: 'replace',
    contents: texts(request).map((text) => text.toUpperCase()),
  }))
  assert.equal(said((await post(router.url + path, chat())).text), 'ONE.\nTWO.\n')
})

test('"flag" lets a response pass and records it in the log', async () => {
  const { router } = await rig([say('a secret.\n'), ...ending], safe, {
    service: undefined,
    words: ['secret'],
    action: 'flag',
  })
  const logged = router.requestLogged()
  assert.equal(said((await post(router.url + path, chat())).text), 'a secret.\n')
  assert.deepEqual((await logged).processors, [
    { processor: 'guardrail', on: 'response', outcome: 'flagged', values: 0 },
  ])
})

test('a service that is down blocks the response within the timeout, or lets it pass if configured', async () => {
  const service = { type: 'http', url: await closedPort() }
  for (const timeout of [0.2, 1]) {
    const dead = await rig([say('Hello.\n'), ...ending], () => new Promise(() => undefined), {
      timeout,
      ...(timeout === 1 ? { service } : {}),
    })
    const refused = await post(dead.router.url + path, chat())
    assert.deepEqual([refused.status, JSON.parse(refused.text).error.code], [503, 'processor_failed'])
    assert.equal(dead.upstream.requests.length, 1)
  }
  const lenient = await rig([say('Hello.\n'), ...ending], safe, { service, failure: 'open' })
  assert.equal(said((await post(lenient.router.url + path, chat())).text), 'Hello.\n')
})

test('a service that fails after the first window ends the stream with an error', async () => {
  let asked = 0
  const more = Promise.withResolvers<string>()
  const { router } = await rig([say('One.\n'), more.promise], () => {
    more.resolve([say('Two.\n'), ...ending].join(''))
    return asked++ === 0 ? { safe: true } : {}
  })
  const { status, text } = await post(router.url + path, chat())
  assert.equal(status, 200)
  assert.equal(said(text), 'One.\n')
  assert.match(text, /processor_failed/)
  assert.doesNotMatch(text, /Two|\[DONE\]/)
})

test('structured output is judged as a whole, string by string', async () => {
  const { router, service } = await rig([say('{"a":"First. '), say('Second.","b":["x"]}'), ...ending], safe)
  const { text } = await post(router.url + path, chat({ response_format: { type: 'json_object' } }))
  assert.equal(said(text), '{"a":"First. Second.","b":["x"]}')
  assert.deepEqual(service.requests.map(texts), [['First. Second.', 'x']])
})

test('each choice has its own windows', async () => {
  const of = (index: number, content: string): string => chunk({ content }, { index })
  const { router, service } = await rig(
    [
      of(0, 'A.'),
      of(1, 'B'),
      of(0, ' C'),
      of(1, '.\n'),
      of(0, '\n'),
      ...[0, 1].map((index) => chunk({}, { index, finish_reason: 'stop' })),
      'data: [DONE]\n\n',
    ],
    safe,
  )
  await post(router.url + path, chat({ n: 2 }))
  const all = service.requests.flatMap(texts)
  assert.deepEqual(
    all.filter((text) => text.includes('B')),
    ['B.\n'],
  )
  assert.equal(all.filter((text) => !text.includes('B')).join(''), 'A. C\n')
})

test('a stream that fails before anything was judged fails over to another target', async () => {
  const upstream = await startUpstream([
    { kind: 'stream', pieces: [say('half a sen')], ending: 'cut' },
    { kind: 'stream', pieces: [say('Whole.'), ...ending] },
  ])
  const provider = (model_path: string) => ({ api_type: 'vllm', api_host: upstream.url, model_path })
  const router = await startRouter({
    models: {
      processors: [{ type: 'guardrail', on: 'response', words: ['never'] }],
      g: { m: { providers: [provider('a'), provider('b')] } },
      active_models: { g: ['m'] },
    },
  })
  open.push(upstream, router)
  const { text } = await post(router.url + path, chat())
  assert.equal(said(text), 'Whole.')
  assert.equal(upstream.requests.length, 2)
})

test('a cached response is judged like a new one, and a blocked one is not sent', async () => {
  const upstream = await startUpstream({
    kind: 'stream',
    pieces: [say('All is well.\n'), say('This is odd.\n'), ...ending],
  })
  let isOdd = false
  const service = await startUpstream((request) => {
    const safe = !isOdd || !texts(request).join('').includes('odd')
    return { kind: 'reply', body: { safe } }
  })
  const router = await startRouter({
    models: {
      processors: [
        { type: 'cache' },
        { type: 'guardrail', on: 'response', service: { type: 'http', url: service.url } },
      ],
      g: { m: { providers: [{ api_type: 'vllm', api_host: upstream.url, model_path: 'up' }] } },
      active_models: { g: ['m'] },
    },
  })
  open.push(upstream, service, router)
  const asked = chat({ temperature: 0, seed: 1 })
  for (const [odd, cache] of [
    [false, 'miss'],
    [true, 'hit'],
    [false, 'hit'],
  ] as const) {
    isOdd = odd
    const { text, headers } = await post(router.url + path, asked)
    assert.equal(headers.get('x-llm-router-cache'), cache)
    assert.equal(text.includes('odd'), !odd)
    assert.equal(text.includes('content_filter'), odd)
  }
  assert.equal(upstream.requests.length, 1)
})
