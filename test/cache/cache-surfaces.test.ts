import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { post } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import type { ScriptedUpstream } from '../helpers/scripted-upstream.ts'
import { everyCharacter, startEcho } from '../processors/echo-upstream.ts'

const text = 'Żółw: 42.'
let echo: ScriptedUpstream
let router: TestRouter

before(async () => {
  echo = await startEcho({ say: () => ({ text }), cut: everyCharacter })
  const providers = (api_type: string) => [{ api_type, api_host: echo.url, model_path: 'up', api_token: 'k' }]
  router = await startRouter({
    models: {
      processors: [{ type: 'cache' }],
      g: { gemini: { providers: providers('gemini') }, anthropic: { providers: providers('anthropic') } },
      active_models: { g: ['gemini', 'anthropic'] },
    },
  })
})
after(async () => {
  await router.close()
  await echo.close()
})

/** Whole and streamed requests of each surface of a dialect, with the names of the members that contain the text. */
const surfaces: Record<
  string,
  { whole: [string, object]; stream: [string, object]; names: readonly string[] }
> = {
  completions: {
    whole: ['/v1/completions', { prompt: 'completions' }],
    stream: ['/v1/completions', { prompt: 'completions', stream: true }],
    names: ['text'],
  },
  generate: {
    whole: ['/api/generate', { prompt: 'generate', stream: false }],
    stream: ['/api/generate', { prompt: 'generate', stream: true }],
    names: ['response'],
  },
  'lm studio': {
    whole: ['/api/v0/chat/completions', { messages: [{ role: 'user', content: 'lm studio' }] }],
    stream: [
      '/api/v0/chat/completions',
      { messages: [{ role: 'user', content: 'lm studio' }], stream: true },
    ],
    names: ['content'],
  },
  'gemini array': {
    whole: [
      '/v1beta/models/MODEL:generateContent',
      { contents: [{ role: 'user', parts: [{ text: 'array' }] }] },
    ],
    stream: [
      '/v1beta/models/MODEL:streamGenerateContent',
      { contents: [{ role: 'user', parts: [{ text: 'array' }] }] },
    ],
    names: ['text'],
  },
}

/** The text of a response, in one piece or several, in any form. */
function saidIn(answer: string, names: readonly string[]): string {
  let said = ''
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit)
    if (!isObject(value)) return
    for (const [name, member] of Object.entries(value))
      if (names.includes(name) && typeof member === 'string') said += member
      else visit(member)
  }
  try {
    visit(JSON.parse(answer))
  } catch {
    for (const line of answer.split('\n'))
      if (/^(?:data: )?\{/.test(line)) visit(JSON.parse(line.replace('data: ', '')))
  }
  return said
}

for (const model of ['gemini', 'anthropic'])
  for (const [surface, { whole, stream, names }] of Object.entries(surfaces))
    for (const first of ['whole', 'stream'] as const)
      test(`${surface} over ${model}: a response cached from a ${first} request is returned in both forms`, async () => {
        const ask = async ([path, body]: [string, object]) => {
          const url = router.url + path.replace('MODEL', model)
          const answer = await post(url, { model, ...body, seed: first.length })
          assert.equal(answer.status, 200, answer.text)
          assert.equal(saidIn(answer.text, names), text, answer.text)
          return answer.headers.get('x-llm-router-cache')
        }
        const forms = { whole, stream }
        assert.equal(await ask(forms[first]), 'miss')
        assert.equal(await ask(whole), 'hit')
        assert.equal(await ask(stream), 'hit')
      })
