import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import {
  type EmbeddingModel,
  embedMany,
  generateText,
  jsonSchema,
  type LanguageModel,
  Output,
  stepCountIs,
  streamText,
  tool,
} from 'ai'
import { createOllama } from 'ai-sdk-ollama'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream, upstreamModel } from '../helpers/scripted-upstream.ts'
import { inTurn, upstreamKinds } from './upstream-kinds.ts'

// Otherwise the library writes its warnings to the console.
Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false })

const prompt = 'Hello'
const maxRetries = 0

/** The providers through which the AI SDK calls the router. */
const clients: Record<string, (url: string) => LanguageModel> = {
  'openai-compatible': (url) =>
    createOpenAICompatible({
      name: 'router',
      baseURL: `${url}/v1`,
      apiKey: 'key',
      includeUsage: true,
      supportsStructuredOutputs: true,
    })('small'),
  'openai chat': (url) => createOpenAI({ baseURL: `${url}/v1`, apiKey: 'key' }).chat('small'),
  'openai responses': (url) => createOpenAI({ baseURL: `${url}/v1`, apiKey: 'key' }).responses('small'),
  anthropic: (url) => createAnthropic({ baseURL: `${url}/v1`, apiKey: 'key' })('small'),
  ollama: (url) => createOllama({ baseURL: url })('small', { think: true }),
}

const tools = {
  get_weather: tool({
    description: 'Weather of a city',
    inputSchema: jsonSchema<{ city: string }>({
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
    }),
    execute: async ({ city }) => `${city}: 3 degrees`,
  }),
}
const calls = ['Oslo', 'Rome'].map((city) => ({ name: 'get_weather', input: { city } }))

for (const [name, clientOf] of Object.entries(clients)) {
  for (const kind of upstreamKinds) {
    describe(`the AI SDK with its provider ${name} over an upstream of type ${kind.type}`, () => {
      let upstream: ScriptedUpstream
      let router: TestRouter
      let model: LanguageModel

      before(async () => {
        upstream = await startUpstream({ kind: 'hang' })
        const provider = { api_type: kind.type, api_host: upstream.url, model_path: upstreamModel }
        router = await startRouter({ models: modelsConfig({ small: [provider] }) })
        model = clientOf(router.url)
      })
      after(async () => {
        await router.close()
        await upstream.close()
      })

      function streamed(options: Partial<Parameters<typeof streamText>[0]> = {}) {
        const errors: unknown[] = []
        const onError = ({ error }: { error: unknown }) => void errors.push(error)
        return { errors, result: streamText({ model, prompt, maxRetries, onError, ...options } as never) }
      }

      test('gets a text with its finish reason and token counts, whole and streamed', async () => {
        upstream.rescript(kind.say({ text: 'Hi there' }))
        const whole = await generateText({ model, prompt, maxRetries })
        assert.equal(whole.text, 'Hi there')
        assert.equal(whole.finishReason, 'stop')
        assert.deepEqual([whole.usage.inputTokens, whole.usage.outputTokens], [9, 3])
        const { result, errors } = streamed()
        assert.equal(await result.text, 'Hi there')
        assert.equal(await result.finishReason, 'stop')
        const usage = await result.usage
        assert.deepEqual([usage.inputTokens, usage.outputTokens], [9, 3])
        assert.deepEqual(errors, [])
      })

      test('gets the reasoning once and before the text', async () => {
        upstream.rescript(kind.say({ reasoning: 'Let me think', text: 'Hi there' }))
        // OpenAI's chat format has no reasoning, so its provider reads none; it must not appear in the text.
        const expected = [name === 'openai chat' ? undefined : 'Let me think', 'Hi there']
        const whole = await generateText({ model, prompt, maxRetries })
        assert.deepEqual([whole.reasoningText, whole.text], expected)
        const { result, errors } = streamed()
        assert.deepEqual([await result.reasoningText, await result.text], expected)
        assert.deepEqual(errors, [])
      })

      test('calls two tools in parallel and continues with their results, whole and streamed', async () => {
        for (const stream of [false, true]) {
          upstream.rescript(inTurn(kind, { calls }, { text: 'Both are cold' }))
          const first = upstream.requests.length
          const options = { tools, stopWhen: stepCountIs(3) }
          const { result, errors } = stream ? streamed(options) : { result: undefined, errors: [] }
          const done = result ?? (await generateText({ model, prompt, maxRetries, ...options }))
          assert.equal(await done.text, 'Both are cold')
          const steps = await done.steps
          assert.deepEqual(
            steps[0]?.toolCalls.map(({ toolName, input }) => [toolName, input]),
            calls.map(({ name, input }) => [name, input]),
          )
          assert.equal(steps[0]?.finishReason, 'tool-calls')
          assert.deepEqual(
            steps[0]?.toolResults.map(({ output }) => output),
            ['Oslo: 3 degrees', 'Rome: 3 degrees'],
          )
          assert.equal(upstream.requests.length - first, 2)
          const sent = JSON.stringify(upstream.requests.at(-1)?.body)
          assert.ok(sent.indexOf('Oslo: 3') < sent.indexOf('Rome: 3') && sent.includes('Oslo: 3'))
          assert.deepEqual(errors, [])
        }
      })

      test('gets an object that matches the requested schema, and the upstream gets the schema', async () => {
        // For models that it does not know, this provider requests a call of a tool that it defines itself.
        const said =
          name === 'anthropic'
            ? { calls: [{ name: 'json', input: { city: 'Oslo' } }] }
            : { text: '{"city":"Oslo"}' }
        upstream.rescript(kind.say(said))
        const schema = jsonSchema<{ city: string }>({
          type: 'object',
          properties: { city: { type: 'string' } },
          required: ['city'],
          additionalProperties: false,
        })
        const output = Output.object({ schema })
        const { output: whole } = await generateText({ model, prompt, maxRetries, output })
        assert.deepEqual(whole, { city: 'Oslo' })
        assert.match(JSON.stringify(upstream.requests.at(-1)?.body), /"city":\{"type":"string"\}/)
        const { result } = streamed({ output } as never)
        assert.deepEqual(await result.output, { city: 'Oslo' })
      })

      test('gets an error part and no normal finish when a stream fails', async () => {
        for (const fault of ['cut', 'error'] as const) {
          upstream.rescript(kind.breakAfter('Hi', fault))
          const { result, errors } = streamed()
          let text = ''
          let finish: string | undefined
          const reading = async () => {
            for await (const part of result.fullStream) {
              if (part.type === 'text-delta') text += part.text
              if (part.type === 'finish') finish = part.finishReason
            }
          }
          // This provider breaks its stream and drops what is still in it; the others add an error part.
          if (name === 'ollama')
            await assert.rejects(reading(), /upstream reported an error|before it was complete/)
          else await reading()
          if (name !== 'ollama') assert.equal(text, 'Hi', fault)
          assert.equal(errors.length, name === 'ollama' ? 0 : 1)
          assert.notEqual(finish, 'stop')
        }
      })

      const skip = name === 'ollama' && 'this provider passes no signal on'
      test('releases the upstream when it aborts', { skip }, async () => {
        upstream.rescript(kind.hangAfter('Hi'))
        const index = upstream.requests.length
        const leaving = new AbortController()
        const { result } = streamed({ abortSignal: leaving.signal })
        for await (const part of result.fullStream) if (part.type === 'text-delta') leaving.abort()
        await upstream.requestClosed(index)
      })
    })
  }
}

