import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import type { ScriptedUpstream } from '../helpers/scripted-upstream.ts'
import { startEcho } from '../processors/echo-upstream.ts'
import { modelsWith } from './cache-setup.ts'

const text = 'It is 42.'
const content = 'What is it?'
const messages = [{ role: 'user' as const, content }]
let echo: ScriptedUpstream
let router: TestRouter

before(async () => {
  echo = await startEcho({ say: () => ({ text }) })
  router = await startRouter({ models: modelsWith([{ type: 'cache' }], echo.url) })
})
after(async () => {
  await router.close()
  await echo.close()
})

/** Sends the request twice: the second response equals the first, without another upstream request. */
async function twice(ask: () => Promise<string>): Promise<void> {
  assert.equal(await ask(), text)
  const asked = echo.requests.length
  assert.equal(await ask(), text)
  assert.equal(echo.requests.length, asked)
}

const options = () => ({ apiKey: 'none', maxRetries: 0 })

test('the OpenAI client reads cached responses, whole and streamed', async () => {
  const client = new OpenAI({ ...options(), baseURL: `${router.url}/v1` })
  const body = { model: 'm', messages }
  await twice(async () => {
    const { choices, usage } = await client.chat.completions.create(body)
    assert.equal(usage?.prompt_tokens, 3)
    return choices[0]?.message.content ?? ''
  })
  await twice(async () => {
    const stream = client.chat.completions.stream({ ...body, stream_options: { include_usage: true } })
    const { usage, choices } = await stream.finalChatCompletion()
    assert.equal(usage?.prompt_tokens_details?.cached_tokens, 3)
    return choices[0]?.message.content ?? ''
  })
  await twice(async () => (await client.responses.create({ model: 'm', input: content })).output_text)
  await twice(async () => {
    const stream = client.responses.stream({ model: 'm', input: content })
    return (await stream.finalResponse()).output_text
  })
})

test('the Anthropic, Google and Ollama clients read cached responses, whole and streamed', async () => {
  const anthropic = new Anthropic({ ...options(), baseURL: router.url })
  const body = { model: 'm', max_tokens: 100, messages }
  const said = (parts: readonly { type: string; text?: string }[]): string =>
    parts.map((part) => part.text ?? '').join('')
  await twice(async () => said((await anthropic.messages.create(body)).content))
  await twice(async () => said((await anthropic.messages.stream(body).finalMessage()).content))
  const google = new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl: router.url } })
  await twice(async () => (await google.models.generateContent({ model: 'm', contents: content })).text ?? '')
  await twice(async () => {
    let all = ''
    const stream = await google.models.generateContentStream({ model: 'm', contents: content })
    for await (const part of stream) all += part.text ?? ''
    return all
  })
  const ollama = new Ollama({ host: router.url })
  await twice(async () => (await ollama.chat({ model: 'm', messages })).message.content)
  await twice(async () => {
    let all = ''
    for await (const part of await ollama.chat({ model: 'm', messages, stream: true }))
      all += part.message.content
    return all
  })
  await twice(async () => (await ollama.generate({ model: 'm', prompt: content })).response ?? '')
  await twice(async () => {
    let all = ''
    for await (const part of await ollama.generate({ model: 'm', prompt: content, stream: true }))
      all += part.response
    return all
  })
})
