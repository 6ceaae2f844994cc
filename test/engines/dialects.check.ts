import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type Dialect, dialects, type Question } from './dialects.ts'
import { type Engine, runningEngine, startLlamaServer } from './engine.ts'
import type { Meaning } from './meaning.ts'

/*
 * Every dialect over real engines, compared with the engine's direct responses. LLM_ROUTER_TEST_LLAMACPP, _OLLAMA, _VLLM
 * and _OPENAI are addresses of running servers; without the first, a llama-server is started with a tiny model.
 */
interface Case {
  apiType: string
  start(): Promise<Engine>
  /** Dialects that the engine supports itself: the same request is also sent to it directly. */
  native: readonly Dialect[]
  /** Questions that its Responses API answers differently from its chat completions. */
  oddResponses?: readonly string[]
  /** Set if its model was made for these questions: it reasons and produces endless output on request. */
  isTiny?: boolean
}

const { openai, responses, anthropic, ollama } = dialects
const env = process.env
const at = (url: string) => () => runningEngine(url)
const startLlama = () => startLlamaServer()
const isTiny = !env.LLM_ROUTER_TEST_LLAMACPP
const cases: Case[] = [
  {
    apiType: 'llamacpp',
    start: startLlama,
    native: [openai, responses, anthropic],
    // llama-server b10434 reports a truncated response as `completed` there, and rejects `top_logprobs`.
    oddResponses: ['a text that is cut', 'token probabilities'],
    isTiny,
  },
  // The same server under provider types that the router knows less about.
  { apiType: 'vllm', start: startLlama, native: [openai], isTiny },
  { apiType: 'openai', start: startLlama, native: [openai], isTiny },
]
if (env.LLM_ROUTER_TEST_VLLM)
  cases.push({
    apiType: 'vllm',
    start: at(env.LLM_ROUTER_TEST_VLLM),
    native: [openai, responses, anthropic],
  })
if (env.LLM_ROUTER_TEST_OLLAMA)
  cases.push({ apiType: 'ollama', start: at(env.LLM_ROUTER_TEST_OLLAMA), native: [openai, ollama] })

if (env.LLM_ROUTER_TEST_OPENAI)
  cases.push({ apiType: 'openai', start: at(env.LLM_ROUTER_TEST_OPENAI), native: [openai] })

const person = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
  additionalProperties: false,
}
const questions: Record<string, Question> = {
  'a text': { prompt: 'hello', maxTokens: 48 },
  'a text that is cut': { prompt: 'sing', maxTokens: 7 },
  thinking: { prompt: 'please think', maxTokens: 64, think: true },
  'a tool call': { prompt: 'weather in Paris', maxTokens: 48, tool: true },
  'a JSON schema': { prompt: 'give me json', maxTokens: 48, schema: person },
  'token probabilities': { prompt: 'hello', maxTokens: 5, logprobs: true },
}

for (const { apiType, start, native, oddResponses = [], isTiny } of cases) {
  describe(`a real engine as ${apiType}`, () => {
    let engine: Engine
    let router: TestRouter

    before(async () => {
      engine = await start()
      router = await startRouter({
        models: modelsConfig({
          m: [{ api_type: apiType, api_host: engine.url, model_path: engine.model }],
        }),
      })
    })
    after(async () => {
      await router?.close()
      await engine?.stop()
    })

    async function ask(
      dialect: Dialect,
      question: Question,
      stream: boolean,
      isDirect = false,
    ): Promise<Meaning> {
      const [url, model] = isDirect ? [engine.url, engine.model] : [router.url, 'm']
      const { status, text } = await post(
        url + dialect.path(model, stream),
        dialect.body(question, model, stream),
      )
      assert.equal(status, 200, text)
      return stream ? dialect.streamed(text) : dialect.whole(JSON.parse(text))
    }

    for (const [kind, question] of Object.entries(questions)) {
      for (const dialect of Object.values(dialects)) {
        if (!dialect.body(question, 'm', false)) continue
        for (const stream of [false, true]) {
          const form = stream ? 'streamed' : 'whole'
          test(`${kind} has the same meaning in ${dialect.name} as in the engine's chat completions: ${form}`, async () => {
            const direct = await ask(openai, question, false, true)
            assert.deepEqual(await ask(dialect, question, stream), direct)
          })
          const isOdd = dialect === responses && oddResponses.includes(kind)
          if (native.includes(dialect) && dialect !== openai && !isOdd)
            test(`${kind} has the same meaning in ${dialect.name} as directly from the engine: ${form}`, async () => {
              const direct = await ask(dialect, question, stream, true)
              assert.deepEqual(await ask(dialect, question, stream), direct)
            })
        }
      }
    }

    // A llama-server with one model accepts any name.
    if (!isTiny)
      test('a target whose model the engine does not know is passed over', async () => {
        const provider = (model_path: string) => ({ api_type: apiType, api_host: engine.url, model_path })
        const providers = [provider('unknown'), provider(engine.model)]
        const over = await startRouter({ models: modelsConfig({ m: providers }) })
        try {
          const { status, text } = await post(
            over.url + openai.path('m', false),
            openai.body({ prompt: 'hello', maxTokens: 8 }, 'm', false),
          )
          assert.equal(status, 200, text)
        } finally {
          await over.close()
        }
      })

    for (const dialect of Object.values(dialects)) {
      const question = { prompt: 'hello', maxTokens: 24, laterSystem: 'Be brief.' }
      // Chat completions are not translated: the engine decides about such a turn.
      if (dialect.body(question, 'm', false) && dialect !== openai)
        test(`a system turn in the middle is accepted in ${dialect.name} even if the template rejects it`, async () => {
          if (isTiny) {
            const direct = await post(
              engine.url + openai.path('', false),
              openai.body(question, engine.model, false),
            )
            assert.equal(direct.status, 400)
          }
          assert.notEqual((await ask(dialect, question, false)).text, '')
          assert.notEqual((await ask(dialect, question, true)).text, '')
        })

      for (const stream of isTiny ? [false, true] : [])
        test(`a prompt longer than the context is a client error in ${dialect.name}: ${stream ? 'streamed' : 'whole'}`, async () => {
          const long = { prompt: 'word '.repeat(9000), maxTokens: 24 }
          const { status, text } = await post(
            router.url + dialect.path('m', stream),
            dialect.body(long, 'm', stream),
          )
          assert.equal(status, 400, text)
          assert.match(text, /context|too long/)
        })
    }
  })
}