describe('the AI SDK’s embeddings', () => {
  const values = ['a', 'b', 'c', 'd', 'e']
  const vectorOf = (index: number) => (index % 2 === 0 ? [1, 0] : [0, 1])
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(({ url, body }) => {
      const inputs: string[] = [Object(body).input].flat()
      const vectors = inputs.map((text) => vectorOf(values.indexOf(text)))
      const data = vectors.map((embedding, index) => ({ object: 'embedding', index, embedding }))
      const usage = { prompt_tokens: inputs.length, total_tokens: inputs.length }
      return {
        kind: 'reply',
        body: url.startsWith('/api/embed')
          ? { model: upstreamModel, embeddings: vectors, prompt_eval_count: inputs.length }
          : { object: 'list', model: upstreamModel, data, usage },
      }
    })
    const provider = { api_host: upstream.url, model_path: upstreamModel, max_batch: 2 }
    router = await startRouter({
      models: modelsConfig({
        vllm: [{ ...provider, api_type: 'vllm' }],
        ollama: [{ ...provider, api_type: 'ollama' }],
      }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  for (const type of ['vllm', 'ollama']) {
    test(`the AI SDK’s embeddings are in order from an upstream of type ${type} that accepts two at a time`, async () => {
      const models: EmbeddingModel[] = [
        createOpenAICompatible({ name: 'router', baseURL: `${router.url}/v1` }).embeddingModel(type),
        createOllama({ baseURL: router.url }).embedding(type),
      ]
      for (const model of models) {
        const { embeddings } = await embedMany({ model, values, maxRetries })
        assert.deepEqual(
          embeddings,
          values.map((_, index) => vectorOf(index)),
        )
      }
    })
  }
})
