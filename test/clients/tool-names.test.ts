import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { anthropicText, anthropicToolCall, anthropicToolCallStream } from '../helpers/anthropic-answers.ts'
import { geminiAnswer } from '../helpers/gemini-answers.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiText,
  openaiToolCall,
  openaiToolCallStream,
  relayed,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const functionTool = {
  type: 'function',
  function: { name: 'f', parameters: { type: 'object', properties: {} } },
}
const anthropicTool = { name: 'f', input_schema: { type: 'object', properties: {} } }

describe('names of tools and parameters', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(openaiText('Hi'))
    const of = (api_type: string, model_path: string) => [{ api_type, api_host: upstream.url, model_path }]
    router = await startRouter({
      models: modelsConfig({
        compatible: of('openai', 'some-model'),
        sonnet: of('anthropic', 'claude-sonnet-4-5-20250929'),
        gemini: of('gemini', 'gemini-3-pro'),
      }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  const ask = (path: string, body: object | string) => relayed(router.url, upstream, path, body)
  const chat = (model: string, members: object = {}) =>
    ask('/v1/chat/completions', { model, messages, ...members })
  const claudeCode = (model: string, members: object = {}) =>
    ask('/v1/messages', { model, messages, max_tokens: 100, ...members })
  const overAnthropic = () => upstream.rescript(anthropicText('Hi'))

  test("tool names have the server's form upstream and the client's form in responses", async () => {
    const long = `mcp__plugin_${'x'.repeat(60)}__get_video`
    const names = ['files.read', long, 'plain']
    const tools = names.map((name) => ({ ...functionTool, function: { ...functionTool.function, name } }))
    const history = [
      ...messages,
      { role: 'assistant', content: '', tool_calls: [{ function: { name: 'files.read', arguments: {} } }] },
      { role: 'tool', tool_name: 'files.read', content: 'r' },
    ]
    const body = { model: 'compatible', stream: false, messages: history, tools }
    const first = await ask('/api/chat', body)
    const sent = [first.body.tools].flat().map((tool) => String(Object(tool).function.name))
    assert.ok(sent.every((name) => /^[a-zA-Z0-9_-]{1,64}$/.test(name)))
    assert.equal(new Set(sent).size, 3)
    assert.equal(sent[2], 'plain')
    assert.doesNotMatch(first.json, /files\.read/)
    for (const [index, name] of names.entries()) {
      upstream.rescript(openaiToolCall(sent[index] ?? '', {}))
      assert.match((await ask('/api/chat', body)).answer, new RegExp(`"name":"${name}"`))
      upstream.rescript(openaiToolCallStream(sent[index] ?? '', ['{}']))
      assert.match((await ask('/api/chat', { ...body, stream: true })).answer, new RegExp(`"name":"${name}"`))
    }
    const choice = await claudeCode('compatible', {
      tools: [{ ...anthropicTool, name: long }],
      tool_choice: { type: 'tool', name: long },
    })
    assert.equal(Object(choice.body.tool_choice).function.name, sent[1])
  })

  test('tool names that Gemini would reject are changed upstream and restored in responses', async () => {
    for (const name of ['files/read all', '9lives', `1${'x'.repeat(64)}`]) {
      const tools = [{ ...functionTool, function: { ...functionTool.function, name } }]
      upstream.rescript(geminiAnswer([{ functionCall: { name: 'x', args: {} } }]))
      const { body } = await chat('gemini', { tools })
      const [declared] = [body.tools].flat().flatMap((tool) => Object(tool).functionDeclarations)
      assert.match(declared.name, /^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$/)
      upstream.rescript(geminiAnswer([{ functionCall: { name: declared.name, args: {} } }]))
      assert.match((await chat('gemini', { tools })).answer, new RegExp(`"name":"${name}"`))
    }
  })

  test('parameter names that Anthropic would reject are changed upstream and restored in responses', async () => {
    const long = 'x'.repeat(70)
    const own = ['$top', 'filter[id]', 'filter{id}', long, 'plain']
    const properties = Object.fromEntries(own.map((name) => [name, { type: 'integer' }]))
    const parameters = { type: 'object', properties, required: ['$top', 'plain'] }
    const tools = [{ type: 'function', function: { name: 'f', parameters } }]
    const json = JSON.stringify(Object.fromEntries(own.map((name, index) => [name, index])))
    const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: json } }
    const turns = [
      ...messages,
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: 'ok' },
    ]
    overAnthropic()
    const { body } = await chat('sonnet', { tools, messages: turns })
    const [{ input_schema: schema }] = [body.tools].flat().map(Object)
    const sent = Object.keys(schema.properties)
    assert.equal(new Set(sent).size, own.length)
    for (const name of sent) assert.match(name, /^[a-zA-Z0-9_.-]{1,64}$/)
    assert.deepEqual(schema.required, [sent[0], 'plain'])
    const [, called] = [body.messages].flat().map(Object)
    assert.deepEqual(Object.keys(called.content[0].input), sent)

    const input = Object.fromEntries(sent.map((name, index) => [name, index]))
    upstream.rescript(anthropicToolCall('f', input))
    const whole = JSON.parse((await chat('sonnet', { tools })).answer)
    assert.equal(whole.choices[0].message.tool_calls[0].function.arguments, json)
    const pieces = JSON.stringify(input).match(/.{1,7}/g) ?? []
    upstream.rescript(anthropicToolCallStream('f', pieces))
    const events = (await chat('sonnet', { tools, stream: true })).answer.split('\n\n')
    const streamed = events
      .filter((event) => event.includes('tool_calls'))
      .map((event) => JSON.parse(event.slice('data: '.length)).choices[0].delta.tool_calls?.[0].function)
    assert.equal(streamed.map((called) => called?.arguments ?? '').join(''), json)
  })

  test('of several tools with the same name the first is sent, and a different one is reported', async () => {
    const described = (description: string) => ({
      ...functionTool,
      function: { ...functionTool.function, description },
    })
    const sent = async (model: string, tools: object[]): Promise<[number, string]> => {
      const { body, lost } = await chat(model, { tools })
      return [[body.tools].flat().flatMap((tool) => Object(tool).functionDeclarations ?? [tool]).length, lost]
    }
    overAnthropic()
    assert.deepEqual(await sent('sonnet', [functionTool, functionTool]), [1, ''])
    assert.deepEqual(await sent('sonnet', [described('a'), described('b')]), [1, 'tools.name'])
    upstream.rescript(geminiAnswer([{ functionCall: { name: 'f', args: {} } }]))
    assert.deepEqual(await sent('gemini', [functionTool, functionTool]), [1, ''])
  })

  test('two tool names that would become equal stay distinct', async () => {
    const tools = ['a.b', 'a_b', 'a b'].map((name) => ({
      ...functionTool,
      function: { ...functionTool.function, name },
    }))
    const { body } = await ask('/api/chat', { model: 'compatible', stream: false, messages, tools })
    const sent = [body.tools].flat().map((tool) => Object(tool).function.name)
    assert.equal(new Set(sent).size, 3)
    assert.equal(sent[1], 'a_b')
  })
})
