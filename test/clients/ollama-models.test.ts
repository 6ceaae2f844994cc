import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Ollama } from 'ollama'
import { startRouter, type TestRouter } from '../helpers/router.ts'

const group = {
  big: {
    providers: [
      {
        api_type: 'ollama',
        api_host: 'http://192.0.2.1',
        model_path: 'canary:70b',
        input_size: 32768,
        options: { num_ctx: 16384 },
      },
    ],
    capabilities: ['completion', 'tools', 'vision'],
    details: { family: 'Qwen 3', parameter_size: '70B', quantization_level: 'Q4_K_M', format: 'gguf' },
  },
  plain: { providers: [{ api_type: 'vllm', api_host: 'http://192.0.2.1', tool_calling: false }] },
  vectors: { providers: [{ api_type: 'vllm', api_host: 'http://192.0.2.1', is_embedding: true }] },
  demo: { providers: [{ api_type: 'mock' }] },
}

for (const prefix of ['/api', '/llm', '']) {
  describe(`model information for Ollama's clients, with the prefix '${prefix}'`, () => {
    let router: TestRouter
    let client: Ollama

    before(async () => {
      const models = { g: group, active_models: { g: ['big', 'plain', 'vectors', 'demo'] } }
      router = await startRouter({ env: { LLM_ROUTER_EP_PREFIX: prefix }, models })
      client = new Ollama({ host: router.url })
    })
    after(() => router.close())

    test("show returns capabilities, details and the context length under the architecture's name", async () => {
      const shown = await client.show({ model: 'BIG:latest' })
      assert.deepEqual(shown.capabilities, ['completion', 'tools', 'vision'])
      const info = new Map(Object.entries(shown.model_info))
      assert.equal(info.get('general.architecture'), 'qwen3')
      assert.equal(info.get('qwen3.context_length'), 16384)
      assert.deepEqual(shown.details, {
        parent_model: '',
        format: 'gguf',
        family: 'Qwen 3',
        families: ['Qwen 3'],
        parameter_size: '70B',
        quantization_level: 'Q4_K_M',
        context_length: 16384,
      })
      assert.equal(shown.parameters, 'num_ctx 16384')
      assert.doesNotMatch(JSON.stringify(shown), /192\.0\.2|canary/)
    })

    test('capabilities that are not configured are derived where possible', async () => {
      assert.deepEqual((await client.show({ model: 'plain' })).capabilities, ['completion'])
      assert.deepEqual((await client.show({ model: 'vectors' })).capabilities, ['embedding'])
    })

    test('an unknown model is a 404 with a plain text error', async () => {
      await assert.rejects(client.show({ model: 'none' }), { status_code: 404, message: /none/ })
      await assert.rejects(client.show({ model: '' }), { status_code: 400, message: /model/ })
    })

    test('list, ps and version return what the client reads', async () => {
      const { models } = await client.list()
      assert.deepEqual(
        models.map(({ name }) => name),
        ['big', 'plain', 'vectors', 'demo'],
      )
      // No server responds, so none of its models is loaded.
      const [running, ...others] = (await client.ps()).models
      assert.deepEqual([running?.name, others], ['demo', []])
      assert.match(running?.digest ?? '', /^[0-9a-f]{64}$/)
      assert.ok(new Date(running?.expires_at ?? 0).getTime() > Date.now())
      assert.match((await client.version()).version, /^\d+\.\d+\.\d+$/)
    })

    test('requests that would change a server are rejected with an error that names the alternative', async () => {
      const refused = { status_code: 403, message: /: send '\w+' to the model server itself$/ }
      await assert.rejects(client.pull({ model: 'x' }), refused)
      await assert.rejects(client.push({ model: 'x' }), refused)
      await assert.rejects(client.create({ model: 'x', from: 'y' }), refused)
      await assert.rejects(client.copy({ source: 'x', destination: 'y' }), refused)
      await assert.rejects(client.delete({ model: 'x' }), refused)
      const blob = `${router.url}/api/blobs/sha256:${'0'.repeat(64)}`
      assert.equal((await fetch(blob, { method: 'HEAD' })).status, 403)
      const upload = await fetch(blob, { method: 'POST', body: new Uint8Array(100_000) })
      assert.deepEqual([upload.status, Object.keys(Object(await upload.json()))], [403, ['error']])
    })

    test('HEAD works wherever GET does', async () => {
      for (const path of ['/api/tags', '/api/ps', '/api/version']) {
        assert.equal((await fetch(router.url + path, { method: 'HEAD' })).status, 200, path)
      }
    })

    test("a single model on LM Studio's path has the same fields as in the list", async () => {
      const list = await fetch(`${router.url}${prefix}/v0/models`)
      const one = await fetch(`${router.url}${prefix}/v0/models/vectors`)
      const { data }: { data: unknown[] } = Object(await list.json())
      assert.deepEqual(await one.json(), data[2])
      assert.equal((await fetch(`${router.url}${prefix}/v0/models/none`)).status, 404)
    })
  })
}
