import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import LegacyAnthropic from 'anthropic-sdk-legacy'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type Behaviour, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { anthropicError } from './anthropic-answers.ts'
import { type Answers, anthropicAnswers, ollamaAnswers, openaiAnswers } from './same-answers.ts'

const question = { role: 'user' as const, content: 'Hello' }
const input_schema = { type: 'object' as const, properties: { city: { type: 'string' } }, required: ['city'] }
const tools = [{ name: 'get_weather', description: 'Weather of a city', input_schema }]
const ask = { model: 'small', max_tokens: 100, messages: [question] }

const headers = { 'retry-after': '7' }
/** The responses of each type of server; `limited` rejects a request. */
const answersOf: Record<string, Answers & { limited: Behaviour }> = {
  openai: { ...openaiAnswers, limited: upstreams.openaiError(429, { message: 'slow down' }, headers) },
  vllm: { ...openaiAnswers, limited: upstreams.openaiError(429, { message: 'slow down' }, headers) },
  lmstudio: { ...openaiAnswers, limited: upstreams.openaiError(429, { message: 'slow down' }, headers) },
  ollama: {
    ...ollamaAnswers,
    limited: { kind: 'reply', status: 429, headers, body: { error: 'slow down' } },
  },
  anthropic: { ...anthropicAnswers, limited: anthropicError(429, 'rate_limit_error', 'slow down', headers) },
}

/** The legacy client has the same methods; its types differ only in members that are not used here. */
function clientOf(generation: string, baseURL: string): Anthropic {
  const options = { baseURL, apiKey: 'client-key', maxRetries: 0 }
  return generation === '1.x'
    ? new Anthropic(options)
    : (new LegacyAnthropic(options) as unknown as Anthropic)
}

