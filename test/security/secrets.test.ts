import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post, type RawAnswer } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  ollamaError,
  ollamaStream,
  openaiChunk,
  openaiDone,
  openaiError,
  openaiStream,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

/** Planted wherever a secret is held; none may appear in a log, a response or a metric. */
const canary = {
  upstreamKey: 'sk-canary-upstream-0123456789',
  keyInEnvironment: 'canary-environment-key',
  clientKey: 'canary-client-key',
  upstreamModel: 'canary-path/of-the-model',
  prompt: 'canary-prompt-of-a-client',
  answer: 'canary-answer',
  upstreamError: 'canary-upstream-error',
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's syntax for an environment variable
const fromEnvironment = '${CANARY_KEY}'

let upstream: ScriptedUpstream
let router: TestRouter
const answers: (RawAnswer & { name: string })[] = []

/** What a hostile or careless upstream answers, and the part of the message that is only its own text. */
const echoes: [name: string, message: string][] = [
  ['its key', `Incorrect API key provided: ${canary.upstreamKey}`],
  ['a bearer token', 'Authorization was Bearer abcdef0123456789'],
  ['its address', 'canary-upstream-error at http://10.1.2.3:8000/v1'],
  ['its host and port', 'canary-upstream-error: connect to gpu-7.internal:8000 failed'],
  ['an IPv6 address', 'canary-upstream-error from fd00:ec2::254'],
  ['a path', 'canary-upstream-error in /srv/models/canary/weights.bin'],
  ['a stack trace', 'Traceback (most recent call last): canary-upstream-error\n  File "x.py", line 1'],
  ['a JavaScript stack trace', 'canary-upstream-error\n    at handler (app.js:10:12)'],
  ['a token', 'canary-upstream-error eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0'],
]

before(async () => {
  upstream = await startUpstream(openaiText('unused'))
  const at = { api_host: upstream.url, model_path: canary.upstreamModel }
  const names = [
    'plain',
    'streamed',
    'broken',
    'auth',
    'crash',
    'html',
    'mixed',
    'text',
    'control',
    ...echoes.map((_echo, index) => `echo${index}`),
  ]
  const vllm = names.map((name): [string, object[]] => [
    name,
    [{ id: name, api_type: 'vllm', api_token: canary.upstreamKey, ...at }],
  ])
  router = await startRouter({
    env: {
      LLM_ROUTER_LOG_LEVEL: 'trace',
      LLM_ROUTER_IN_DEBUG: '1',
      LLM_ROUTER_USE_PROMETHEUS: '1',
      CANARY_KEY: canary.keyInEnvironment,
    },
    models: modelsConfig({
      ...Object.fromEntries(vllm),
      native: [{ id: 'native', api_type: 'ollama', api_token: fromEnvironment, ...at }],
      dead: [{ id: 'dead', api_type: 'vllm', api_token: canary.upstreamKey, api_host: 'http://127.0.0.1:1' }],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

async function ask(
  model: string,
  behaviour: Behaviour,
  { stream = false, path = '/v1/chat/completions' } = {},
): Promise<RawAnswer> {
  upstream.rescript(behaviour)
  const body = { model, stream, messages: [{ role: 'user', content: canary.prompt }], user: canary.clientKey }
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${canary.clientKey}`,
    'x-api-key': canary.clientKey,
    cookie: `session=${canary.clientKey}`,
  }
  const answer = await post(router.url + path, body, headers)
  answers.push({ name: model, ...answer })
  return answer
}

function messageOf({ text }: RawAnswer): string {
  return JSON.parse(text).error.message
}

for (const [index, [what, message]] of echoes.entries()) {
  test(`S7 an upstream error that contains ${what} is replaced by the router's own wording`, async () => {
    const answer = await ask(`echo${index}`, openaiError(400, { message, type: 'x', code: 'y' }))
    assert.equal(answer.status, 400)
    assert.equal(messageOf(answer), 'The upstream refused the request with status 400')
  })
}

test('S7 an upstream error is truncated to 512 characters, without control characters', async () => {
  const long = await ask('text', openaiError(400, { message: `too long ${'x '.repeat(2000)}` }))
  assert.match(messageOf(long), /^too long x/)
  assert.ok(messageOf(long).length <= 515)
  const colours = 'red\u001b[31m text\r\nand \u0007 more\u2028end\u009b1m'
  const control = await ask('control', openaiError(400, { message: colours }))
  assert.match(messageOf(control), /^red/)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is the claim
  assert.doesNotMatch(messageOf(control), /[\u0000-\u001f\u007f-\u009f\u2028\u2029]|\[31m/)
})

test('S7 nothing of an HTML page sent by an upstream is shown', async () => {
  const page = { 'content-type': 'text/html' }
  for (const status of [200, 404, 500]) {
    const body = `<html><h1>${canary.upstreamError}</h1></html>`
    const answer = await ask('html', { kind: 'reply', status, headers: page, body })
    assert.ok(answer.status >= 400)
    assert.doesNotMatch(answer.text, /canary|<h/)
  }
})

test('S6 no secret, prompt or upstream address is in a log line, a response or a metric', async () => {
  const secret = canary.upstreamError
  const cutOff = [openaiChunk({ content: canary.answer }), `data: {"error":{"message":"${secret}"}}\n\n`]
  await ask('plain', openaiText(canary.answer))
  await ask('streamed', openaiStream([canary.answer]), { stream: true })
  await ask('broken', { kind: 'stream', pieces: cutOff }, { stream: true })
  await ask(
    'broken',
    { kind: 'stream', pieces: ['data: {"canary-upstream-error', openaiDone] },
    { stream: true },
  )
  await ask('auth', openaiError(401, { message: `no such key: ${canary.upstreamKey}` }))
  for (const message of [`cannot read "${canary.prompt}"`, `${secret} at ${upstream.url}`])
    await ask('crash', openaiError(500, { message, stack: `at ${upstream.url}` }))
  await ask('mixed', { kind: 'reply', body: `{"canary-upstream-error": ` })
  await ask('native', ollamaStream([canary.answer]), { path: '/api/chat', stream: true })
  await ask('native', ollamaError(500, `${secret}: ${canary.keyInEnvironment}`), { path: '/api/chat' })
  await ask('dead', openaiText('unused'))
  await ask('no-such-model', openaiText('unused'))
  const broken = `{"model":"plain","messages":[{"role":"user","content":"${canary.prompt}"}`
  const jsonType = { 'content-type': 'application/json', authorization: `Bearer ${canary.clientKey}` }
  answers.push({
    name: 'bad json',
    ...(await post(`${router.url}/v1/chat/completions`, broken, jsonType)),
  })
  for (const path of ['/metrics', '/v1/models', '/api/tags', '/api/v0/models', '/', '/version']) {
    const response = await fetch(router.url + path)
    answers.push({
      name: path,
      status: response.status,
      headers: response.headers,
      text: await response.text(),
    })
  }
  assert.ok(answers.length > 20)

  const logs = JSON.stringify(router.logs)
  const { host } = new URL(upstream.url)
  for (const value of [...Object.values(canary), host])
    assert.ok(!logs.includes(value), `${value} is in the log`)
  const hidden = [canary.upstreamKey, canary.keyInEnvironment, canary.clientKey, canary.upstreamError, host]
  for (const { name, text, headers } of answers) {
    const seen = `${text}\n${JSON.stringify([...headers])}`
    for (const value of [...hidden, canary.upstreamModel])
      assert.ok(!seen.includes(value), `${name}: ${value}`)
  }
})

test('S24 no response reveals a stack, a path, or the name and version of the software', async () => {
  for (const [path, init] of [
    ['/nowhere', {}],
    ['/v1/models', { method: 'DELETE' }],
    ['/v1/chat/completions', { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } }],
    ['/v1/%zz', {}],
    ['/v1/chat/completions', { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } }],
  ] as const) {
    const response = await fetch(router.url + path, init)
    answers.push({
      name: path,
      status: response.status,
      headers: response.headers,
      text: await response.text(),
    })
  }
  for (const { name, text, headers } of answers) {
    assert.equal(headers.get('server'), null)
    assert.equal(headers.get('x-powered-by'), null)
    if (name.startsWith('/') && !text.includes('"error"')) continue
    assert.doesNotMatch(
      text,
      /\bat \S+ \(|node_modules|node:|\.[jt]s:\d|\/src\/|fastify|undici|FST_ERR/i,
      name,
    )
  }
})

const shown = new Set([
  'content-type',
  'content-length',
  'cache-control',
  'x-accel-buffering',
  'connection',
  'keep-alive',
  'date',
  'x-request-id',
  'request-id',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'transfer-encoding',
  'x-llm-router-lost',
  'x-llm-router-model',
])

test('S26 of the headers of an upstream only those that clients act on are passed on', async () => {
  const headers = {
    'set-cookie': 'a=canary',
    location: 'http://canary',
    'alt-svc': 'canary',
    server: 'canary',
    'access-control-allow-origin': '*',
    'access-control-allow-credentials': 'true',
    link: '<canary>',
    'x-powered-by': 'canary',
    'x-request-id': 'canary',
    via: '1.1 canary',
    refresh: '0;url=canary',
    'strict-transport-security': 'max-age=1',
    'content-security-policy': 'canary',
    'x-canary': 'canary',
    'retry-after': 'canary',
    'retry-after-ms': 'canary',
    'x-should-retry': 'canary',
  }
  const whole = openaiText('Hi')
  const stream = openaiStream(['Hi'])
  assert.ok(whole.kind === 'reply' && stream.kind === 'stream')
  const json = { 'content-type': 'application/json' }
  for (const answer of [
    await ask('plain', { ...whole, headers: { ...headers, ...json } }),
    await ask(
      'streamed',
      { ...stream, headers: { ...headers, 'content-type': 'text/event-stream' } },
      { stream: true },
    ),
    await ask('text', openaiError(429, { message: 'slow down' }, headers)),
    await ask('text', openaiError(400, { message: 'no' }, headers)),
  ]) {
    const names = [...answer.headers.keys()].filter((name) => !shown.has(name))
    assert.deepEqual(names, [], String(answer.status))
    assert.doesNotMatch(JSON.stringify([...answer.headers]), /canary/)
  }
})
