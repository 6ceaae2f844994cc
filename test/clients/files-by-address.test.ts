import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { anthropicText } from '../helpers/anthropic-answers.ts'
import { geminiText } from '../helpers/gemini-answers.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const url = 'https://files.example/report.pdf'
const name = 'report.pdf'
const fromResponses = [{ role: 'user', content: [{ type: 'input_file', file_url: url, filename: name }] }]
const document = { type: 'document', source: { type: 'url', url }, title: name }
const fromAnthropic = [{ role: 'user', content: [document] }]

describe('a file given by its URL', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(upstreams.openaiText('unused'))
    const server = (api_type: string, more = {}) => [{ api_type, api_host: upstream.url, ...more }]
    router = await startRouter({
      models: modelsConfig({
        claude: server('anthropic'),
        native: server('openai', { responses: true }),
        chats: server('openai'),
        llama: server('ollama'),
        google: server('gemini'),
      }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  const sent = () => upstream.requests.at(-1) ?? assert.fail('no request reached the upstream')

  test('is sent from a Responses client to an Anthropic server as a document', async () => {
    upstream.rescript(anthropicText('Done'))
    const answer = await post(`${router.url}/v1/responses`, { model: 'claude', input: fromResponses })
    assert.equal(answer.status, 200, answer.text)
    const { messages } = sent().body as { messages: { content: unknown[] }[] }
    assert.deepEqual(messages[0]?.content[0], document)
  })

  test('is sent from an Anthropic client to a server with the Responses API as a file', async () => {
    const content = [{ type: 'output_text', text: 'Done', annotations: [] }]
    const output = [{ type: 'message', id: 'msg_1', status: 'completed', role: 'assistant', content }]
    const body = { id: 'resp_1', object: 'response', status: 'completed', model: 'm', output }
    upstream.rescript({ kind: 'reply', body })
    const asked = { model: 'native', max_tokens: 99, messages: fromAnthropic }
    const answer = await post(`${router.url}/v1/messages`, asked)
    assert.equal(answer.status, 200, answer.text)
    assert.equal(sent().url, '/v1/responses')
    const { input } = sent().body as { input: { content: unknown[] }[] }
    assert.deepEqual(input[0]?.content[0], { type: 'input_file', file_url: url, filename: name })
  })

  test('is sent from any client to a Gemini server as file data', async () => {
    upstream.rescript(geminiText('Done'))
    const body = { model: 'google', max_tokens: 9, messages: fromAnthropic }
    for (const [path, asked] of [
      ['/v1/messages', body],
      ['/v1/responses', { model: 'google', input: fromResponses }],
    ] as const) {
      const answer = await post(`${router.url}${path}`, asked)
      assert.equal(answer.status, 200, answer.text)
      const { contents } = sent().body as { contents: { parts: unknown[] }[] }
      assert.deepEqual(contents[0]?.parts[0], { fileData: { fileUri: url } })
    }
  })

  test('is sent from a Gemini client to an Anthropic server as a document', async () => {
    upstream.rescript(anthropicText('Done'))
    const asked = { contents: [{ parts: [{ fileData: { mimeType: 'application/pdf', fileUri: url } }] }] }
    const answer = await post(`${router.url}/v1beta/models/claude:generateContent`, asked)
    assert.equal(answer.status, 200, answer.text)
    const { messages } = sent().body as { messages: { content: unknown[] }[] }
    assert.deepEqual(messages[0]?.content[0], { type: 'document', source: { type: 'url', url } })
  })

  for (const model of ['chats', 'llama']) {
    test(`is rejected before any upstream request if the server of ${model} loads no URLs`, async () => {
      const asked = upstream.requests.length
      const one = await post(`${router.url}/v1/responses`, { model, input: fromResponses })
      const body = { model, max_tokens: 9, messages: fromAnthropic }
      const other = await post(`${router.url}/v1/messages`, body)
      const contents = [{ parts: [{ fileData: { fileUri: url } }] }]
      const third = await post(`${router.url}/v1beta/models/${model}:generateContent`, { contents })
      assert.deepEqual([one.status, other.status, third.status], [400, 400, 400])
      assert.equal(upstream.requests.length, asked)
    })
  }
})
