import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Ollama, type Tool } from 'ollama'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const tools: Tool[] = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'Weather of a city',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string', description: 'its name' } },
        required: ['city'],
      },
    },
  },
]

for (const type of ['openai', 'vllm', 'lmstudio', 'ollama']) {
  const isOllama = type === 'ollama'
  describe(`the official Ollama client over an upstream of type ${type}`, () => {
    let upstream: ScriptedUpstream
    let router: TestRouter
    let client: Ollama

    before(async () => {
      upstream = await startUpstream(upstreams.openaiText('unused'))
      const provider = {
        id: 'box',
        api_type: type,
        api_host: upstream.url,
        model_path: upstreams.upstreamModel,
      }
      router = await startRouter({ models: modelsConfig({ small: [provider] }) })
      client = new Ollama({ host: router.url })
    })
    after(async () => {
      await router.close()
      await upstream.close()
    })

    test('gets a whole response with counts and durations', async () => {
      upstream.rescript(isOllama ? upstreams.ollamaText('Hi there') : upstreams.openaiText('Hi there'))
      const answer = await client.chat({ model: 'small', messages })
      assert.equal(answer.message.content, 'Hi there')
      assert.equal(answer.message.role, 'assistant')
      assert.equal(answer.model, 'small')
      assert.equal(answer.done, true)
      assert.equal(answer.done_reason, 'stop')
      assert.equal(answer.prompt_eval_count, 9)
      assert.equal(answer.eval_count, 3)
      assert.ok(answer.eval_duration > 0)
      assert.ok(!Number.isNaN(Date.parse(String(answer.created_at))))
    })

    test('gets a stream that ends once, with the real counts in its last line', async () => {
      upstream.rescript(
        isOllama ? upstreams.ollamaStream(['Hi', ' there']) : upstreams.openaiStream(['Hi', ' there']),
      )
      const parts = await Array.fromAsync(await client.chat({ model: 'small', messages, stream: true }))
      assert.equal(parts.map((part) => part.message.content).join(''), 'Hi there')
      assert.deepEqual(
        parts.map((part) => part.done),
        [...Array(parts.length - 1).fill(false), true],
      )
      assert.deepEqual([...new Set(parts.map((part) => part.model))], ['small'])
      const last = parts.at(-1)
      assert.equal(last?.prompt_eval_count, 9)
      assert.equal(last?.eval_count, 3)
      assert.ok((last?.total_duration ?? 0) > 0)
    })

    test('calls a tool with an arguments object, whole and streamed, and the result refers to the call', async () => {
      upstream.rescript(
        isOllama
          ? [
              upstreams.ollamaToolCall('get_weather', { city: 'Oslo' }),
              upstreams.ollamaToolCallStream('get_weather', { city: 'Oslo' }),
              upstreams.ollamaText('3 degrees'),
            ]
          : [
              upstreams.openaiToolCall('get_weather', { city: 'Oslo' }),
              upstreams.openaiToolCallStream('get_weather', ['{"city":', '"Oslo"}']),
              upstreams.openaiText('3 degrees'),
            ],
      )
      const whole = await client.chat({ model: 'small', messages, tools })
      const [call] = whole.message.tool_calls ?? []
      assert.deepEqual([call?.function.name, call?.function.arguments], ['get_weather', { city: 'Oslo' }])
      const parts = await Array.fromAsync(
        await client.chat({ model: 'small', messages, tools, stream: true }),
      )
      const streamed = parts.flatMap((part) => part.message.tool_calls ?? [])
      assert.deepEqual(
        streamed.map(({ function: f }) => [f.name, f.arguments]),
        [['get_weather', { city: 'Oslo' }]],
      )

      const index = upstream.requests.length
      await client.chat({
        model: 'small',
        tools,
        messages: [
          ...messages,
          whole.message,
          { role: 'tool', tool_name: 'get_weather', content: '{"temperature":3}' },
        ],
      })
      const sent = upstream.requests[index]?.body as { messages: Record<string, unknown>[] }
      assert.equal(sent.messages[2]?.role, 'tool')
      assert.equal(sent.messages[2]?.content, '{"temperature":3}')
      if (!isOllama) {
        const calls = sent.messages[1]?.tool_calls as { id: string; function: { arguments: string } }[]
        assert.equal(sent.messages[2]?.tool_call_id, calls[0]?.id)
        assert.deepEqual(JSON.parse(calls[0]?.function.arguments ?? ''), { city: 'Oslo' })
      }
    })

    test('throws when a stream is cut off', async () => {
      upstream.rescript(
        isOllama
          ? upstreams.ollamaPieces([upstreams.ollamaLine({ content: 'Hi' })])
          : { kind: 'stream', pieces: [upstreams.openaiChunk({ role: 'assistant', content: 'Hi' })] },
      )
      let text = ''
      await assert.rejects(async () => {
        for await (const part of await client.chat({ model: 'small', messages, stream: true })) {
          text += part.message.content
          assert.equal(part.done, false)
        }
      }, /Upstream closed the stream before it was complete/)
      assert.equal(text, 'Hi')
    })

    test('gets errors as plain text with their status', async () => {
      await assert.rejects(client.chat({ model: 'nope', messages }), { status_code: 404, message: /nope/ })
      upstream.rescript(
        isOllama
          ? upstreams.ollamaError(400, 'bad option')
          : upstreams.openaiError(400, { message: 'bad option' }),
      )
      await assert.rejects(client.chat({ model: 'small', messages }), {
        status_code: 400,
        error: 'bad option',
      })
    })

    test('loads and unloads a model on the servers that support it', async () => {
      const before = upstream.requests.length
      upstream.rescript(upstreams.ollamaText(''))
      const loaded = await client.chat({ model: 'small', messages: [] })
      assert.deepEqual([loaded.done, loaded.done_reason, loaded.message.content], [true, 'load', ''])
      const unloaded = await client.chat({ model: 'small', messages: [], keep_alive: 0 })
      assert.equal(unloaded.done_reason, 'unload')
      assert.equal(upstream.requests.length - before, ['ollama', 'lmstudio'].includes(type) ? 2 : 0)
    })

    test("lists the models in Ollama's form", async () => {
      const { models } = await client.list()
      assert.deepEqual(
        models.map(({ name }) => name),
        ['small'],
      )
      assert.match(models[0]?.digest ?? '', /^[0-9a-f]{64}$/)
    })
  })
}

test('the demo model also streams to the Ollama client', async (t) => {
  const router = await startRouter({ models: modelsConfig({ demo: [{ api_type: 'mock' }] }) })
  t.after(() => router.close())
  const client = new Ollama({ host: router.url })
  const parts = await Array.fromAsync(await client.chat({ model: 'demo:latest', messages, stream: true }))
  assert.match(parts.map((part) => part.message.content).join(''), /Hello/)
  assert.equal(parts.at(-1)?.done, true)
  assert.ok(parts.length > 3, 'token by token')
})
