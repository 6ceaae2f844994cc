import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import type { ScriptedUpstream } from '../helpers/scripted-upstream.ts'
import { startEcho, upstreamKinds } from './echo-upstream.ts'

const address = 'jan.kowalski@firma.pl'
const wide = 'jan.kowalski\uff20firma.pl'

let echo: ScriptedUpstream
let router: TestRouter

before(async () => {
  echo = await startEcho({ say: () => ({ text: 'ok' }) })
  const model = (api_type: string) => ({ providers: [{ api_type, api_host: echo.url, model_path: 'up' }] })
  router = await startRouter({
    models: {
      processors: [{ type: 'masking' }],
      g: Object.fromEntries(upstreamKinds.map((kind) => [kind, model(kind)])),
      active_models: { g: [...upstreamKinds] },
    },
  })
})
after(async () => {
  await router.close()
  await echo.close()
})

/** Fails if the name has reached a server. */
async function send(path: string, body: unknown, headers: Record<string, string> = {}): Promise<number> {
  const asked = echo.requests.length
  const { status, text } = await post(router.url + path, body, {
    'content-type': 'application/json',
    ...headers,
  })
  const about = typeof body === 'string' ? body : JSON.stringify(body)
  for (const { raw, headers: sent } of echo.requests.slice(asked)) {
    const all = raw.toString() + JSON.stringify(sent)
    assert.doesNotMatch(all, /kowalski/, about.slice(0, 300))
  }
  if (status !== 200) assert.deepEqual([status, /masking/.test(text)], [403, true], text)
  return status
}

const chat = (content: unknown, more: object = {}) => ({
  model: 'openai',
  messages: [{ role: 'user', content }],
  ...more,
})

test('addresses are masked in URL, HTML and JSON encodings', async () => {
  for (const text of [
    'https://x.pl/?mail=jan.kowalski%40firma.pl',
    'jan.kowalski&#64;firma.pl',
    'jan.kowalski&#x40;firma.pl',
    'jan.kowalski&commat;firma.pl',
    '{"mail":"jan.kowalski\\u0040firma.pl"}',
    'Write to jan.kowalski@firma.pl\u2014now',
    'jan.kowalski@firma.pl-',
    'jan.kowalski\u0338@firma.pl',
    'jan.kowalski@firma\u3002pl',
    '"jan kowalski"@firma.pl',
    `jan.kowalski@${'a.'.repeat(12)}firma.pl`,
    wide,
  ])
    assert.equal(await send('/v1/chat/completions', chat(text)), 200, text)
})

test('an address where masking is impossible is rejected in any encoding, even in opaque bytes', async () => {
  for (const more of [
    { [wide]: 1 },
    { logit_bias: { [wide]: 1 } },
    { logit_bias: { [address]: 1 } },
    { tool_choice: { type: 'function', function: { name: wide } } },
  ])
    assert.equal(await send('/v1/chat/completions', chat('Hi', more)), 403)
  for (const message of [
    { tool_calls: [{ id: wide, type: 'function', function: { name: 'f', arguments: '{}' } }] },
    { extra_content: { google: { thought_signature: address } } },
    { provider_specific_fields: { [address]: true } },
    { thinking_blocks: [{ type: 'thinking', thinking: 'x', signature: address }] },
    { reasoning_details: [{ type: 'reasoning.encrypted', data: address }] },
    { refusal: { [address]: 1 } },
  ]) {
    const messages = [{ role: 'assistant', content: 'x', ...message }]
    assert.equal(await send('/v1/chat/completions', { model: 'openai', messages }), 403)
  }
  const gemini = '/v1beta/models/gemini:generateContent'
  const contents = [{ role: 'user', parts: [{ text: 'x' }] }]
  assert.equal(await send(gemini, { contents, model: address }), 403)
  const signed = [...contents, { role: 'model', parts: [{ text: 'x', thoughtSignature: address }] }]
  assert.equal(await send(gemini, { contents: signed }), 403)
  const block = { type: 'thinking', thinking: 'x', signature: address }
  const messages = [
    { role: 'user', content: 'x' },
    { role: 'assistant', content: [block] },
  ]
  assert.equal(await send('/v1/messages', { model: 'anthropic', max_tokens: 9, messages }), 403)
})

test('opaque bytes such as signatures are forwarded unchanged', async () => {
  const signature = Buffer.alloc(3_000, 'a signature, PL61109010140000071219812874').toString('base64')
  const messages = [
    { role: 'user', content: 'x' },
    { role: 'assistant', content: [{ type: 'thinking', thinking: 'x', signature }] },
    { role: 'user', content: 'y' },
  ]
  assert.equal(await send('/v1/messages', { model: 'anthropic', max_tokens: 9, messages }), 200)
  assert.ok(echo.requests.at(-1)?.raw.includes(signature))
})

test('headers that are forwarded upstream are checked', async () => {
  const body = { model: 'anthropic', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] }
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  assert.equal(await send('/v1/messages', body, { 'anthropic-beta': address }), 403)
  assert.equal(await send('/v1/messages', body, { traceparent, tracestate: `x=${address}` }), 403)
  assert.equal(await send('/v1/messages', body, { traceparent, tracestate: 'x=1' }), 200)
  assert.equal(await send('/v1/messages', body, { 'x-request-id': address, 'user-agent': address }), 200)
})

test('JSON nested too deeply to be decoded is rejected', async () => {
  const nested = `${'{"a":'.repeat(1_000)}"jan.kowalski\\u0040firma.pl"${'}'.repeat(1_000)}`
  const messages = [{ role: 'tool', tool_call_id: 'c1', content: nested }]
  assert.equal(await send('/v1/chat/completions', { model: 'openai', messages }), 403)
})

test('text crafted to be slow to scan is handled in time', { timeout: 60_000 }, async () => {
  const size = 100_000
  for (const piece of ['EMAIL_k7m3q9x2', '-----BEGIN PRIVATE KEY-----', '\ufdfa', 'a\u0301', '@', '"@'])
    await send('/v1/chat/completions', chat(`${piece.repeat(size / piece.length)} ${address}`))
  const parts = Array.from({ length: 10_000 }, (_, index) => ({
    type: 'text',
    text: index % 2 === 0 ? 'jan.kowalski' : '@firma.pl ',
  }))
  await send('/v1/chat/completions', chat(parts))
})
