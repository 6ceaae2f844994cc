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

test('the start message names what is served and a request that a chat model answers, but no upstream address', () => {
  const text = shown()
  assert.match(text, /chat: gpu \(openai\), cloud \(openai\)/)
  assert.match(text, /curl http:\/\/127\.0\.0\.1:8080\/v1\/chat\/completions .*"model":"chat"/)
  assert.doesNotMatch(text, /10\.1\.2\.3|api\.openai\.com|sk-1/)
  assert.match(shown({}, models.slice(0, 1)), /\/v1\/embeddings .*"model":"embedder"/)
})

test('it says that all addresses are listened on, and warns when strangers could use a cloud key', () => {
  assert.match(shown(), /0\.0\.0\.0:8080[\s\S]*warning .*your API keys for chat/)
  assert.doesNotMatch(shown({ LLM_ROUTER_SERVER_HOST: '127.0.0.1' }), /0\.0\.0\.0|warning/)
})

test('with a key that was generated for the start, its link signs in to the console', () => {
  assert.match(
    shown({ LLM_ROUTER_SERVER_HOST: '127.0.0.1' }, models, 'sk-operator-x'),
    /:8080\/ui#key=sk-operator-x\n/,
  )
  assert.match(shown(), /:8080\/ui\n/)
})

test('it says how clients and budgets are turned on', () => {
  assert.match(shown(), /teams +off; set LLM_ROUTER_DATABASE_URL/)
})
