import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { anthropicText } from '../clients/anthropic-answers.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const body = { model: 'small', max_tokens: 10, messages }

describe('the paths of Anthropic Messages', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(anthropicText('Hi'))
    router = await startRouter({
      models: modelsConfig({ small: [{ api_type: 'anthropic', api_host: upstream.url, model_path: 'up' }] }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  function errorOf(text: string): Record<string, unknown> {
    const { type, error, request_id: id } = JSON.parse(text)
    assert.equal(type, 'error')
    assert.ok(id)
    return error
  }

  it('are available at the root and under the prefix, with and without beta', async () => {
    for (const path of ['/v1/messages', '/v1/messages?beta=true', '/api/v1/messages']) {
      const { status, text } = await post(`${router.url}${path}`, body)
      assert.equal(status, 200, path)
      assert.equal(JSON.parse(text).model, 'small')
    }
  })

  it('forward the request byte for byte except the name of the model', async () => {
    const bytes =
      '{ "max_tokens":10,"model" : "small", "big":12345678901234567890,"messages":[{"role":"user","content":[{"type":"text","text":"Hi","cache_control":{"type":"ephemeral"}}]}] }'
    await post(`${router.url}/v1/messages`, bytes)
    assert.equal(upstream.requests.at(-1)?.raw.toString(), bytes.replace('"small"', '"up"'))
  })

  it("report invalid requests in Anthropic's error format", async () => {
    const { max_tokens: _limit, ...unlimited } = body
    const refused = await post(`${router.url}/v1/messages`, unlimited)
    assert.equal(refused.status, 400)
    const error = errorOf(refused.text)
    assert.equal(error.type, 'invalid_request_error')
    assert.match(String(error.message), /max_tokens/)
    const broken = await post(`${router.url}/v1/messages`, '{"model":')
    assert.deepEqual([broken.status, errorOf(broken.text).type], [400, 'invalid_request_error'])
  })

  it("report unknown paths and unsupported methods in Anthropic's error format", async () => {
    const unknown = await post(`${router.url}/v1/messages/nothing`, body)
    assert.deepEqual([unknown.status, errorOf(unknown.text).type], [404, 'not_found_error'])
    const response = await fetch(`${router.url}/v1/messages`)
    assert.equal(response.status, 405)
    assert.equal(errorOf(await response.text()).type, 'invalid_request_error')
    const prefixed = await post(`${router.url}/api/v1/messages/nothing`, body)
    assert.equal(errorOf(prefixed.text).type, 'not_found_error')
  })

  it('estimate token counts for known models only, and mark them as estimates', async () => {
    const { max_tokens: _limit, ...prompt } = body
    for (const path of ['/v1/messages/count_tokens', '/api/v1/messages/count_tokens?beta=true']) {
      const counted = await post(`${router.url}${path}`, prompt)
      assert.equal(counted.status, 200)
      assert.equal(counted.headers.get('x-llm-router-estimate'), 'true')
      assert.deepEqual(JSON.parse(counted.text), { input_tokens: Math.ceil('Hello'.length / 3) + 4 })
    }
    const unknown = await post(`${router.url}/v1/messages/count_tokens`, { ...prompt, model: 'nope' })
    assert.deepEqual([unknown.status, errorOf(unknown.text).type], [404, 'not_found_error'])
  })
})

it("report an overloaded router by Anthropic's own status", async (t) => {
  const router = await startRouter({ models: modelsConfig({ small: [] }) })
  t.after(() => router.close())
  const { status, text } = await post(`${router.url}/v1/messages`, body)
  assert.equal(status, 529)
  assert.equal(JSON.parse(text).error.type, 'overloaded_error')
})
