import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiText,
  openaiToolCall,
  openaiToolCallStream,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

/* Tools of the type `custom`, whose argument is a single string, in chat completions. Engines support functions only. */
const engines = ['vllm', 'sglang', 'llamacpp', 'lmstudio', 'tgi']
const tools = [{ type: 'custom', custom: { name: 'python', description: 'Runs code' } }]

describe('a custom tool in chat completions', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(openaiText('unused'))
    const of = (api_type: string) => [{ api_type, api_host: upstream.url }]
    const models = Object.fromEntries([...engines, 'openai'].map((type) => [type, of(type)]))
    router = await startRouter({ models: modelsConfig(models) })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  const ask = (model: string, members: object = {}) =>
    post(`${router.url}/v1/chat/completions`, { model, messages, tools, ...members })
  const sent = () => Object(upstream.requests.at(-1)?.body)

  for (const engine of engines)
    test(`becomes a function for ${engine}, and its call is returned with its text`, async () => {
      const script = (stream: boolean) =>
        stream
          ? openaiToolCallStream('python', ['{"input":', '"print(1)"}'])
          : openaiToolCall('python', { input: 'print(1)' })
      // llamacpp also answers non-streaming requests with streams.
      upstream.rescript(({ body }) => script(Object(body).stream === true))
      const { text } = await ask(engine, { tool_choice: { type: 'custom', custom: { name: 'python' } } })
      const [call] = JSON.parse(text).choices[0].message.tool_calls
      assert.deepEqual([call.type, call.custom], ['custom', { name: 'python', input: 'print(1)' }])
      assert.equal(sent().tools[0].type, 'function')
      assert.equal(sent().tools[0].function.name, 'python')
      const streamed = (await ask(engine, { stream: true })).text
      assert.match(streamed, /"type":"custom"/)
      assert.match(streamed, /"input":"print\(1\)"/)
      assert.doesNotMatch(streamed, /"function"/)
    })

  test('is a call with its text in the history that an engine receives', async () => {
    upstream.rescript(openaiText('2'))
    const call = { id: 'c1', type: 'custom', custom: { name: 'python', input: 'print(2)' } }
    const history = [
      ...messages,
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: '2' },
    ]
    assert.equal((await ask('vllm', { messages: history })).status, 200)
    assert.equal(sent().messages[1].tool_calls[0].function.arguments, '{"input":"print(2)"}')
  })

  test('is sent unchanged to a server of the type openai', async () => {
    upstream.rescript(openaiText('Hi'))
    await ask('openai')
    assert.deepEqual(sent().tools, tools)
  })
})
