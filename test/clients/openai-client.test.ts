import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import OpenAI, { APIError, NotFoundError, RateLimitError } from 'openai'
import type { ChatCompletionMessageParam, ChatCompletionTool } from 'openai/resources/chat/completions'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { ollamaAnswers, openaiAnswers } from './same-answers.ts'

const tools: ChatCompletionTool[] = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'Weather of a city',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
]
const question: ChatCompletionMessageParam[] = [{ role: 'user', content: 'Hello' }]

for (const type of ['openai', 'vllm', 'lmstudio', 'ollama']) {
  const answers = type === 'ollama' ? ollamaAnswers : openaiAnswers
  describe(`the official OpenAI client over an upstream of type ${type}`, () => {
    let upstream: ScriptedUpstream
    let router: TestRouter
    let client: OpenAI

    before(async () => {
      upstream = await startUpstream(answers.text)
      const provider = {
        id: 'box',
        api_type: type,
        api_host: upstream.url,
        model_path: upstreams.upstreamModel,
      }
      router = await startRouter({ models: modelsConfig({ small: [provider] }) })
      client = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'client-key', maxRetries: 0 })
    })
    after(async () => {
      await router.close()
      await upstream.close()
    })

    test("gets a whole completion with the alias as its model and the upstream's token counts", async () => {
      upstream.rescript(answers.text)
      const answer = await client.chat.completions.create({ model: 'small', messages: question })
      assert.equal(answer.object, 'chat.completion')
      assert.match(answer.id, /^chatcmpl-/)
      assert.ok(Number.isInteger(answer.created))
      assert.equal(answer.model, 'small')
      assert.equal(answer.choices.length, 1)
      assert.equal(answer.choices[0]?.message.content, 'Hi there')
      assert.equal(answer.choices[0]?.finish_reason, 'stop')
      assert.equal('tool_calls' in (answer.choices[0]?.message ?? {}), false)
      assert.deepEqual(
        [answer.usage?.prompt_tokens, answer.usage?.completion_tokens, answer.usage?.total_tokens],
        [9, 3, 12],
      )
      assert.ok(answer._request_id)
    })

    test('gets a stream with one role, one finish reason and one id, and no usage unless requested', async () => {
      upstream.rescript(answers.stream)
      const chunks = await Array.fromAsync(
        await client.chat.completions.create({ model: 'small', messages: question, stream: true }),
      )
      assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), 'Hi there')
      assert.equal(chunks[0]?.choices[0]?.delta.role, 'assistant')
      assert.deepEqual(chunks.map((chunk) => chunk.choices[0]?.finish_reason).filter(Boolean), ['stop'])
      assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1)
      assert.deepEqual([...new Set(chunks.map((chunk) => chunk.model))], ['small'])
      assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage))
    })

    test('gets usage in the last chunk if it requests it', async () => {
      upstream.rescript(answers.stream)
      const chunks = await Array.fromAsync(
        await client.chat.completions.create({
          model: 'small',
          messages: question,
          stream: true,
          stream_options: { include_usage: true },
        }),
      )
      assert.equal(chunks.filter((chunk) => chunk.choices.length === 0).length, 1)
      assert.deepEqual(chunks.at(-1)?.choices, [])
      assert.equal(chunks.at(-1)?.usage?.prompt_tokens, 9)
      assert.equal(chunks.at(-1)?.usage?.completion_tokens, 3)
    })

    test('calls a tool, whole and streamed, and the tool result refers to its call', async () => {
      upstream.rescript([answers.toolCall, answers.toolCallStream, answers.text])
      const answer = await client.chat.completions.create({ model: 'small', messages: question, tools })
      const message = answer.choices[0]?.message
      const call = message?.tool_calls?.[0]
      assert.ok(call?.type === 'function')
      assert.equal(answer.choices[0]?.finish_reason, 'tool_calls')
      assert.equal(message?.content, null)
      assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Oslo' })

      const streamed = await client.chat.completions
        .stream({ model: 'small', messages: question, tools })
        .finalChatCompletion()
      const streamedCall = streamed.choices[0]?.message.tool_calls?.[0]
      assert.ok(streamedCall?.type === 'function')
      assert.equal(streamedCall.function.name, 'get_weather')
      assert.deepEqual(JSON.parse(streamedCall.function.arguments), { city: 'Oslo' })
      assert.equal(streamed.choices[0]?.finish_reason, 'tool_calls')

      const first = upstream.requests.length
      await client.chat.completions.create({
        model: 'small',
        tools,
        messages: [
          ...question,
          { role: 'assistant', content: null, tool_calls: [call] },
          { role: 'tool', tool_call_id: call.id, content: '{"temperature":3}' },
        ],
      })
      const sent = upstream.requests[first]?.body as { messages: Record<string, unknown>[] }
      const result = sent.messages[2]
      assert.equal(result?.role, 'tool')
      assert.equal(result?.content, '{"temperature":3}')
      assert.equal(result?.tool_call_id, call.id)
      if (type === 'ollama') assert.equal(result?.tool_name, 'get_weather')
    })

    test('throws when a stream is cut off, and never sees a normal end', async () => {
      upstream.rescript(answers.brokenStream)
      const stream = await client.chat.completions.create({
        model: 'small',
        messages: question,
        stream: true,
      })
      let text = ''
      await assert.rejects(async () => {
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
      }, APIError)
      assert.equal(text, 'Hi')
    })

    test('sends neither its key nor its other headers to the upstream', async () => {
      upstream.rescript(answers.text)
      const index = upstream.requests.length
      await client.chat.completions.create(
        { model: 'small', messages: question },
        { headers: { cookie: 'a=b', 'x-forwarded-for': '1.2.3.4', 'openai-organization': 'org' } },
      )
      const headers = upstream.requests[index]?.headers ?? {}
      assert.equal(headers.host, new URL(upstream.url).host)
      for (const name of [
        'authorization',
        'cookie',
        'x-forwarded-for',
        'openai-organization',
        'x-stainless-lang',
      ]) {
        assert.equal(headers[name], undefined, name)
      }
      assert.doesNotMatch(JSON.stringify(upstream.requests[index]?.headers), /client-key/)
    })

    test('gets typed errors for an unknown model, a rejected request and a rate limit with its delay', async () => {
      await assert.rejects(
        client.chat.completions.create({ model: 'nope', messages: question }),
        (error) =>
          error instanceof NotFoundError &&
          error.code === 'model_not_found' &&
          error.message.includes('nope'),
      )
      const limited =
        type === 'ollama'
          ? { ...upstreams.ollamaError(429, 'slow down'), headers: { 'retry-after': '7' } }
          : upstreams.openaiError(429, { message: 'slow down' }, { 'retry-after': '7' })
      upstream.rescript(limited)
      await assert.rejects(
        client.chat.completions.create({ model: 'small', messages: question, stream: true }),
        (error) =>
          error instanceof RateLimitError &&
          error.message.includes('slow down') &&
          error.headers?.get('retry-after') === '7',
      )
    })
  })
}

test('the demo model answers the OpenAI client, whole and streamed', async (t) => {
  const router = await startRouter({ models: modelsConfig({ demo: [{ api_type: 'mock' }] }) })
  t.after(() => router.close())
  const client = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'none', maxRetries: 0 })
  const answer = await client.chat.completions.create({ model: 'demo', messages: question })
  assert.match(answer.choices[0]?.message.content ?? '', /Hello/)
  assert.equal(answer.model, 'demo')
  assert.match(answer.system_fingerprint ?? '', /mock/)
  const streamed = await client.chat.completions
    .stream({ model: 'demo', messages: question })
    .finalChatCompletion()
  assert.equal(streamed.choices[0]?.message.content, answer.choices[0]?.message.content)
})