for (const generation of ['1.x', '0.x']) {
  for (const [type, answers] of Object.entries(answersOf)) {
    describe(`the official Anthropic client ${generation} over an upstream of type ${type}`, () => {
      let upstream: ScriptedUpstream
      let router: TestRouter
      let client: Anthropic

      before(async () => {
        upstream = await startUpstream(answers.text)
        const provider = {
          id: 'box',
          api_type: type,
          api_host: upstream.url,
          api_token: 'upstream-key',
          model_path: upstreams.upstreamModel,
        }
        router = await startRouter({
          models: modelsConfig({ small: [provider], resting: [{ ...provider, id: 'resting' }] }),
        })
        client = clientOf(generation, router.url)
      })
      after(async () => {
        await router.close()
        await upstream.close()
      })

      test("gets a whole message with the alias as its model and the upstream's token counts", async () => {
        upstream.rescript(answers.text)
        const message = await client.messages.create(ask)
        assert.equal(message.type, 'message')
        assert.match(message.id, /^msg_/)
        assert.equal(message.model, 'small')
        assert.equal(message.stop_reason, 'end_turn')
        assert.deepEqual(
          message.content.map((block) => block.type === 'text' && block.text),
          ['Hi there'],
        )
        assert.deepEqual([message.usage.input_tokens, message.usage.output_tokens], [9, 3])
        assert.ok(message._request_id)
      })

      test('gets a stream whose final message equals the whole message', async () => {
        upstream.rescript(answers.stream)
        const pieces: string[] = []
        const stream = client.messages.stream(ask).on('text', (text) => pieces.push(text))
        const message = await stream.finalMessage()
        assert.deepEqual(pieces, ['Hi', ' there'])
        assert.equal(message.model, 'small')
        assert.equal(message.stop_reason, 'end_turn')
        assert.equal(message.usage.output_tokens, 3)
      })

      test('calls a tool, whole and streamed, and the tool result refers to its call', async () => {
        upstream.rescript([answers.toolCall, answers.toolCallStream, answers.text])
        const whole = await client.messages.create({ ...ask, tools })
        const streamed = await client.messages.stream({ ...ask, tools }).finalMessage()
        for (const message of [whole, streamed]) {
          assert.equal(message.stop_reason, 'tool_use')
          assert.equal(message.content.length, 1)
          const [call] = message.content
          assert.ok(call?.type === 'tool_use')
          assert.equal(call.name, 'get_weather')
          assert.deepEqual(call.input, { city: 'Oslo' })
        }
        const [call] = streamed.content
        assert.ok(call?.type === 'tool_use')
        const first = upstream.requests.length
        await client.messages.create({
          ...ask,
          tools,
          messages: [
            question,
            { role: 'assistant', content: streamed.content },
            {
              role: 'user',
              content: [
                { type: 'tool_result', tool_use_id: call.id, content: '3 degrees' },
                { type: 'text', text: 'And?' },
              ],
            },
          ],
        })
        const body = JSON.stringify(upstream.requests[first]?.body)
        assert.match(body, /3 degrees/)
        assert.equal(body.split(call.id).length, 3, 'the call and its result have the same id')
      })

      test('throws when a stream is cut off, both as a raw stream and with the stream helper', async () => {
        upstream.rescript(answers.brokenStream)
        await assert.rejects(client.messages.stream(ask).finalMessage())
        const raw = await client.messages.create({ ...ask, stream: true })
        const seen: string[] = []
        await assert.rejects(
          async () => {
            for await (const event of raw) seen.push(event.type)
          },
          (error) => error instanceof Error && Reflect.get(error, 'type') === 'api_error',
        )
        assert.ok(seen.includes('content_block_delta'))
        assert.ok(!seen.includes('message_stop'))
      })

      test('gets typed errors for an unknown model, a missing max_tokens and a rate limit with its delay', async () => {
        const failure = async (call: Promise<unknown>): Promise<unknown[]> => {
          const error: unknown = await call.then(
            () => assert.fail('the request must fail'),
            (thrown: unknown) => thrown,
          )
          const { status, type, requestID } = Object(error)
          assert.ok(requestID)
          return [status, type]
        }
        assert.deepEqual(await failure(client.messages.create({ ...ask, model: 'nope' })), [
          404,
          'not_found_error',
        ])
        const unlimited = { ...ask, max_tokens: null } as unknown as typeof ask
        assert.deepEqual(await failure(client.messages.create(unlimited)), [400, 'invalid_request_error'])
        upstream.rescript(answers.limited)
        const limited = client.messages.create({ ...ask, model: 'resting', stream: true })
        assert.deepEqual(await failure(limited), [429, 'rate_limit_error'])
      })

      test('sends a key that never reaches the upstream', async () => {
        upstream.rescript(answers.text)
        const index = upstream.requests.length
        await client.messages.create(ask)
        const headers = upstream.requests[index]?.headers ?? {}
        assert.doesNotMatch(JSON.stringify(headers), /client-key|stainless/)
        if (type === 'anthropic') {
          assert.equal(headers['x-api-key'], 'upstream-key')
          assert.ok(headers['anthropic-version'])
          assert.equal(upstream.requests[index]?.url, '/v1/messages')
        }
      })

      test('counts the tokens of a prompt', async () => {
        const { input_tokens } = await client.messages.countTokens({ model: 'small', messages: [question] })
        assert.ok(input_tokens > 0)
      })
    })
  }
}

test('tool calls whose deltas interleave reach the client as separate content blocks', async (t) => {
  const fragment = (value: object) => upstreams.openaiChunk({ tool_calls: [value] })
  const upstream = await startUpstream({
    kind: 'stream',
    pieces: [
      upstreams.openaiChunk({ role: 'assistant', content: '\n\n' }),
      fragment({ index: 0, id: 'a', type: 'function', function: { name: 'get_weather', arguments: '' } }),
      fragment({
        index: 1,
        id: 'b',
        type: 'function',
        function: { name: 'get_weather', arguments: '{"city":' },
      }),
      fragment({ index: 0, function: { arguments: '{"city":"Oslo"}' } }),
      fragment({ index: 1, function: { arguments: '"Rome"}' } }),
      upstreams.openaiChunk({}, 'tool_calls'),
      upstreams.openaiDone,
    ],
  })
  const provider = { api_type: 'vllm', api_host: upstream.url }
  const router = await startRouter({ models: modelsConfig({ small: [provider] }) })
  t.after(async () => {
    await router.close()
    await upstream.close()
  })
  const message = await clientOf('1.x', router.url)
    .messages.stream({ ...ask, tools })
    .finalMessage()
  assert.deepEqual(
    message.content.map((block) => block.type === 'tool_use' && [block.id, block.input]),
    [
      ['a', { city: 'Oslo' }],
      ['b', { city: 'Rome' }],
    ],
  )
  assert.equal(message.stop_reason, 'tool_use')
})
