import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { post } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiStream,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const options = { num_predict: 50, repeat_penalty: 1.1, typical_p: 0.9, top_k: 4, num_ctx: 4096 }

describe("an operator's defaults in Ollama's options", () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(openaiText('Hi'))
    const server = (type: string) => ({
      providers: [{ api_type: type, api_host: upstream.url, defaults: { options } }],
    })
    const group = { vllm: server('vllm'), llamacpp: server('llamacpp'), openai: server('openai') }
    router = await startRouter({ models: { g: group, active_models: { g: Object.keys(group) } } })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  for (const [model, wanted] of [
    ['vllm', { max_tokens: 50, repetition_penalty: 1.1, top_k: 4 }],
    ['llamacpp', { max_tokens: 50, repeat_penalty: 1.1, typical_p: 0.9, top_k: 4 }],
    ['openai', { max_completion_tokens: 50 }],
  ] as const) {
    it(`reach a server of type ${model} under its own names, as far as it supports them`, async () => {
      for (const [path, body] of [
        ['/v1/chat/completions', {}],
        ['/api/chat', { stream: false }],
      ] as const) {
        // llama.cpp is asked for a stream even if the client wants a whole answer.
        upstream.rescript(model === 'llamacpp' ? openaiStream(['Hi']) : openaiText('Hi'))
        const messages = [{ role: 'user', content: 'Hello' }]
        const { status } = await post(router.url + path, { model, messages, ...body })
        assert.equal(status, 200)
        const {
          model: _model,
          messages: _messages,
          stream: _stream,
          stream_options: _usage,
          ...sent
        } = Object(upstream.requests.at(-1)?.body)
        assert.deepEqual(sent, wanted, path)
      }
    })
  }
})
