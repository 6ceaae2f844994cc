import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { messages } from '../helpers/messages.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

/** A server that streams one sentence, and the next one after the first has been sent. */
let upstream: ScriptedUpstream
let router: TestRouter
let more = Promise.withResolvers<string>()

const chunk = (delta: unknown, finish_reason: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta, finish_reason }] })}\n\n`
const bad = [chunk({ content: ' Now this is bad.' }), chunk({}, 'stop'), 'data: [DONE]\n\n'].join('')

before(async () => {
  upstream = await startUpstream(({ body }) =>
    Object(body).stream
      ? { kind: 'stream', pieces: [chunk({ role: 'assistant', content: 'All good.\n' }), more.promise] }
      : {
          kind: 'reply',
          body: {
            id: 'c',
            object: 'chat.completion',
            created: 1,
            model: 'up',
            usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 },
            choices: [
              { index: 0, message: { role: 'assistant', content: 'This is bad.' }, finish_reason: 'stop' },
            ],
          },
        },
  )
  router = await startRouter({
    models: {
      processors: [{ type: 'guardrail', on: 'response', words: ['bad'] }],
      g: { m: { providers: [{ api_type: 'vllm', api_host: upstream.url, model_path: 'up' }] } },
      active_models: { g: ['m'] },
    },
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

/** Releases the second sentence once the client has received the first. */
function releaseNext(text: string): string {
  if (text === 'All good.\n') more.resolve(bad)
  assert.doesNotMatch(text, /\bbad\b/)
  return text
}

test('the OpenAI client gets the finish reason content_filter, whole and streamed', async () => {
  const client = new OpenAI({ apiKey: 'k', baseURL: `${router.url}/v1`, maxRetries: 0 })
  const whole = await client.chat.completions.create({ model: 'm', messages: [...messages] })
  assert.deepEqual(
    whole.choices.map(({ finish_reason, message }) => [finish_reason, message.content]),
    [['content_filter', '']],
  )
  assert.equal(whole.usage?.total_tokens, 8)
  more = Promise.withResolvers()
  let text = ''
  let reason: string | null = null
  for await (const { choices } of await client.chat.completions.create({
    model: 'm',
    messages: [...messages],
    stream: true,
  })) {
    text = releaseNext(text + (choices[0]?.delta.content ?? ''))
    reason = choices[0]?.finish_reason ?? reason
  }
  assert.deepEqual([text, reason], ['All good.\n', 'content_filter'])
})

test('the OpenAI client gets an incomplete response, whole and streamed', async () => {
  const client = new OpenAI({ apiKey: 'k', baseURL: `${router.url}/v1`, maxRetries: 0 })
  const whole = await client.responses.create({ model: 'm', input: 'hi' })
  assert.deepEqual(
    [whole.status, whole.incomplete_details, whole.output_text],
    ['incomplete', { reason: 'content_filter' }, ''],
  )
  more = Promise.withResolvers()
  const stream = client.responses.stream({ model: 'm', input: 'hi' })
  let text = ''
  stream.on('response.output_text.delta', ({ delta }) => {
    text = releaseNext(text + delta)
  })
  let last: unknown
  for await (const event of stream) if (event.type === 'response.incomplete') last = event.response
  const { status, output } = Object(last)
  assert.deepEqual(
    [text, status, output[0].status, output[0].content[0].text],
    ['All good.\n', 'incomplete', 'incomplete', 'All good.\n'],
  )
})

test('the Anthropic client gets a refusal, whole and streamed', async () => {
  const client = new Anthropic({ apiKey: 'k', baseURL: router.url, maxRetries: 0 })
  const request = { model: 'm', max_tokens: 50, messages: [...messages] }
  const whole = await client.messages.create(request)
  assert.deepEqual([whole.stop_reason, whole.content], ['refusal', []])
  more = Promise.withResolvers()
  const stream = client.messages.stream(request)
  let text = ''
  stream.on('text', (delta) => {
    text = releaseNext(text + delta)
  })
  const final = await stream.finalMessage()
  assert.deepEqual([final.stop_reason, text], ['refusal', 'All good.\n'])
})

test('the Gemini client gets the finish reason SAFETY, whole and streamed', async () => {
  const client = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl: router.url } })
  const whole = await client.models.generateContent({ model: 'm', contents: 'hi' })
  assert.deepEqual([whole.candidates?.[0]?.finishReason, whole.text], ['SAFETY', undefined])
  more = Promise.withResolvers()
  let text = ''
  let reason: string | undefined
  for await (const { candidates, text: piece } of await client.models.generateContentStream({
    model: 'm',
    contents: 'hi',
  })) {
    text = releaseNext(text + (piece ?? ''))
    reason = candidates?.[0]?.finishReason ?? reason
  }
  assert.deepEqual([text, reason], ['All good.\n', 'SAFETY'])
})

test('the Ollama client throws the error in the stream', async () => {
  const client = new Ollama({ host: router.url })
  more = Promise.withResolvers()
  let text = ''
  await assert.rejects(async () => {
    for await (const { message } of await client.chat({ model: 'm', messages: [...messages], stream: true }))
      text = releaseNext(text + message.content)
  }, /blocked by 'guardrail'/)
  assert.equal(text, 'All good.\n')
})
