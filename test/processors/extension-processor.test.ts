import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import type { ScriptedUpstream } from '../helpers/scripted-upstream.ts'
import { startEcho } from './echo-upstream.ts'

const address = 'jan.kowalski@firma.pl'
const folder = mkdtempSync(join(tmpdir(), 'llm-router-extension-'))
let echo: ScriptedUpstream
let router: TestRouter

const extension = `
export default async function extension(app) {
  app.processorTypes.add({
    name: 'shouting',
    create({ word }) {
      if (typeof word !== 'string') throw new Error('word is needed')
      return {
        request(contents) {
          if (contents.some((text) => text.includes('forbidden'))) return { type: 'block' }
          if (contents.some((text) => text.includes('broken'))) throw new Error('bug')
          return { type: 'replace', contents: contents.map((text) => text.replaceAll('quiet', word)) }
        },
      }
    },
  })
  app.post('/asked', { config: { surface: 'openai' } }, async (request) => {
    const { text } = await app.gateway.ask({ model: 'm', messages: [{ role: 'user', content: request.body.text }] }, request)
    return { text }
  })
  app.post('/streamed', { config: { surface: 'openai' } }, async (request) => {
    let text = ''
    const question = { model: 'm', messages: [{ role: 'user', content: request.body.text }] }
    for await (const event of app.gateway.stream(question, request)) if (event.type === 'text') text += event.text
    return { text }
  })
}
`

before(async () => {
  const file = join(folder, 'extension.mjs')
  writeFileSync(file, extension)
  echo = await startEcho({ cut: (text) => [...text], say: (text) => ({ text: `You said: ${text}` }) })
  router = await startRouter({
    env: { LLM_ROUTER_EXTENSIONS: file },
    models: {
      processors: [{ type: 'shouting', options: { word: 'LOUD' } }, { type: 'masking' }],
      g: { m: { providers: [{ api_type: 'vllm', api_host: echo.url }] } },
      active_models: { g: ['m'] },
    },
  })
})
after(async () => {
  await router.close()
  await echo.close()
  rmSync(folder, { recursive: true })
})

test('a model request of an extension is processed like any request', async () => {
  for (const path of ['/asked', '/streamed']) {
    const { status, text } = await post(router.url + path, { text: `quiet ${address}` })
    assert.equal(status, 200, text)
    assert.deepEqual(JSON.parse(text), { text: `You said: LOUD ${address}` })
    assert.equal(echo.requests.at(-1)?.raw.includes(address), false)
  }
})

test('a processor of an extension can change and block requests, and fails closed', async () => {
  const ask = (content: string) =>
    post(`${router.url}/v1/chat/completions`, { model: 'm', messages: [{ role: 'user', content }] })
  assert.match((await ask('be quiet')).text, /You said: be LOUD/)
  const before = echo.requests.length
  const blocked = await ask('forbidden')
  assert.deepEqual([blocked.status, JSON.parse(blocked.text).error.code], [400, 'content_filter'])
  assert.equal(blocked.headers.get('x-should-retry'), 'false')
  const failed = await ask('broken')
  assert.deepEqual([failed.status, JSON.parse(failed.text).error.code], [503, 'processor_failed'])
  assert.equal(echo.requests.length, before)
})

test('options that a processor type rejects prevent startup, with their path', async () => {
  const models = {
    processors: [{ type: 'shouting' }],
    g: { m: { providers: [{ api_type: 'mock' }] } },
    active_models: { g: ['m'] },
  }
  const env = { LLM_ROUTER_EXTENSIONS: join(folder, 'extension.mjs') }
  await assert.rejects(startRouter({ models, env }), /processors\[0\]\.options: word is needed/)
})
