import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  ollamaText,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'
/** With escapes, multi-byte characters and what looks like the end of a string. */
const text = 'Zażółć "gęślą" \\ jaźń \n🙂 '.repeat(12_000)

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('Hi'))
  const one = { api_host: upstream.url, model_path: upstreamModel }
  const vllm = { ...one, api_type: 'vllm' }
  router = await startRouter({
    models: modelsConfig({
      same: [{ ...vllm, id: 'same' }],
      filled: [{ ...vllm, id: 'filled', defaults: { chat_template_kwargs: { b: 1 } } }],
      fallible: [
        { ...vllm, id: 'down', api_host: 'http://127.0.0.1:1' },
        { ...vllm, id: 'up' },
      ],
      other: [{ ...one, id: 'other', api_type: 'ollama', input_size: 10_000_000 }],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

/** What the upstream received of a body, and what the client received. */
async function sent(body: string) {
  const index = upstream.requests.length
  const { status, text: answer } = await post(router.url + path, body)
  return { status, answer, raw: upstream.requests[index]?.raw.toString() ?? '' }
}

test('a long string reaches a server of the same dialect byte for byte', async () => {
  upstream.rescript(openaiText('Hi'))
  for (const model of ['same', 'fallible']) {
    const body = (name: string): string =>
      `{ "messages": [{"role":"user", "content":${JSON.stringify(text)}}],\n "model": "${name}", "seed": 12345678901234567890 }`
    const { status, raw } = await sent(body(model))
    assert.equal(status, 200)
    assert.ok(raw === body(upstreamModel), `${raw.length} bytes, not ${body(upstreamModel).length}`)
  }
})

test('a long string reaches a server of another dialect whole', async () => {
  upstream.rescript(ollamaText('Hi'))
  const { status, raw } = await sent(
    JSON.stringify({ model: 'other', messages: [{ role: 'user', content: text }] }),
  )
  assert.equal(status, 200)
  assert.ok(JSON.parse(raw).messages[0].content === text)
})

test("a long string stays whole when a target's defaults are merged into its parent", async () => {
  upstream.rescript(openaiText('Hi'))
  const kwargs = { a: text }
  const messages = [{ role: 'user', content: text }]
  const { raw } = await sent(JSON.stringify({ model: 'filled', messages, chat_template_kwargs: kwargs }))
  assert.deepEqual(JSON.parse(raw), {
    model: upstreamModel,
    messages,
    chat_template_kwargs: { ...kwargs, b: 1 },
  })
})

test('a body with long strings is validated like any other', async () => {
  const long = JSON.stringify(text)
  for (const [body, message] of [
    [`{"model":"same","messages":[{"role":"user","content":${long}]}`, /not valid JSON/],
    [`{"model":"same","messages":[{"role":"user","content":${long},"__proto__":{}}]}`, /__proto__/],
    [`{"model":"same","user":${long}}`, /messages/],
    [`{"model":"same","stream":${long},"messages":[{"role":"user","content":${long}}]}`, /stream/],
    [`{"model":${long},"messages":[{"role":"user","content":${long}}]}`, /does not exist|not found/],
  ] as const) {
    const { status, answer } = await sent(body)
    assert.ok(status === 400 || status === 404, answer)
    assert.match(JSON.parse(answer).error.message, message)
  }
})

test('a long string that turns out to be invalid JSON is rejected when it has to be read', async () => {
  upstream.rescript(ollamaText('Hi'))
  const broken = JSON.stringify(text).replaceAll('\\n', '\n')
  const { status, answer } = await sent(
    `{"model":"other","messages":[{"role":"user","content":${broken}},{"role":"user","content":"x"}]}`,
  )
  assert.equal(status, 400)
  assert.match(JSON.parse(answer).error.message, /not valid JSON/)
})
