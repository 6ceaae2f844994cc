import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ChatAnthropic } from '@langchain/anthropic'
import type { BaseChatModel } from '@langchain/core/language_models/chat_models'
import { type AIMessage, type AIMessageChunk, HumanMessage, ToolMessage } from '@langchain/core/messages'
import { ChatOllama, OllamaEmbeddings } from '@langchain/ollama'
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream, upstreamModel } from '../helpers/scripted-upstream.ts'
import { upstreamKinds } from './upstream-kinds.ts'

const maxRetries = 0
const apiKey = 'key'
const model = 'small'

/** LangChain's chat models, each of which uses another dialect. */
const clients: Record<string, (url: string) => BaseChatModel> = {
  ChatOpenAI: (url) => new ChatOpenAI({ model, apiKey, maxRetries, configuration: { baseURL: `${url}/v1` } }),
  ChatOllama: (url) => new ChatOllama({ model, maxRetries, baseUrl: url }),
  ChatAnthropic: (url) => new ChatAnthropic({ model, apiKey, maxRetries, anthropicApiUrl: url }),
}

const parameters = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
}
const weather = {
  type: 'function',
  function: { name: 'get_weather', description: 'Weather of a city', parameters },
}
const calls = ['Oslo', 'Rome'].map((city) => ({ name: 'get_weather', input: { city } }))

for (const [name, clientOf] of Object.entries(clients)) {
  for (const kind of upstreamKinds) {
    describe(`LangChain's ${name} over an upstream of type ${kind.type}`, () => {
      let upstream: ScriptedUpstream
      let router: TestRouter
      let client: BaseChatModel

      before(async () => {
        upstream = await startUpstream({ kind: 'hang' })
        const provider = { api_type: kind.type, api_host: upstream.url, model_path: upstreamModel }
        router = await startRouter({ models: modelsConfig({ small: [provider] }) })
        client = clientOf(router.url)
      })
      after(async () => {
        await router.close()
        await upstream.close()
      })

      /** Streams a response and joins its chunks, as LangChain's own chains do. */
      async function streamed(chat: { stream(input: string): Promise<AsyncIterable<AIMessageChunk>> }) {
        let whole: AIMessageChunk | undefined
        for await (const chunk of await chat.stream('Hello')) whole = whole ? whole.concat(chunk) : chunk
        return whole ?? assert.fail('no chunk came')
      }

      function withTools() {
        return client.bindTools?.([weather]) ?? assert.fail('no tools')
      }

      test('gets a text with its token counts, each once, whole and streamed', async () => {
        upstream.rescript(kind.say({ text: 'Hi there' }))
        const whole = await client.invoke('Hello')
        const pieces = await streamed(client)
        assert.deepEqual([Object(whole).text, pieces.text], ['Hi there', 'Hi there'])
        const [counts, streamedCounts] = [Object(whole).usage_metadata, Object(pieces).usage_metadata]
        assert.deepEqual([counts.input_tokens, counts.output_tokens, counts.total_tokens], [9, 3, 12])
        assert.equal(streamedCounts.output_tokens, 3)
        // This class reads the prompt's count at the start of a stream, before other engines have reported it.
        if (name === 'ChatAnthropic' && kind.type !== 'anthropic') assert.ok(streamedCounts.input_tokens > 0)
        else assert.equal(streamedCounts.input_tokens, 9)
      })

      test('calls two tools in parallel, whole and streamed, and matches the results to the calls', async () => {
        upstream.rescript(kind.say({ calls }))
        const whole: AIMessage = await withTools().invoke('Hello')
        for (const message of [whole, await streamed(withTools() as never)]) {
          assert.deepEqual(
            message.tool_calls?.map(({ name: called, args }) => ({ name: called, input: args })),
            calls,
          )
          assert.equal(new Set(message.tool_calls?.map(({ id }) => id)).size, 2)
        }
        upstream.rescript(kind.say({ text: 'Both are cold' }))
        const results = (whole.tool_calls ?? []).map(
          ({ id = '', args }) => new ToolMessage({ tool_call_id: id, content: `${args.city}: 3 degrees` }),
        )
        const last = await withTools().invoke([new HumanMessage('Hello'), whole, ...results])
        assert.equal(Object(last).text, 'Both are cold')
        const sent = JSON.stringify(upstream.requests.at(-1)?.body)
        assert.ok(sent.includes('Oslo: 3') && sent.indexOf('Oslo: 3') < sent.indexOf('Rome: 3'), sent)
      })

      test('gets an object that matches the requested schema', async () => {
        const said =
          name !== 'ChatAnthropic'
            ? { text: '{"city":"Oslo"}' }
            : { calls: [{ name: 'extract', input: { city: 'Oslo' } }] }
        upstream.rescript(kind.say(said))
        const chat = client.withStructuredOutput(parameters, { name: 'extract' })
        assert.deepEqual(await chat.invoke('Hello'), { city: 'Oslo' })
        assert.match(JSON.stringify(upstream.requests.at(-1)?.body), /"city":\{"type":"string"\}/)
      })

      test('throws when a stream fails', async () => {
        for (const fault of ['cut', 'error'] as const) {
          upstream.rescript(kind.breakAfter('Hi', fault))
          await assert.rejects(streamed(client), /upstream reported an error|before it was complete/, fault)
        }
      })
    })
  }
}

