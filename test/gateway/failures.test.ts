import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { linesIn } from '../helpers/events-in.ts'
import { closedPort, post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  ollamaLine,
  ollamaPieces,
  openaiChunk,
  openaiDone,
  openaiError,
  openaiStream,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const messages = [{ role: 'user', content: 'canary-prompt' }]
let upstream: ScriptedUpstream
let spare: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('unused'))
  spare = await startUpstream(openaiText('from the spare'))
  const server = {
    api_type: 'vllm',
    api_host: upstream.url,
    model_path: '/models/secret-path',
    api_token: 'canary-token',
  }
  router = await startRouter({
    env: { LLM_ROUTER_EXTERNAL_TIMEOUT: '0.3' },
    models: modelsConfig({
      one: [{ ...server, id: 'one' }],
      two: [
        { ...server, id: 'first' },
        { id: 'second', api_type: 'vllm', api_host: spare.url },
      ],
      native: [{ id: 'native', api_type: 'ollama', api_host: upstream.url }],
      dead: [{ id: 'dead', api_type: 'vllm', api_host: await closedPort() }],
      empty: [],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
  await spare.close()
})

const ask = (model: string, stream = false) =>
  post(`${router.url}/v1/chat/completions`, { model, stream, messages })

const failures: [name: string, behaviour: Behaviour, status: number, code: string][] = [
  ['answers 500', openaiError(500, { message: 'boom' }), 502, 'upstream_error'],
  ['answers 503', openaiError(503, { message: 'busy' }), 503, 'overloaded'],
  [
    'rejects the key of the router',
    openaiError(401, { message: 'Incorrect API key canary-token' }),
    502,
    'upstream_auth',
  ],
  [
    'sends HTML',
    { kind: 'reply', headers: { 'content-type': 'text/html' }, body: '<h1>hi</h1>' },
    502,
    'upstream_error',
  ],
  ['sends invalid JSON', { kind: 'reply', body: 'canary-garbage' }, 502, 'upstream_error'],
  [
    'sends an error with status 200',
    { kind: 'reply', body: { error: { message: 'out of memory' } } },
    502,
    'upstream_error',
  ],
  [
    'redirects',
    { kind: 'reply', status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: '' },
    502,
    'upstream_error',
  ],
  ['does not speak HTTP', { kind: 'raw', bytes: 'SSH-2.0-x\r\n' }, 502, 'upstream_error'],
  ['resets', { kind: 'reset' }, 502, 'upstream_error'],
  ['never answers', { kind: 'hang' }, 504, 'upstream_timeout'],
]

for (const stream of [false, true]) {
  describe(stream ? 'a streamed request' : 'a whole request', () => {
    for (const [name, behaviour, status, code] of failures) {
      test(`gets ${status} when its only upstream ${name}`, async () => {
        upstream.rescript(behaviour)
        const answer = await ask('one', stream)
        assert.equal(answer.status, status, answer.text)
        const { error } = JSON.parse(answer.text)
        assert.equal(error.code, code)
        assert.doesNotMatch(answer.text, /canary|127\.0\.0\.1|secret-path|boom|stack/)
      })

      test(`gets the answer of another upstream when one ${name}`, async () => {
        upstream.rescript(behaviour)
        spare.rescript(stream ? openaiStream(['from the spare']) : openaiText('from the spare'))
        const answers = [await ask('two', stream), await ask('two', stream)]
        for (const answer of answers) {
          assert.equal(answer.status, 200, answer.text)
          assert.match(answer.text, /from the spare/)
        }
      })
    }
  })
}

const brokenStreams: [name: string, behaviour: Behaviour][] = [
  ['ends without its end marker', { kind: 'stream', pieces: [openaiChunk({ content: 'Hi' })] }],
  ['is cut off', { kind: 'stream', pieces: [openaiChunk({ content: 'Hi' })], ending: 'cut' }],
  ['falls silent', { kind: 'stream', pieces: [openaiChunk({ content: 'Hi' })], ending: 'hang' }],
  [
    'reports an error and then an end',
    {
      kind: 'stream',
      pieces: [openaiChunk({ content: 'Hi' }), 'data: {"error":{"message":"canary"}}\n\n', openaiDone],
    },
  ],
  [
    'is cut in the middle of an event',
    { kind: 'stream', pieces: [openaiChunk({ content: 'Hi' }), 'data: {"choi'] },
  ],
]

for (const [name, behaviour] of brokenStreams) {
  test(`a stream that ${name} after its first content ends with an error event and no end marker`, async () => {
    upstream.rescript(behaviour)
    const before = spare.requests.length
    const { status, text, headers } = await ask('one', true)
    assert.equal(status, 200)
    const events = text.split('\n\n').filter(Boolean)
    assert.equal(events.length, 2, text)
    assert.match(events[0] ?? '', /"content":"Hi"/)
    assert.ok(JSON.parse(events[1]?.replace('data: ', '') ?? '').error.message)
    assert.doesNotMatch(text, /\[DONE\]|canary|secret-path/)
    assert.equal(spare.requests.length, before, 'no second dispatch after content')
    const line = await router.requestLogged(headers.get('x-request-id') ?? '')
    assert.equal(line.outcome, 'truncated')
  })

  test(`an Ollama client gets an error line and no done for a stream that ${name}`, async () => {
    upstream.rescript(behaviour)
    const { text } = await post(`${router.url}/api/chat`, { model: 'one', messages })
    const lines = linesIn(text)
    assert.equal(lines[0].message.content, 'Hi')
    assert.equal(typeof lines.at(-1).error, 'string')
    assert.ok(lines.every((line) => line.done !== true))
  })
}

test('a broken Ollama stream is an error event for an OpenAI client', async () => {
  upstream.rescript(ollamaPieces([ollamaLine({ content: 'Hi' }), '{"error":"canary: runner crashed"}\n']))
  const { text } = await ask('native', true)
  assert.match(text, /"content":"Hi"/)
  assert.match(text, /data: \{"error":/)
  assert.doesNotMatch(text, /DONE|canary/)
})

test('a stream that fails before its first content fails over to another upstream', async () => {
  upstream.rescript({ kind: 'stream', pieces: [openaiChunk({ role: 'assistant', content: '' })] })
  spare.rescript(openaiStream(['from the spare']))
  for (const { status, text } of [await ask('two', true), await ask('two', true)]) {
    assert.equal(status, 200)
    assert.match(text, /from the spare/)
    assert.match(text, /\[DONE\]/)
  }
})

const passed: [status: number, body: object, expected: string][] = [
  [400, { message: 'top_p is 7' }, 'top_p is 7'],
  [404, { message: 'no model /models/secret-path here' }, 'no model one here'],
  [409, { message: 'conflict' }, 'conflict'],
  [413, { message: 'too long' }, 'too long'],
  [422, { message: 'see http://10.0.0.1/docs' }, 'refused the request with status 422'],
  [429, { message: 'slow down' }, 'slow down'],
]
for (const [status, body, expected] of passed) {
  test(`status ${status} of an upstream is passed on, with as much of its text as is safe to show`, async () => {
    upstream.rescript(openaiError(status, body))
    const answer = await ask('one')
    assert.equal(answer.status, status)
    assert.ok(JSON.parse(answer.text).error.message.includes(expected), answer.text)
  })
}

test('an unreachable target is a 502 without its address, and a model without targets a 503 with Retry-After', async () => {
  const dead = await ask('dead')
  assert.equal(dead.status, 502)
  assert.doesNotMatch(dead.text, /127\.0\.0\.1|ECONNREFUSED/)
  const empty = await ask('empty')
  assert.equal(empty.status, 503)
  assert.ok(Number(empty.headers.get('retry-after')) > 0)
})

test('no prompt, key or address of these failures is in the log', async () => {
  const text = JSON.stringify(router.logs)
  assert.ok(router.logs.length > 50)
  assert.doesNotMatch(text, /canary|secret-path/)
  assert.ok(!text.includes(upstream.url))
})

test('a kept-alive socket that the upstream has closed causes one silent retry', async () => {
  upstream.rescript([openaiText('first'), { kind: 'reset' }, openaiText('second')])
  const before = upstream.requests.length
  assert.match((await ask('one')).text, /first/)
  const answer = await ask('one')
  assert.equal(answer.status, 200)
  assert.match(answer.text, /second/)
  assert.equal(upstream.requests.length, before + 3)
})

describe('the time limit for a whole request', () => {
  let limited: TestRouter
  before(async () => {
    limited = await startRouter({
      env: { LLM_ROUTER_TIMEOUT: '0.3' },
      models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
    })
  })
  after(() => limited.close())

  test('ends a request without an answer with 504, and its upstream request', async () => {
    upstream.rescript({ kind: 'hang' })
    const index = upstream.requests.length
    const { status, text } = await post(`${limited.url}/v1/chat/completions`, { model: 'one', messages })
    assert.equal(status, 504)
    assert.equal(JSON.parse(text).error.code, 'timeout')
    await upstream.requestClosed(index)
  })

  test('ends a running stream with an error event and no end marker', async () => {
    upstream.rescript({ kind: 'stream', pieces: [openaiChunk({ content: 'Hi' })], ending: 'hang' })
    const body = { model: 'one', stream: true, messages }
    const { status, text } = await post(`${limited.url}/v1/chat/completions`, body)
    assert.equal(status, 200)
    assert.match(text, /"content":"Hi"[\s\S]*data: \{"error":.*"code":"timeout"/)
    assert.doesNotMatch(text, /DONE/)
  })
})

test('a request that no dialect can read is rejected without a request to any target', async () => {
  const [sent, spared] = [upstream.requests.length, spare.requests.length]
  const body = {
    model: 'two',
    messages: [{ role: 'tool', content: 'a result without its call' }],
    stream: false,
  }
  const { status } = await post(`${router.url}/api/chat`, body)
  assert.equal(status, 400)
  assert.deepEqual([upstream.requests.length, spare.requests.length], [sent, spared])
})

test('what an upstream quotes of a prompt is sent to its client but not logged', async () => {
  upstream.rescript(openaiError(400, { message: 'Input should be a list, got: canary-prompt' }))
  const { text, headers } = await ask('one')
  assert.match(text, /canary-prompt/)
  const line = await router.requestLogged(headers.get('x-request-id') ?? '')
  assert.deepEqual([line.status, line.error, line.error_cause], [400, undefined, 'HTTP_400'])
  assert.doesNotMatch(JSON.stringify(router.logs), /canary/)
})

test('an upstream that sends interim responses endlessly is given up', async () => {
  const early = 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'
  upstream.rescript({ kind: 'raw', bytes: early.repeat(200) })
  assert.equal((await ask('one')).status, 502)
  const body = '{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}'
  const answer = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  upstream.rescript({ kind: 'raw', bytes: early.repeat(3) + answer })
  assert.equal((await ask('one')).status, 200)
})
