import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type Dialect, dialects, type Question } from './dialects.ts'
import { type Engine, runningEngine, startLlamaServer } from './engine.ts'
import type { Meaning } from './meaning.ts'

/*
 * Every dialect over real engines, compared with what the engine answers directly. LLM_ROUTER_TEST_LLAMACPP, _OLLAMA and _VLLM are
 * addresses of running servers; without the first, a llama-server is started on a tiny model.
 */
interface Case {
  apiType: string
  start(): Promise<Engine>
  /** What the engine speaks itself: the same request is sent to it too. */
  native: readonly Dialect[]
  /** Questions to which its Responses API answers otherwise than its chat completions. */
  oddResponses?: readonly string[]
  /** Where its model was made for these questions: it thinks, it sings without an end. */
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
    // llama-server b10434 calls a cut answer `completed` there, and refuses `top_logprobs`.
    oddResponses: ['a text that is cut', 'token probabilities'],
    isTiny,
  },
  // As servers that the router knows less well.
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
          test(`${kind} means in ${dialect.name} what the engine says in chat completions: ${form}`, async () => {
            const direct = await ask(openai, question, false, true)
            assert.deepEqual(await ask(dialect, question, stream), direct)
          })
          const isOdd = dialect === responses && oddResponses.includes(kind)
          if (native.includes(dialect) && dialect !== openai && !isOdd)
            test(`${kind} means in ${dialect.name} what the engine says in it: ${form}`, async () => {
              const direct = await ask(dialect, question, stream, true)
              assert.deepEqual(await ask(dialect, question, stream), direct)
            })
        }
      }
    }

    for (const dialect of Object.values(dialects)) {
      const question = { prompt: 'hello', maxTokens: 24, laterSystem: 'Be brief.' }
      // Chat completions are not translated: the engine says what it thinks of such a turn.
      if (dialect.body(question, 'm', false) && dialect !== openai)
        test(`a system turn in the middle is answered in ${dialect.name}, where the template refuses it`, async () => {
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
        test(`a prompt over the context is an error of the client in ${dialect.name}: ${stream ? 'streamed' : 'whole'}`, async () => {
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