for (const kind of upstreamKinds) {
  test(`LangChain's ChatAnthropic gets thinking and sends it back, over an upstream of type ${kind.type}`, async (t) => {
    const upstream = await startUpstream({ kind: 'hang' })
    t.after(() => upstream.close())
    const provider = { api_type: kind.type, api_host: upstream.url, model_path: upstreamModel }
    const router = await startRouter({ models: modelsConfig({ small: [provider] }) })
    t.after(() => router.close())
    const thinking = { type: 'enabled' as const, budget_tokens: 1024 }
    const options = { model, apiKey, maxRetries, anthropicApiUrl: router.url, thinking, maxTokens: 2048 }
    const chat = new ChatAnthropic(options).bindTools([weather])

    upstream.rescript(kind.say({ reasoning: 'Let me think', calls: calls.slice(0, 1) }))
    const whole = await chat.invoke('Hello')
    let pieces: AIMessageChunk | undefined
    for await (const chunk of await chat.stream('Hello')) pieces = pieces ? pieces.concat(chunk) : chunk
    for (const message of [whole, pieces ?? assert.fail('no chunk came')]) {
      const blocks = [message.content].flat().map((block) => Object(block))
      const thinkingBlocks = blocks.filter(({ type }) => type === 'thinking')
      assert.deepEqual(
        thinkingBlocks.map((block) => block.thinking),
        ['Let me think'],
      )
      assert.equal(message.tool_calls?.[0]?.name, 'get_weather')

      upstream.rescript(kind.say({ text: 'It is cold' }))
      const result = new ToolMessage({ tool_call_id: message.tool_calls[0].id ?? '', content: '3 degrees' })
      const last = await chat.invoke([new HumanMessage('Hello'), message, result])
      assert.equal(last.text, 'It is cold')
      const sent = JSON.stringify(upstream.requests.at(-1)?.body)
      assert.ok(sent.includes('3 degrees') && sent.includes('Let me think'), sent)
      // Anthropic rejects thinking whose signature is not its own.
      if (kind.type === 'anthropic') assert.match(sent, /"signature":"sig"/)
    }
  })
}

describe("LangChain's embeddings", () => {
  let upstream: ScriptedUpstream
  let router: TestRouter
  const vectors = [
    [1, 0],
    [0, 1],
  ]

  before(async () => {
    upstream = await startUpstream(({ url }) => ({
      kind: 'reply',
      body: url.startsWith('/api/embed')
        ? { model: upstreamModel, embeddings: vectors, prompt_eval_count: 2 }
        : {
            object: 'list',
            model: upstreamModel,
            data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding })),
            usage: { prompt_tokens: 2, total_tokens: 2 },
          },
    }))
    const provider = { api_host: upstream.url, model_path: upstreamModel }
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

  for (const name of ['vllm', 'ollama']) {
    test(`LangChain's embeddings are the vectors of an upstream of type ${name}, in order`, async () => {
      const openai = new OpenAIEmbeddings({
        model: name,
        apiKey,
        maxRetries,
        configuration: { baseURL: `${router.url}/v1` },
      })
      assert.deepEqual(await openai.embedDocuments(['a', 'b']), vectors)
      const ollama = new OllamaEmbeddings({ model: name, maxRetries, baseUrl: router.url })
      assert.deepEqual(await ollama.embedDocuments(['a', 'b']), vectors)
    })
  }
})
