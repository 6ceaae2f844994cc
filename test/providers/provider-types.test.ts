import assert from 'node:assert/strict'
import { it } from 'node:test'
import { llamacpp } from '../../src/providers/llamacpp.ts'
import { lmstudio } from '../../src/providers/lmstudio.ts'
import { mock } from '../../src/providers/mock/index.ts'
import { ollama } from '../../src/providers/ollama.ts'
import { openai } from '../../src/providers/openai.ts'
import { sglang } from '../../src/providers/sglang.ts'
import { vllm } from '../../src/providers/vllm.ts'

it('Ollama is called through its own API, the others through chat completions', () => {
  assert.equal(ollama.dialect, 'ollama')
  assert.equal(ollama.path('chat'), '/api/chat')
  for (const type of [openai, vllm, llamacpp, lmstudio, sglang, mock]) {
    assert.equal(type.dialect, 'openai')
    assert.equal(type.path('chat'), '/v1/chat/completions')
  }
})

it('a key is sent as a bearer token, and without a key there is no header', () => {
  for (const type of [openai, vllm, llamacpp, lmstudio, ollama, sglang]) {
    assert.deepEqual(type.authHeaders('secret'), { authorization: 'Bearer secret' })
    assert.deepEqual(type.authHeaders(undefined), {})
    assert.deepEqual(type.authHeaders(''), {})
  }
})

it('only the mock needs no host, and only the mock generates responses itself', () => {
  for (const type of [openai, vllm, llamacpp, lmstudio, ollama, sglang]) {
    assert.equal(type.needsHost, true)
    assert.equal(type.createTransport, undefined)
  }
  assert.equal(mock.needsHost, false)
  assert.ok(mock.createTransport)
})

it('OpenAI receives no sampling field that it would reject', () => {
  assert.equal(openai.flavour.samplingExtensions, undefined)
  assert.equal(openai.flavour.repetitionPenalty, undefined)
  assert.equal(openai.flavour.maxTokensField, 'max_completion_tokens')
})

it('LM Studio receives neither json_object nor a named tool', () => {
  assert.equal(lmstudio.flavour.jsonObject, false)
  assert.equal(lmstudio.flavour.namedToolChoice, false)
})

it('each provider type has the operations that its servers have', () => {
  assert.equal(ollama.path('completion'), '/api/generate')
  assert.equal(ollama.path('embedding'), '/api/embed')
  assert.equal(ollama.path('rerank'), undefined)
  for (const type of [openai, vllm, llamacpp, lmstudio, sglang]) {
    assert.equal(type.path('completion'), '/v1/completions')
    assert.equal(type.path('embedding'), '/v1/embeddings')
    assert.equal(type.path('responses'), '/v1/responses')
  }
  assert.equal(vllm.path('tokenize'), '/tokenize')
  assert.equal(llamacpp.path('tokenize'), '/tokenize')
  assert.equal(llamacpp.path('infill'), '/infill')
  assert.equal(lmstudio.path('tokenize'), undefined)
  assert.equal(sglang.path('classify'), '/v1/classify')
  assert.equal(openai.path('speech'), '/v1/audio/speech')
  assert.equal(lmstudio.path('image'), undefined)
  assert.equal(openai.maxBatch, 2048)
})
