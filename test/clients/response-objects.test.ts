import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { eventsOf } from '../dialects/responses/grammar.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

/** `required` of the schema `Response` in OpenAI's OpenAPI document, and what its usage requires. */
const required = [
  'id',
  'object',
  'access_programs',
  'created_at',
  'error',
  'incomplete_details',
  'instructions',
  'model',
  'tools',
  'output',
  'parallel_tool_calls',
  'metadata',
  'tool_choice',
  'temperature',
  'top_p',
]

const tools = [
  { type: 'function', name: 'f', parameters: { type: 'object', properties: {} } },
  { type: 'function', name: 'g', strict: true },
  { type: 'custom', name: 'shell' },
]

interface Answer {
  id: string
  tools: Record<string, unknown>[]
  tool_choice: unknown
}

function checkAnswer(answer: Answer): void {
  for (const name of required) assert.ok(Object.hasOwn(answer, name), `${name} is missing`)
  assert.deepEqual(answer.tools, [{ ...tools[0], strict: null }, { ...tools[1], parameters: null }, tools[2]])
}

describe('required members of translated responses', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(upstreams.openaiText('Hi'))
    router = await startRouter({
      models: modelsConfig({
        m: [{ api_type: 'openai', api_host: upstream.url, paths: { responses: false } }],
        llama: [{ api_type: 'ollama', api_host: upstream.url }],
      }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  test('a Response has all of them and repeats function tools with strict and parameters, also when read later', async () => {
    upstream.rescript(upstreams.openaiText('Hi'))
    const tool_choice = { type: 'function', name: 'f' }
    const sent = await post(`${router.url}/v1/responses`, { model: 'm', input: 'hi', tools, tool_choice })
    assert.equal(sent.status, 200)
    const answer: Answer = JSON.parse(sent.text)
    checkAnswer(answer)
    assert.deepEqual(answer.tool_choice, tool_choice)
    const stored = await fetch(`${router.url}/v1/responses/${answer.id}`)
    checkAnswer(JSON.parse(await stored.text()))
  })

  for (const [ending, pieces] of [
    ['completed', [upstreams.openaiChunk({}, 'stop'), upstreams.openaiDone]],
    ['incomplete', [upstreams.openaiChunk({}, 'length'), upstreams.openaiDone]],
    ['failed', []],
  ] as const) {
    test(`a Response has all of them in every event of a stream that is ${ending}`, async () => {
      upstream.rescript({ kind: 'stream', pieces: [upstreams.openaiChunk({ content: 'Hi' }), ...pieces] })
      const body = { model: 'm', input: 'hi', stream: true, tools }
      const { text } = await post(`${router.url}/v1/responses`, body)
      const events = eventsOf(text)
      assert.deepEqual(
        events.flatMap(({ type, response }) => (response === undefined ? [] : [type])),
        ['response.created', 'response.in_progress', `response.${ending}`],
      )
      for (const { response } of events) if (response !== undefined) checkAnswer(response as Answer)
    })
  }

  for (const [path, body] of [
    ['/v1/chat/completions', { messages }],
    ['/v1/completions', { prompt: 'Hello' }],
  ] as const) {
    test(`chunks of ${path} have the member usage only if it was requested`, async () => {
      upstream.rescript(upstreams.ollamaStream(['Hi', ' there']))
      const chunks = async (more: object): Promise<Record<string, unknown>[]> => {
        const { text } = await post(`${router.url}${path}`, {
          model: 'llama',
          stream: true,
          ...body,
          ...more,
        })
        const lines = text.split('\n\n').filter((line) => line.startsWith('data: {'))
        return lines.map((line) => JSON.parse(line.slice('data: '.length)))
      }
      const asked = await chunks({ stream_options: { include_usage: true } })
      assert.ok(asked.length > 2)
      assert.ok(asked.slice(0, -1).every(({ usage }) => usage === null))
      assert.notEqual(asked.at(-1)?.usage ?? null, null)
      for (const chunk of await chunks({})) assert.ok(!Object.hasOwn(chunk, 'usage'))
    })
  }
})
