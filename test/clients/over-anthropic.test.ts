import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import {
  anthropicBrokenStream,
  anthropicStream,
  anthropicText,
  anthropicToolCall,
  anthropicToolCallStream,
} from '../helpers/anthropic-answers.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream, upstreamModel } from '../helpers/scripted-upstream.ts'

const tools = [
  {
    type: 'function' as const,
    function: {
      name: 'files.read',
      description: 'Reads a file',
      parameters: { type: 'object', properties: { path: { type: 'string' } } },
    },
  },
]

describe('an Anthropic upstream', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter
  let openai: OpenAI
  let ollama: Ollama

  before(async () => {
    upstream = await startUpstream(anthropicText('Hi there'))
    const provider = {
      api_type: 'anthropic',
      api_host: upstream.url,
      api_token: 'upstream-key',
      model_path: upstreamModel,
    }
    router = await startRouter({
      models: modelsConfig({ small: [provider], limited: [{ ...provider, defaults: { max_tokens: 777 } }] }),
    })
    openai = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'client-key', maxRetries: 0 })
    ollama = new Ollama({ host: router.url })
  })
  beforeEach(() => upstream.rescript(anthropicText('Hi there')))
  after(async () => {
    await router.close()
    await upstream.close()
  })

  function lastBody(): Record<string, unknown> {
    return Object(upstream.requests.at(-1)?.body)
  }

  test('serves an OpenAI client, whole and streamed, with cached tokens included in the prompt tokens', async () => {
    const answer = await openai.chat.completions.create({ model: 'small', messages })
    assert.equal(answer.choices[0]?.message.content, 'Hi there')
    assert.equal(answer.model, 'small')
    assert.deepEqual([answer.usage?.prompt_tokens, answer.usage?.completion_tokens], [9, 3])
    upstream.rescript(anthropicStream(['Hi', ' there']))
    const streamed = await openai.chat.completions
      .stream({ model: 'small', messages, stream_options: { include_usage: true } })
      .finalChatCompletion()
    assert.equal(streamed.choices[0]?.message.content, 'Hi there')
    assert.equal(streamed.choices[0]?.finish_reason, 'stop')
    assert.equal(streamed.usage?.total_tokens, 12)
  })

  test('serves an Ollama client, whole and streamed', async () => {
    const answer = await ollama.chat({ model: 'small', messages })
    assert.equal(answer.message.content, 'Hi there')
    assert.deepEqual([answer.prompt_eval_count, answer.eval_count], [9, 3])
    upstream.rescript(anthropicStream(['Hi', ' there']))
    const parts = await Array.fromAsync(await ollama.chat({ model: 'small', messages, stream: true }))
    assert.equal(parts.map((part) => part.message.content).join(''), 'Hi there')
    assert.equal(parts.at(-1)?.done, true)
  })

  test('receives its own key, its version and a token limit: the client’s, else the operator’s, else 4096', async () => {
    await openai.chat.completions.create({ model: 'small', messages })
    const { headers, url } = upstream.requests.at(-1) ?? assert.fail()
    assert.equal(url, '/v1/messages')
    assert.equal(headers['x-api-key'], 'upstream-key')
    assert.equal(headers['anthropic-version'], '2023-06-01')
    assert.equal(headers.authorization, undefined)
    assert.equal(lastBody().max_tokens, 4_096)
    await openai.chat.completions.create({ model: 'limited', messages })
    assert.equal(lastBody().max_tokens, 777)
    await openai.chat.completions.create({ model: 'limited', messages, max_tokens: 5 })
    assert.equal(lastBody().max_tokens, 5)
  })

  test('receives a valid name for a tool, and the client gets the original name', async () => {
    upstream.rescript([
      anthropicToolCall('files-x2e-read', { path: 'a' }),
      anthropicToolCallStream('files-x2e-read', ['{"path":', '"a"}']),
    ])
    const whole = await openai.chat.completions.create({ model: 'small', messages, tools })
    assert.match(JSON.stringify(lastBody().tools), /"files-x2e-read"/)
    const streamed = await openai.chat.completions
      .stream({ model: 'small', messages, tools })
      .finalChatCompletion()
    for (const { choices } of [whole, streamed]) {
      const call = choices[0]?.message.tool_calls?.[0]
      assert.ok(call?.type === 'function')
      assert.equal(call.function.name, 'files.read')
      assert.deepEqual(JSON.parse(call.function.arguments), { path: 'a' })
      assert.equal(choices[0]?.finish_reason, 'tool_calls')
    }
  })

  test('a stream that is cut off is an error for the clients of every dialect', async () => {
    upstream.rescript(anthropicBrokenStream(['Hi']))
    const chunks = await openai.chat.completions.create({ model: 'small', messages, stream: true })
    await assert.rejects(Array.fromAsync(chunks))
    const parts = await ollama.chat({ model: 'small', messages, stream: true })
    await assert.rejects(Array.fromAsync(parts))
  })
})
