import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { ollamaText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const long = 'word '.repeat(8_000) // 40,000 bytes: about 10,000 tokens

describe('the context of an Ollama server', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(ollamaText('Hi'))
    const server = (more: object) => ({ api_type: 'ollama', api_host: upstream.url, ...more })
    const group = {
      auto: { num_ctx: 'auto', providers: [server({ input_size: 32_768 })] },
      free: { num_ctx: 'auto', providers: [server({})] },
      set: { num_ctx: 'auto', providers: [server({ num_ctx: 12_288 })] },
      small: { providers: [server({ id: 'small', input_size: 4096 })] },
      grows: {
        providers: [server({ id: 'first', input_size: 4096 }), server({ id: 'larger', input_size: 32_768 })],
      },
    }
    router = await startRouter({ models: { g: group, active_models: { g: Object.keys(group) } } })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  const ask = (path: string, model: string, content: string, more: object = {}) =>
    post(router.url + path, { model, messages: [{ role: 'user', content }], stream: false, ...more })
  const context = (): unknown => {
    const { options }: { options?: { num_ctx?: number } } = Object(upstream.requests.at(-1)?.body)
    return options?.num_ctx
  }

  for (const path of ['/v1/chat/completions', '/api/chat']) {
    test(`is chosen by the prompt, in steps, for clients of ${path}`, async () => {
      assert.equal((await ask(path, 'auto', 'Hello')).status, 200)
      assert.equal(context(), 4096)
      assert.equal((await ask(path, 'auto', long)).status, 200)
      assert.equal(context(), 16_384)
    })

    test(`does not grow with an absurd limit of the response, for clients of ${path}`, async () => {
      for (const most of [1e9, 1e308]) {
        const limit = path === '/api/chat' ? { options: { num_predict: most } } : { max_tokens: most }
        assert.equal((await ask(path, 'free', 'Hello', limit)).status, 200)
        assert.equal(context(), 65_536)
      }
    })

    test(`is the value in the request, for clients of ${path}`, async () => {
      await ask(path, 'auto', 'Hello', { options: { num_ctx: 2048 } })
      assert.equal(context(), 2048)
    })

    test(`is the provider's value, which overrides the model's, for clients of ${path}`, async () => {
      await ask(path, 'set', long)
      assert.equal(context(), 12_288)
    })

    test(`that is too small for a prompt yields an error with both numbers, for clients of ${path}`, async () => {
      const before = upstream.requests.length
      const answer = await ask(path, 'small', long)
      assert.equal(answer.status, 400)
      assert.match(answer.text, /about 10004 tokens.*4096/)
      assert.equal(upstream.requests.length, before)
    })

    test(`of another target may fit what the first cannot, for clients of ${path}`, async () => {
      for (let time = 0; time < 3; time++) assert.equal((await ask(path, 'grows', long)).status, 200)
    })
  }

  test('that is exceeded yields the error code that OpenAI clients recognise', async () => {
    const { error } = JSON.parse((await ask('/v1/chat/completions', 'small', long)).text)
    assert.equal(error.code, 'context_length_exceeded')
  })
})
