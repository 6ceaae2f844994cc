import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'

let router: TestRouter

before(async () => {
  router = await startRouter({
    env: { LLM_ROUTER_BODY_LIMIT: '100000' },
    models: modelsConfig({ demo: [{ api_type: 'mock' }] }),
  })
})
after(() => router.close())

const json = { 'content-type': 'application/json' }
const user = { role: 'user', content: 'canary-prompt' }
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

const bad: [name: string, body: string | Uint8Array, status: number, says: RegExp][] = [
  ['no body', '', 400, /body/],
  ['broken JSON', '{"model":"demo", canary-prompt', 400, /not valid JSON \(line 1, column 18\)/],
  ['JSON that was cut', '{"model":"demo","messages":', 400, /not valid JSON: it ends too early/],
  ['a list', '[]', 400, /JSON object/],
  ['a string', '"canary-prompt"', 400, /JSON object/],
  ['null', 'null', 400, /JSON object/],
  ['__proto__', '{"model":"demo","__proto__":{"a":1},"messages":[]}', 400, /__proto__/],
  ['an escaped __proto__', '{"model":"demo","\\u005f_proto__":{"a":1},"messages":[]}', 400, /__proto__/],
  ['deep nesting', `{"model":"demo","x":${nested(128)}}`, 400, /128/],
  [
    'invalid UTF-8',
    Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
    400,
    /UTF-8/,
  ],
  ['no model', JSON.stringify({ messages: [user] }), 400, /'model' is required/],
  ['an empty model', JSON.stringify({ model: '', messages: [user] }), 400, /'model'/],
  ['a number as model', JSON.stringify({ model: 5, messages: [user] }), 400, /'model'/],
  [
    'the model twice',
    '{"model":"demo","messages":[{"role":"user","content":"x"}],"model":"other"}',
    400,
    /more than once/,
  ],
  [
    'messages of the wrong type',
    JSON.stringify({ model: 'demo', messages: 'canary-prompt' }),
    400,
    /'messages'/,
  ],
  [
    'a message without role',
    JSON.stringify({ model: 'demo', messages: [{ content: 'x' }] }),
    400,
    /messages\[0\]/,
  ],
  [
    'an unknown role',
    JSON.stringify({ model: 'demo', messages: [{ role: 'robot', content: 'x' }] }),
    400,
    /messages\[0\]\.role/,
  ],
  [
    'a number as content',
    JSON.stringify({ model: 'demo', messages: [user, { role: 'user', content: 5 }] }),
    400,
    /messages\[1\]\.content/,
  ],
  ['an unknown model', JSON.stringify({ model: 'nope', messages: [user] }), 404, /nope/],
  [
    'too many bytes',
    JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'x'.repeat(100_000) }] }),
    413,
    /too large/,
  ],
]

describe('an invalid request is rejected in the error format of its dialect', () => {
  for (const [name, body, status, says] of bad) {
    test(`${name}: ${status} as an OpenAI object`, async () => {
      const answer = await post(`${router.url}/v1/chat/completions`, body, json)
      assert.equal(answer.status, status, answer.text)
      const parsed = JSON.parse(answer.text)
      assert.deepEqual(Object.keys(parsed), ['error'])
      assert.deepEqual(Object.keys(parsed.error).sort(), ['code', 'message', 'param', 'type'])
      assert.match(parsed.error.message, says)
      assert.doesNotMatch(answer.text, /canary/)
    })

    test(`${name}: ${status} as an Ollama string`, async () => {
      const answer = await post(`${router.url}/api/chat`, body, json)
      assert.equal(answer.status, status, answer.text)
      const parsed = JSON.parse(answer.text)
      assert.deepEqual(Object.keys(parsed), ['error'])
      assert.match(parsed.error, says)
      assert.doesNotMatch(answer.text, /canary/)
    })
  }
})

test("on the router's own paths an error also has the legacy members", async () => {
  const answer = await post(`${router.url}/api/chat/completions`, { model: 'nope', messages: [user] })
  const parsed = JSON.parse(answer.text)
  assert.equal(answer.status, 404)
  assert.equal(parsed.status, false)
  assert.match(parsed.body, /nope/)
  assert.equal(parsed.error.code, 'model_not_found')
})

