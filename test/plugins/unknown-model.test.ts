import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'

const mock = [{ api_type: 'mock' }]
const models = modelsConfig({ 'llama3.1:8b': mock, 'llama3.1:70b': mock, qwen: mock })
const key = 'sk-0123456789abcdefghij'

test('the error for an unknown model has similar names and the number of models', async (t) => {
  const router = await startRouter({ models })
  t.after(() => router.close())
  const ask = async (path: string, model: string): Promise<string> => {
    const body = JSON.stringify({ model, messages, max_tokens: 5 })
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(router.url + path, { method: 'POST', headers, body })
    assert.equal(response.status, 404)
    return response.text()
  }
  const mistyped =
    /'llama3:8b' does not exist; did you mean 'llama3\.1:8b' or 'llama3\.1:70b'\? GET \/v1\/models lists the 3 models you can use/
  for (const path of ['/v1/chat/completions', '/v1/messages', '/v1/responses', '/api/chat', '/v1/embeddings'])
    assert.match(await ask(path, 'llama3:8b'), mistyped, path)
  assert.match(
    await ask('/v1/chat/completions', 'gpt-4o'),
    /'gpt-4o' does not exist\. GET \/v1\/models lists the 3/,
  )
})

test('the error for an unknown model names only models that the key may use', async (t) => {
  const file = keysFile([{ id: 'a', key, models: ['qwen'] }])
  t.after(() => file.remove())
  const router = await startRouter({ env: file.env, models })
  t.after(() => router.close())
  for (const model of ['llama3.1:8b', 'llama3.1:8']) {
    const response = await fetch(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ model, messages }),
    })
    const { error } = (await response.json()) as { error: { message: string } }
    assert.equal(
      error.message,
      `The model '${model}' does not exist. GET /v1/models lists the model you can use`,
    )
  }
})
