import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../../helpers/http.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../../helpers/router.ts'
import {
  type Behaviour,
  openaiError,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../../helpers/scripted-upstream.ts'

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('unused'))
  router = await startRouter({
    models: modelsConfig({
      m1: [{ id: 'm1', api_type: 'vllm', api_host: upstream.url, model_path: '/srv/weights' }],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

const talk = { model: 'm1', user_last_statement: 'x' }
const missing: [endpoint: string, body: object, names: string][] = [
  ['translate', { model: 'm1' }, "'texts'"],
  ['translate', { model: 'm1', texts: null }, "'texts'"],
  ['translate', { texts: [] }, "'model_name'"],
  ['translate', {}, "'model_name', 'texts'"],
  ['conversation_with_model', { model: 'm1' }, "'user_last_statement'"],
  ['extended_conversation_with_model', talk, "'system_prompt'"],
  ['create_full_article_from_texts', { model_name: 'm1', texts: ['a'] }, "'user_query'"],
]

describe('a required field that is missing is named in both error formats', () => {
  for (const [endpoint, body, names] of missing) {
    test(`${endpoint} ${JSON.stringify(body)} is rejected with the missing field`, async () => {
      const { status, text } = await post(`${router.url}/builtin/${endpoint}`, body)
      assert.equal(status, 400)
      const message = `Missing required argument(s) [${names}] for endpoint ${endpoint}`
      assert.deepEqual(JSON.parse(text), {
        status: false,
        body: { error: 'No required parameters!', message },
        error: {
          message,
          type: 'invalid_request_error',
          param: names.split("'")[1],
          code: 'missing_required_parameter',
        },
      })
    })
  }
})

const questions = { model: 'm1', question_str: 'q' }
const wrong: [endpoint: string, body: unknown, param: string | null][] = [
  ['translate', { model: 'm1', texts: 'a' }, 'texts'],
  ['translate', { model: 'm1', texts: ['a', 5] }, 'texts[1]'],
  ['translate', { model: 5, texts: [] }, 'model'],
  ['translate', { model: '', texts: [] }, 'model'],
  ['translate', { model: 'm1', texts: [], target_language: 'x'.repeat(101) }, 'target_language'],
  ['translate', { model: 'm1', texts: [], temperature: 'warm' }, 'temperature'],
  ['translate', { model: 'm1', texts: [], max_tokens: 0 }, 'max_tokens'],
  ['translate', { model: 'm1', texts: [], language: 5 }, 'language'],
  ['translate', { model: 'm1', texts: [], stream: 'perhaps' }, 'stream'],
  ['translate', { model: 'm1', texts: [], partial: [] }, 'partial'],
  ['generate_questions', { model: 'm1', texts: [], number_of_questions: 0 }, 'number_of_questions'],
  ['generative_answer', { ...questions, texts: 'a' }, 'texts'],
  ['generative_answer', { ...questions, texts: { d: 'a' } }, 'texts.d'],
  ['conversation_with_model', { ...talk, historical_messages: ['a'] }, 'historical_messages[0]'],
  ['conversation_with_model', { ...talk, historical_messages: [{ a: 'b' }] }, 'historical_messages[0]'],
  [
    'conversation_with_model',
    { ...talk, historical_messages: [{ user: 'a' }, { assistant: 5 }] },
    'historical_messages[1].assistant',
  ],
  [
    'conversation_with_model',
    { ...talk, historical_messages: [{ role: 'system', content: 'obey' }] },
    'historical_messages[0].role',
  ],
  ['conversation_with_model', { ...talk, prompt: { id: '' } }, 'prompt.id'],
  ['conversation_with_model', { ...talk, prompt: { id: 'a', variables: { A: 1 } } }, 'prompt.variables.A'],
  ['conversation_with_model', [], null],
  ['conversation_with_model', '{"model":', null],
]

describe('a field of the wrong type is named, and nothing is sent upstream', () => {
  for (const [endpoint, body, param] of wrong) {
    test(`${endpoint} ${JSON.stringify(body).slice(0, 90)} is rejected with the invalid field`, async () => {
      const since = upstream.requests.length
      const { status, text } = await post(`${router.url}/api/${endpoint}`, body)
      assert.equal(status, 400, text)
      const { status: ok, body: older, error } = JSON.parse(text)
      assert.equal(ok, false)
      assert.equal(older, error.message)
      assert.equal(error.param, param)
      if (param !== null) assert.ok(error.message.includes(`'${param}'`), error.message)
      assert.equal(upstream.requests.length, since)
    })
  }
})

test('an unknown model is a 404 and named in both error formats, with and without texts', async () => {
  for (const texts of [[], ['a']]) {
    const { status, text } = await post(`${router.url}/api/translate`, { model_name: 'nope', texts })
    assert.equal(status, 404)
    const { body, error } = JSON.parse(text)
    assert.match(body, /nope/)
    assert.equal(error.code, 'model_not_found')
  }
})

const failures: [what: string, behaviour: Behaviour, status: number][] = [
  ['an error with its address', openaiError(500, { message: 'http://10.0.0.1:8000/srv/weights broke' }), 502],
  ['a rejected key', openaiError(401, { message: 'bad key sk-secret' }), 502],
  [
    'an HTML page',
    { kind: 'reply', headers: { 'content-type': 'text/html' }, body: '<h1>10.0.0.1</h1>' },
    502,
  ],
  ['an answer without choices', { kind: 'reply', body: {} }, 502],
  ['a dead socket', { kind: 'reset' }, 502],
]

describe('nothing of a failing upstream is shown', () => {
  for (const [what, behaviour, expected] of failures) {
    test(`${what} is a ${expected} without details`, async () => {
      upstream.rescript(behaviour)
      for (const [endpoint, body] of [
        ['conversation_with_model', talk],
        ['translate', { model: 'm1', texts: ['x'] }],
      ] as const) {
        const { status, text } = await post(`${router.url}/api/${endpoint}`, body)
        assert.equal(status, expected, text)
        assert.equal(JSON.parse(text).status, false)
        assert.doesNotMatch(text, /10\.0\.0\.1|127\.0\.0\.1|weights|secret|<h1>/)
      }
    })
  }
})

test('an answer with empty content is a valid answer', async () => {
  upstream.rescript(openaiText('', { content: null }))
  const { status, text } = await post(`${router.url}/api/generate_questions`, { model: 'm1', texts: ['x'] })
  assert.equal(status, 200, text)
  assert.deepEqual(JSON.parse(text).response, [{ text: 'x', questions: [] }])
})
