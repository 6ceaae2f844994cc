import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../../helpers/http.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../../helpers/router.ts'
import {
  ollamaText,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../../helpers/scripted-upstream.ts'
import {
  assistant,
  bodiesSince,
  ollamaDefaults,
  promptsDir,
  system,
  uncut,
  untimed,
  user,
  vllmDefaults,
} from './support.ts'

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('unused'))
  router = await startRouter({
    env: { LLM_ROUTER_PROMPTS_DIR: promptsDir },
    models: modelsConfig({
      m1: [{ id: 'm1', api_type: 'vllm', api_host: upstream.url, model_path: 'up/m1' }],
      oll: [{ id: 'oll', api_type: 'ollama', api_host: upstream.url, model_path: 'up:oll' }],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

interface Case {
  endpoint: string
  what: string
  body: Record<string, unknown>
  /** The messages of each upstream request, in the order of their last texts. */
  messages: { role: string; content: string }[][]
  answer: string
  result: Record<string, unknown>
}

const cases: Case[] = [
  {
    endpoint: 'generate_questions',
    what: 'asks for the number in English and returns the questions of all blocks, at most as many as requested',
    body: { texts: ['T'], number_of_questions: 2, language: 'en' },
    messages: [[system('EN write 2 question(s).'), user('T')]],
    answer: 'Here they are:\n\n1. A?\n\n- **B?**\n3) C?',
    result: { response: [{ text: 'T', questions: ['A?', 'B?'] }] },
  },
  {
    endpoint: 'generate_questions',
    what: 'asks for one question per text, in Polish by default',
    body: { texts: ['T', 'U'] },
    messages: [
      [system('PL ułóż 1 pytanie.'), user('T')],
      [system('PL ułóż 1 pytanie.'), user('U')],
    ],
    answer: '1. A?\n2. B?',
    result: {
      response: [
        { text: 'T', questions: ['A?'] },
        { text: 'U', questions: ['A?'] },
      ],
    },
  },
  {
    endpoint: 'generate_questions',
    what: 'returns no questions for a text with nothing to ask about',
    body: { texts: [''], number_of_questions: 5 },
    messages: [[system('PL ułóż 5 pytań.'), user('')]],
    answer: 'BRAK',
    result: { response: [{ text: '', questions: [] }] },
  },
  {
    endpoint: 'translate',
    what: 'translates to Polish by default',
    body: { texts: ['cat'] },
    messages: [[system('PL przetłumacz na polski.'), user('cat')]],
    answer: 'kot',
    result: { response: [{ original: 'cat', translated: 'kot' }] },
  },
  {
    endpoint: 'translate',
    what: 'uses the prompt for Polish if Polish is named, in the language of the request',
    body: { texts: ['cat'], target_language: 'Polish', language: 'en-GB' },
    messages: [[system('EN translate into Polish.'), user('cat')]],
    answer: 'kot',
    result: { response: [{ original: 'cat', translated: 'kot' }] },
  },
  {
    endpoint: 'translate',
    what: 'translates to the language that is named',
    body: { texts: ['kot'], target_language: 'de', language: 'en' },
    messages: [[system('EN translate into de.'), user('kot')]],
    answer: 'Katze',
    result: { response: [{ original: 'kot', translated: 'Katze' }] },
  },
  {
    endpoint: 'simplify_text',
    what: 'returns one text per text',
    body: { texts: ['x'], language: 'en' },
    messages: [[system('EN simplify.'), user('x')]],
    answer: ' plain ',
    result: { response: [' plain '] },
  },
  {
    endpoint: 'generate_article_from_text',
    what: 'returns the article in response and at the top level',
    body: { text: 'x' },
    messages: [[system('PL wpis.'), user('x')]],
    answer: 'news',
    result: { response: { article_text: 'news' }, article_text: 'news' },
  },
  {
    endpoint: 'create_full_article_from_texts',
    what: 'joins the trimmed texts, drops blank ones, and ends the prompt with the kind of article',
    body: { user_query: 'Q', texts: [' a ', '', ' b'], article_type: 'blog', language: 'en' },
    messages: [[system('EN article on Q.\n\nblog'), user('a\n\nb')]],
    answer: 'article',
    result: { response: { article_text: 'article' }, article_text: 'article' },
  },
  {
    endpoint: 'create_full_article_from_texts',
    what: 'works without texts and without a kind of article',
    body: { user_query: 'Q', texts: [] },
    messages: [[system('PL artykuł o Q.'), user('')]],
    answer: 'nothing to write about',
    result: {
      response: { article_text: 'nothing to write about' },
      article_text: 'nothing to write about',
    },
  },
  {
    endpoint: 'generative_answer',
    what: 'joins a list of texts, keeps blank ones, and returns a string',
    body: { question_str: 'Q?', texts: ['p', '', 'q '], question_prompt: 'short' },
    messages: [[system('PL odpowiedz: Q?\n\nshort'), user('p\n\n\n\nq')]],
    answer: 'yes',
    result: { response: 'yes', article_text: 'yes' },
  },
  {
    endpoint: 'generative_answer',
    what: 'labels each text of a map with its document, in the language of the prompt',
    body: {
      question_str: 'Q?',
      texts: { d1: ['p', 'q'], 'd 2': ['r'] },
      doc_name_in_answer: true,
      language: 'en',
    },
    messages: [
      [
        system('EN answer: Q?'),
        user(
          'Document name: d1\nDocument text: p\n\nDocument name: d1\nDocument text: q\n\n' +
            'Document name: d 2\nDocument text: r',
        ),
      ],
    ],
    answer: 'd1 says so',
    result: { response: 'd1 says so', article_text: 'd1 says so' },
  },
  {
    endpoint: 'generative_answer',
    what: "names documents only on request, and accepts the request's own system prompt with its placeholder",
    body: { question_str: 'Q?', texts: { d1: ['p', 'q'] }, system_prompt: 'Use ##QUESTION_STR##' },
    messages: [[system('Use Q?'), user('p\n\nq')]],
    answer: 'yes',
    result: { response: 'yes', article_text: 'yes' },
  },
  {
    endpoint: 'conversation_with_model',
    what: 'puts history given as pairs between the system message and the last statement',
    body: { user_last_statement: '3?', historical_messages: [{ user: '1' }, { assistant: '2' }] },
    messages: [[system('PL rozmowa.'), user('1'), assistant('2'), user('3?')]],
    answer: '4',
    result: { response: '4' },
  },
  {
    endpoint: 'conversation_with_model',
    what: 'accepts history with roles and pairs in one object',
    body: {
      user_last_statement: '5?',
      historical_messages: [
        { role: 'user', content: '1' },
        { role: 'assistant', content: '2' },
        { assistant: '4', user: '3' },
      ],
      language: 'en',
    },
    messages: [[system('EN chat.'), user('1'), assistant('2'), user('3'), assistant('4'), user('5?')]],
    answer: '6',
    result: { response: '6' },
  },
  {
    endpoint: 'extended_conversation_with_model',
    what: "uses the request's own system prompt, then the history, and no prompt of the library",
    body: {
      system_prompt: 'S ##X##',
      user_last_statement: 'c',
      historical_messages: [{ user: 'a' }, { assistant: 'b' }],
    },
    messages: [[system('S ##X##'), user('a'), assistant('b'), user('c')]],
    answer: 'd',
    result: { response: 'd' },
  },
]

describe('an endpoint sends exactly its messages and parameters, and answers in its own format', () => {
  for (const { endpoint, what, body, messages, answer, result } of cases) {
    test(`${endpoint} ${what}, over vLLM`, async () => {
      upstream.rescript(openaiText(answer))
      const since = upstream.requests.length
      const { status, text } = await post(`${router.url}/api/${endpoint}`, { model_name: 'm1', ...body })
      assert.equal(status, 200, text)
      assert.deepEqual(untimed(text), result)
      assert.deepEqual(
        bodiesSince(upstream, since),
        messages.map((each) => ({ model: 'up/m1', messages: each, stream: false, ...vllmDefaults })),
      )
    })

    test(`${endpoint} ${what}, over Ollama`, async () => {
      upstream.rescript(ollamaText(answer))
      const since = upstream.requests.length
      const { status, text } = await post(`${router.url}/builtin/${endpoint}`, { model: 'oll', ...body })
      assert.equal(status, 200, text)
      assert.deepEqual(untimed(text), result)
      assert.deepEqual(
        bodiesSince(upstream, since),
        messages.map((each) => ({
          model: 'up:oll',
          messages: each,
          stream: false,
          options: ollamaDefaults,
          ...uncut,
        })),
      )
      assert.equal(upstream.requests.at(-1)?.url, '/api/chat')
    })
  }
})

test('every endpoint is available at its three paths', async () => {
  upstream.rescript(openaiText('ok'))
  const endpoints = router.app.textEndpoints.list()
  assert.deepEqual(
    endpoints.map(({ name }) => name),
    [...new Set(cases.map(({ endpoint }) => endpoint))].toSorted(),
  )
  for (const { name } of endpoints) {
    const body = cases.find(({ endpoint }) => endpoint === name)?.body
    for (const path of [`/api/${name}`, `/builtin/${name}`, `/api/builtin/${name}`]) {
      assert.equal((await post(router.url + path, { model: 'm1', ...body })).status, 200, path)
    }
  }
})

test('without a prefix, paths that coincide are registered once', async (t) => {
  const bare = await startRouter({
    env: { LLM_ROUTER_EP_PREFIX: '' },
    models: modelsConfig({ demo: [{ api_type: 'mock' }] }),
  })
  t.after(() => bare.close())
  for (const path of ['/translate', '/builtin/translate']) {
    assert.equal((await post(bare.url + path, { model: 'demo', texts: [] })).status, 200, path)
  }
})
