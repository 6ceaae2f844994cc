import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/settings/settings.ts'
import { banner } from '../../src/runtime/banner.ts'
import { load } from '../helpers/models-file.ts'

const { models } = load({
  group: {
    embedder: { providers: [{ id: 'e', api_type: 'mock', is_embedding: true }] },
    chat: {
      providers: [
        { id: 'gpu', api_type: 'openai', api_host: 'http://10.1.2.3:8000' },
        { id: 'cloud', api_type: 'openai', api_host: 'https://api.openai.com', api_token: 'sk-1' },
      ],
    },
  },
  active_models: { group: ['embedder', 'chat'] },
})

function shown(env: Record<string, string> = {}, served = models, operatorKey?: string): string {
  return banner(loadConfig(env).config, { port: 8080, models: served, foundServers: 0, operatorKey })
}

test('the start message names models and an example request, but no upstream address', () => {
  const text = shown()
  assert.match(text, /chat: gpu \(openai\), cloud \(openai\)/)
  assert.match(text, /curl http:\/\/127\.0\.0\.1:8080\/v1\/chat\/completions .*"model":"chat"/)
  assert.doesNotMatch(text, /10\.1\.2\.3|api\.openai\.com|sk-1/)
  assert.match(shown({}, models.slice(0, 1)), /\/v1\/embeddings .*"model":"embedder"/)
})

test('the start message warns if others in the network could use a cloud key', () => {
  assert.match(shown(), /0\.0\.0\.0:8080[\s\S]*warning .*your API keys for chat/)
  assert.doesNotMatch(shown({ LLM_ROUTER_SERVER_HOST: '127.0.0.1' }), /0\.0\.0\.0|warning/)
})

test('the start message has a link that signs in to the console with a generated key', () => {
  assert.match(
    shown({ LLM_ROUTER_SERVER_HOST: '127.0.0.1' }, models, 'sk-operator-x'),
    /:8080\/ui#key=sk-operator-x\n/,
  )
  assert.match(shown(), /:8080\/ui\n/)
})

test('the start message says how to enable clients and budgets', () => {
  assert.match(shown(), /teams +off; set LLM_ROUTER_DATABASE_URL/)
})
