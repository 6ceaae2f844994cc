import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post, type RawAnswer } from '../../helpers/http.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../../helpers/router.ts'
import {
  ollamaText,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../../helpers/scripted-upstream.ts'
import { ollamaDefaults, promptsDir, system, uncut, untimed, user, vllmDefaults } from './support.ts'

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('ok'))
  const at = { api_host: upstream.url }
  router = await startRouter({
    env: { LLM_ROUTER_PROMPTS_DIR: promptsDir },
    models: modelsConfig({
      m1: [{ id: 'm1', api_type: 'vllm', ...at }],
      oll: [{ id: 'oll', api_type: 'ollama', ...at }],
      oai: [{ id: 'oai', api_type: 'openai', ...at }],
      set: [
        {
          id: 'set',
          api_type: 'vllm',
          defaults: { temperature: 0.1, max_completion_tokens: 900, seed: 7 },
          drop_params: ['top_k'],
          ...at,
        },
      ],
      setoll: [
        {
          id: 'setoll',
          api_type: 'ollama',
          options: { num_ctx: 8192, temperature: 0.1 },
          keep_alive: '1h',
          ...at,
        },
      ],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

const plain = { messages: [system('PL uprość.'), user('x')], stream: false }

async function simplified(body: Record<string, unknown>): Promise<{ sent: unknown; answer: RawAnswer }> {
  upstream.rescript(String(body.model).includes('oll') ? ollamaText('ok') : openaiText('ok'))
  const answer = await post(`${router.url}/api/simplify_text`, { texts: ['x'], ...body })
  assert.equal(answer.status, 200, answer.text)
  assert.deepEqual(untimed(answer.text), { response: ['ok'] })
  return { sent: upstream.requests.at(-1)?.body, answer }
}

test("client parameters are sent upstream under the upstream's names, and other members are not sent", async () => {
  const given = { temperature: 0.2, top_k: 5, top_p: 0.5, typical_p: 0.9, repetition_penalty: 1.1 }
  const noise = { anonymize: true, seed: 3, response_time: 1, status: false, prompt_str_force: 'SYS' }
  const { sent } = await simplified({ model: 'oll', max_tokens: 64, ...given, ...noise })
  assert.deepEqual(sent, {
    model: 'oll',
    ...plain,
    ...uncut,
    options: {
      temperature: 0.2,
      num_predict: 64,
      top_k: 5,
      top_p: 0.5,
      typical_p: 0.9,
      repeat_penalty: 1.1,
    },
  })
})

test('max_tokens and max_new_tokens mean the same, and max_tokens takes precedence', async () => {
  const limits: [Record<string, unknown>, number][] = [
    [{ max_tokens: 64 }, 64],
    [{ max_new_tokens: 64 }, 64],
    [{ max_new_tokens: 64, max_tokens: null }, 64],
    [{ max_new_tokens: 64, max_tokens: 32 }, 32],
  ]
  for (const [body, limit] of limits) {
    const { sent } = await simplified({ model: 'm1', ...body })
    assert.deepEqual(sent, { model: 'm1', ...plain, ...vllmDefaults, max_tokens: limit })
  }
})

test('model takes precedence over model_name', async () => {
  const { sent } = await simplified({ model: 'm1', model_name: 'oll' })
  assert.deepEqual(sent, { model: 'm1', ...plain, ...vllmDefaults })
})

test('strings of numbers and booleans are accepted as numbers and booleans', async () => {
  const body = { temperature: '0.3', top_k: '12', max_new_tokens: '7', stream: 'false' }
  const { sent } = await simplified({ model: 'm1', ...body })
  assert.deepEqual(sent, {
    model: 'm1',
    ...plain,
    ...vllmDefaults,
    temperature: 0.3,
    top_k: 12,
    max_tokens: 7,
  })
})

test("a default that the target does not support is dropped silently, but a client's value is reported", async () => {
  const silent = await simplified({ model: 'm1' })
  assert.equal(silent.answer.headers.get('x-llm-router-lost'), null)
  const { answer } = await simplified({ model: 'm1', typical_p: 0.9 })
  assert.equal(answer.headers.get('x-llm-router-lost'), 'typical_p')
})

test('upstreams of type openai get no defaults, as in the Python router', async () => {
  const { sent, answer } = await simplified({ model: 'oai' })
  assert.deepEqual(sent, { model: 'oai', ...plain })
  assert.equal(answer.headers.get('x-llm-router-lost'), null)
  const asked = await simplified({ model: 'oai', temperature: 0.2, max_tokens: 5, top_k: 1 })
  assert.deepEqual(asked.sent, { model: 'oai', ...plain, temperature: 0.2, max_completion_tokens: 5 })
  assert.equal(asked.answer.headers.get('x-llm-router-lost'), 'top_k')
})

test("the configuration's defaults override the endpoint's, and the client's values override both", async () => {
  const { top_k: _dropped, max_tokens: _replaced, ...rest } = vllmDefaults
  const { sent } = await simplified({ model: 'set' })
  assert.deepEqual(sent, {
    model: 'set',
    ...plain,
    ...rest,
    temperature: 0.1,
    max_completion_tokens: 900,
    seed: 7,
  })
  const asked = await simplified({ model: 'set', temperature: 0.9, max_tokens: 10 })
  assert.deepEqual(asked.sent, {
    model: 'set',
    ...plain,
    ...rest,
    temperature: 0.9,
    max_tokens: 10,
    seed: 7,
  })
})

test("Ollama's options in the configuration override the endpoint's defaults", async () => {
  const { sent } = await simplified({ model: 'setoll' })
  assert.deepEqual(sent, {
    model: 'setoll',
    ...plain,
    ...uncut,
    options: { ...ollamaDefaults, num_ctx: 8192, temperature: 0.1 },
    keep_alive: '1h',
  })
})

test('a streamed answer uses the same defaults', async () => {
  upstream.rescript(openaiText('ok'))
  await post(`${router.url}/api/generate_article_from_text`, { model: 'set', text: 'x', stream: true })
  const { top_k: _dropped, max_tokens: _replaced, ...rest } = vllmDefaults
  assert.deepEqual(upstream.requests.at(-1)?.body, {
    model: 'set',
    messages: [system('PL wpis.'), user('x')],
    stream: true,
    stream_options: { include_usage: true },
    ...rest,
    temperature: 0.1,
    max_completion_tokens: 900,
    seed: 7,
  })
})

const form = { 'content-type': 'application/x-www-form-urlencoded' }

test('a form is accepted: numbers are parsed, and repeated fields and single texts become lists where needed', async () => {
  upstream.rescript(openaiText('1. A?'))
  const fields = 'model_name=m1&user_last_statement=hi+%C5%BC&temperature=0.5'
  const talk = await post(`${router.url}/api/conversation_with_model`, fields, form)
  assert.equal(talk.status, 200, talk.text)
  assert.deepEqual(upstream.requests.at(-1)?.body, {
    model: 'm1',
    messages: [system('PL rozmowa.'), user('hi ż')],
    stream: false,
    ...vllmDefaults,
    temperature: 0.5,
  })
  for (const [texts, expected] of [
    ['texts=a', ['a']],
    ['texts=a&texts=b', ['a', 'b']],
  ] as const) {
    const { text } = await post(
      `${router.url}/api/generate_questions`,
      `model=m1&number_of_questions=2&${texts}`,
      form,
    )
    assert.deepEqual(
      untimed(text).response,
      expected.map((each) => ({ text: each, questions: ['A?'] })),
    )
  }
})

test('a form with an invalid field is rejected with the name of the field', async () => {
  const bad = [
    ['model=m1&model=m2&texts=a', /'model'/],
    ['model=m1&texts=a&top_k=many', /'top_k' must be an integer/],
    ['model=m1&texts=a&__proto__=1', /__proto__/],
  ] as const
  for (const [body, says] of bad) {
    const { status, text } = await post(`${router.url}/api/translate`, body, form)
    assert.equal(status, 400, text)
    assert.match(JSON.parse(text).error.message, says)
  }
})