test('a body of another media type is rejected with 415, except what curl -d sends to Ollama paths', async () => {
  const body = JSON.stringify({ model: 'demo', messages: [user], stream: false })
  const types = ['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=utf-16']
  for (const type of types) {
    assert.equal(
      (await post(`${router.url}/v1/chat/completions`, body, { 'content-type': type })).status,
      415,
      type,
    )
  }
  const packed = { ...json, 'content-encoding': 'gzip' }
  assert.equal((await post(`${router.url}/v1/chat/completions`, body, packed)).status, 415)
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  assert.equal((await post(`${router.url}/api/chat`, body, form)).status, 200)
})

test('an unknown path that resembles a known one is answered with the known one', async () => {
  const messageOf = async (path: string) => {
    const { status, text } = await post(router.url + path, {})
    assert.equal(status, 404)
    const { error } = JSON.parse(text)
    return error.message ?? error
  }
  const chat = 'Unknown path; did you mean /v1/chat/completions?'
  assert.equal(await messageOf('/v1/chat/completion'), chat)
  assert.equal(await messageOf('/v1/v1/chat/completions'), chat)
  assert.equal(await messageOf('/v1/v1/messages'), 'Unknown path; did you mean /v1/messages?')
  assert.equal(await messageOf('/v1/api/chat'), 'Unknown path; did you mean /api/chat?')
  assert.equal(await messageOf('/nothing/like/it'), 'Unknown path')
  assert.equal(await messageOf(`/v1/${'x'.repeat(10_000)}/v1/messages`), 'Unknown path')
})

test('an unknown path is a 404 and an unsupported method a 405 with Allow, in the dialect that the path suggests', async () => {
  const unknown = await fetch(`${router.url}/v1/nothing`)
  assert.equal(unknown.status, 404)
  assert.equal(JSON.parse(await unknown.text()).error.type, 'invalid_request_error')
  const ollama = await fetch(`${router.url}/api/nothing`)
  assert.equal(ollama.status, 404)
  assert.equal(typeof JSON.parse(await ollama.text()).error, 'string')
  const method = await fetch(`${router.url}/v1/chat/completions`)
  assert.equal(method.status, 405)
  assert.equal(method.headers.get('allow'), 'POST')
  assert.equal(typeof JSON.parse(await method.text()).error, 'object')
  const ollamaMethod = await fetch(`${router.url}/api/chat`)
  assert.equal(ollamaMethod.status, 405)
  assert.equal(typeof JSON.parse(await ollamaMethod.text()).error, 'string')
  const list = await fetch(`${router.url}/v1/models`, { method: 'DELETE' })
  assert.equal(list.status, 405)
})

test('a well-formed request id is kept, any other is replaced, and both headers carry it', async () => {
  const kept = await fetch(`${router.url}/ping`, { headers: { 'x-request-id': 'abc_DEF-123' } })
  assert.equal(kept.headers.get('x-request-id'), 'abc_DEF-123')
  assert.equal(kept.headers.get('request-id'), 'abc_DEF-123')
  const made = await fetch(`${router.url}/v1/nothing`, { headers: { 'x-request-id': 'a b{}' } })
  assert.match(made.headers.get('x-request-id') ?? '', /^[\w-]{16,}$/)
})

test('every request is one line in the log, without its content', async () => {
  const answer = await post(`${router.url}/v1/chat/completions`, { model: 'demo', messages: [user] })
  const line = await router.requestLogged(answer.headers.get('x-request-id') ?? '')
  assert.equal(line.dialect, 'openai')
  assert.equal(line.model, 'demo')
  assert.equal(line.status, 200)
  assert.equal(line.outcome, 'success')
  assert.equal(typeof line.duration_ms, 'number')
  assert.ok(Number(line.prompt_tokens) > 0)
  const ids = router.logs.filter(({ msg }) => msg === 'request').map((entry) => entry.request_id)
  assert.equal(new Set(ids).size, ids.length)
  assert.doesNotMatch(JSON.stringify(router.logs), /canary/)
})

test('debug mode adds only the code of the cause', async (t) => {
  const debugging = await startRouter({
    env: { LLM_ROUTER_IN_DEBUG: 'tak' },
    models: modelsConfig({ dead: [{ api_type: 'vllm', api_host: 'http://127.0.0.1:1' }] }),
  })
  t.after(() => debugging.close())
  const { text, status } = await post(`${debugging.url}/v1/chat/completions`, {
    model: 'dead',
    messages: [user],
  })
  assert.equal(status, 502)
  assert.match(text, /ECONNREFUSED/)
  assert.doesNotMatch(text, /127\.0\.0\.1/)
})
