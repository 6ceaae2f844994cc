import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiText,
  type ScriptedUpstream,
  startUpstream,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('Hi'))
  const provider = { api_type: 'vllm', api_host: upstream.url, model_path: upstreamModel }
  router = await startRouter({ models: modelsConfig({ m: [provider] }) })
})
after(async () => {
  await router.close()
  await upstream.close()
})

const contents = [{ role: 'user', parts: [{ text: 'hi' }] }]
const anthropic = { model: 'm', max_tokens: 9 }
const ollama = { model: 'm', stream: false }
const gemini = '/v1beta/models/m:generateContent'

/** Where a client can send members that the router does not know: a path, and the body with these members or names. */
const requests: Record<string, [path: string, body: (unknown: Record<string, number>) => object]> = {
  'an Anthropic body': ['/v1/messages', (unknown) => ({ ...anthropic, messages, ...unknown })],
  'a message of Anthropic': [
    '/v1/messages',
    (unknown) => ({ ...anthropic, messages: [{ ...messages[0], ...unknown }] }),
  ],
  'options of Ollama': ['/api/chat', (options) => ({ ...ollama, messages, options })],
  'an Ollama body': ['/api/chat', (unknown) => ({ ...ollama, messages, ...unknown })],
  'include of Responses': [
    '/v1/responses',
    (unknown) => ({ model: 'm', input: 'hi', include: Object.keys(unknown) }),
  ],
  'an item of Responses': [
    '/v1/responses',
    (unknown) => ({ model: 'm', input: [{ ...messages[0], ...unknown }] }),
  ],
  'generationConfig of Gemini': [gemini, (generationConfig) => ({ contents, generationConfig })],
}

for (const [where, [path, bodyWith]] of Object.entries(requests)) {
  test(`unknown members are named up to 1,000 and rejected beyond: ${where}`, async () => {
    const ask = (count: number) => {
      const unknown = Object.fromEntries(Array.from({ length: count }, (_, index) => [`x${index}`, 1]))
      return post(router.url + path, bodyWith(unknown))
    }
    const many = await ask(1_000)
    assert.equal(many.status, 200)
    assert.match(many.headers.get('x-llm-router-lost') ?? '', /\bx0\b/)
    const before = upstream.requests.length
    const tooMany = await ask(1_001)
    assert.equal(tooMany.status, 400)
    assert.match(tooMany.text, /more than 1000 fields that cannot be translated/)
    assert.equal(upstream.requests.length, before)
  })
}
