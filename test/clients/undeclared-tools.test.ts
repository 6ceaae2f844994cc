import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { anthropicText } from '../helpers/anthropic-answers.ts'
import { geminiText } from '../helpers/gemini-answers.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

/* References by name or id within a request, to tools and calls that the request does not contain. */
const parameters = { type: 'object', properties: {} }
const chat = (members: object) => ({
  messages,
  tools: [{ type: 'function', function: { name: 'f', parameters } }],
  ...members,
})
const response = (members: object) => ({
  input: 'Hello',
  tools: [{ type: 'function', name: 'f', parameters }, { type: 'web_search' }],
  ...members,
})
const message = (members: object) => ({
  messages,
  max_tokens: 5,
  tools: [{ name: 'f', input_schema: parameters }],
  ...members,
})
const content = (mode: string, allowedFunctionNames?: unknown, tools: object[] = [{ name: 'f' }]) => ({
  contents: [{ parts: [{ text: 'Hello' }] }],
  tools: [{ functionDeclarations: tools }],
  toolConfig: { functionCallingConfig: { mode, allowedFunctionNames } },
})
const named = (name: string) => ({ type: 'function', function: { name } })
const allowed = (names: string[], mode = 'auto') => ({
  tool_choice: { type: 'allowed_tools', allowed_tools: { mode, tools: names.map(named) } },
})
const allowedItems = (tools: unknown, mode = 'auto') => ({
  tool_choice: { type: 'allowed_tools', mode, tools },
})

type Refused = [does: string, body: object, path: string]

const ofChat: Refused[] = [
  ['an allowed tool', chat(allowed(['f', 'g'])), 'tool_choice.allowed_tools.tools[1]'],
  ['all allowed tools', chat(allowed(['g'], 'required')), 'tool_choice.allowed_tools.tools[0]'],
  [
    'an allowed tool, without any tools',
    { messages, ...allowed(['g']) },
    'tool_choice.allowed_tools.tools[0]',
  ],
  ['a forced tool', chat({ tool_choice: named('g') }), 'tool_choice.function.name'],
  ['a forced call, without any tools', { messages, tool_choice: 'required' }, 'tool_choice'],
  ['a forced call, with nothing allowed', chat(allowed([], 'required')), 'tool_choice.allowed_tools.tools'],
  ['a forced function, of tools', chat({ function_call: { name: 'g' } }), 'function_call.name'],
  [
    'a forced tool, of functions',
    { messages, functions: [{ name: 'f' }], tool_choice: named('g') },
    'tool_choice.function.name',
  ],
  [
    'allowed tools that are not a list',
    chat({ tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: 'g' } } }),
    'tool_choice.allowed_tools.tools',
  ],
]
const ofResponses: Refused[] = [
  [
    'an allowed tool',
    response(
      allowedItems([
        { type: 'function', name: 'f' },
        { type: 'function', name: 'g' },
      ]),
    ),
    'tool_choice.tools[1]',
  ],
  [
    'an allowed namespace',
    response(allowedItems([{ type: 'namespace', name: 'docs' }])),
    'tool_choice.tools[0]',
  ],
  [
    'an allowed tool of OpenAI',
    response(allowedItems([{ type: 'mcp', server_label: 'docs' }])),
    'tool_choice.tools[0]',
  ],
  ['an allowed tool without a name', response(allowedItems([{ type: 'custom' }])), 'tool_choice.tools[0]'],
  ['a forced tool', response({ tool_choice: { type: 'function', name: 'g' } }), 'tool_choice.name'],
  ['allowed tools that are not a list', response(allowedItems({ name: 'g' })), 'tool_choice.tools'],
  [
    'the call of an output',
    response({ input: [{ type: 'function_call_output', call_id: 'c1', output: 'x' }] }),
    'input[0].call_id',
  ],
]
const ofMessages: Refused[] = [
  ['a forced tool', message({ tool_choice: { type: 'tool', name: 'g' } }), 'tool_choice.name'],
  ['a forced call, without any tools', message({ tools: [], tool_choice: { type: 'any' } }), 'tool_choice'],
  [
    'a forced tool that runs at Anthropic',
    message({
      tools: [
        { name: 'f', input_schema: parameters },
        { type: 'web_search_20250305', name: 'web_search' },
      ],
      tool_choice: { type: 'tool', name: 'web_search' },
    }),
    "The tool 'web_search' is not supported, so it cannot be chosen",
  ],
]
const inConfig = 'toolConfig.functionCallingConfig'
const ofGemini: Refused[] = [
  ['an allowed function', content('ANY', ['f', 'g']), `${inConfig}.allowedFunctionNames[1]`],
  ['a forced call, without any functions', content('ANY', undefined, []), `${inConfig}.mode`],
  ['allowed functions that are not a list', content('ANY', 'f'), `${inConfig}.allowedFunctionNames`],
  [
    'content that is stored at Google',
    { ...content('AUTO'), cachedContent: 'cachedContents/1' },
    'cachedContent',
  ],
]
const ofOllama: Refused[] = [
  [
    'the id of a call',
    { messages: [...messages, call('c1', 'f'), { role: 'tool', tool_call_id: 'c2', content: 'x' }] },
    'messages[2]',
  ],
  [
    'the name of a called tool',
    { messages: [...messages, call('c1', 'f'), { role: 'tool', tool_name: 'g', content: 'x' }] },
    'messages[2]',
  ],
]

function call(id: string, name: string): object {
  return {
    role: 'assistant',
    content: '',
    tool_calls: [{ id, type: 'function', function: { name, arguments: {} } }],
  }
}

describe('a tool or call that a request refers to', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(openaiText('Hi'))
    const types = ['openai', 'anthropic', 'gemini', 'ollama', 'vllm']
    const of = (api_type: string) => [{ api_type, api_host: upstream.url, model_path: 'up' }]
    router = await startRouter({
      env: { LLM_ROUTER_EXTENSIONS: join(import.meta.dirname, '../fixtures/extensions/asking.ts') },
      models: modelsConfig(Object.fromEntries(types.map((type) => [type, of(type)]))),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  const sent = () => Object(upstream.requests.at(-1)?.body)

  async function assertRefused(path: string, body: object, where: string): Promise<Record<string, unknown>> {
    const before = upstream.requests.length
    const { status, text } = await post(`${router.url}${path}`, body)
    assert.equal(status, 400, text)
    assert.ok(text.includes(where) || /^tool_?choice$/i.test(where), text)
    assert.equal(upstream.requests.length, before)
    return JSON.parse(text)
  }

  for (const [what, body, path] of ofChat)
    for (const model of ['anthropic', 'gemini', 'ollama'])
      test(`must be in the request of a client of chat completions, over ${model}: ${what}`, async () => {
        const { error } = await assertRefused('/v1/chat/completions', { model, ...body }, path)
        assert.deepEqual([Object(error).type, Object(error).param], ['invalid_request_error', path])
      })

  for (const [what, body, path] of ofResponses)
    for (const model of ['anthropic', 'gemini', 'ollama', 'vllm'])
      test(`must be in the request of a client of the Responses API, over ${model}: ${what}`, async () => {
        const { error } = await assertRefused('/v1/responses', { model, ...body }, path)
        assert.deepEqual([Object(error).type, Object(error).param], ['invalid_request_error', path])
      })

  for (const [what, body, path] of ofMessages)
    test(`must be in the request of an Anthropic client: ${what}`, async () => {
      const { type, error } = await assertRefused('/v1/messages', { model: 'vllm', ...body }, path)
      assert.deepEqual([type, Object(error).type], ['error', 'invalid_request_error'])
    })

  for (const [what, body, path] of ofGemini)
    test(`must be in the request of a Gemini client: ${what}`, async () => {
      const { error } = await assertRefused('/v1beta/models/vllm:generateContent', body, path)
      assert.equal(Object(error).status, 'INVALID_ARGUMENT')
    })

  for (const [what, body, path] of ofOllama)
    test(`must be in the request of an Ollama client: ${what}`, async () => {
      const { error } = await assertRefused('/api/chat', { model: 'vllm', stream: false, ...body }, path)
      assert.equal(typeof error, 'string')
    })

  test('is checked by an upstream of the same dialect', async () => {
    upstream.rescript(openaiText('Hi'))
    const body = chat(allowed(['g']))
    assert.equal((await post(`${router.url}/v1/chat/completions`, { model: 'openai', ...body })).status, 200)
    assert.deepEqual(sent().tool_choice, allowed(['g']).tool_choice)
  })

  test('may be a tool that OpenAI runs, which is reported as dropped', async () => {
    upstream.rescript(openaiText('Hi'))
    const tools = [{ type: 'web_search' }, { type: 'function', name: 'f' }]
    const body = response(allowedItems(tools))
    const { status, headers } = await post(`${router.url}/v1/responses`, { model: 'vllm', ...body })
    assert.deepEqual([status, headers.get('x-llm-router-lost')], [200, 'tools.web_search'])
    assert.deepEqual(
      sent().tools.map((tool: { function: object }) => tool.function),
      [{ name: 'f', parameters }],
    )
  })

  test('may be named as in the Responses API', async () => {
    upstream.rescript(geminiText('Hi'))
    const tool_choice = { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [{ name: 'f' }] } }
    const body = chat({ tool_choice })
    assert.equal((await post(`${router.url}/v1/chat/completions`, { model: 'gemini', ...body })).status, 200)
    assert.deepEqual(sent().toolConfig, { functionCallingConfig: { mode: 'ANY' } })
  })

  const orphan = { role: 'tool', tool_call_id: 'c2', content: 'found' }
  for (const [model, answer] of [
    ['gemini', geminiText('Hi')],
    ['anthropic', anthropicText('Hi')],
  ] as const)
    test(`is reported if it is the unknown call of a result, which ${model} receives as text`, async () => {
      upstream.rescript(answer)
      const body = { model, messages: [...messages, orphan] }
      const { status, headers, text } = await post(`${router.url}/v1/chat/completions`, body)
      assert.deepEqual([status, headers.get('x-llm-router-lost')], [200, 'messages.tool_call_id'], text)
      const [turn, ...others] = model === 'gemini' ? sent().contents : sent().messages
      assert.equal(others.length, 0)
      const parts: { text: string }[] = turn.parts ?? turn.content
      assert.deepEqual(
        parts.map((part) => part.text),
        ['Hello', 'found'],
      )
    })

  test('is found by name if an Ollama client sends ids only in results', async () => {
    upstream.rescript(openaiText('Hi'))
    const calls = { role: 'assistant', content: '', tool_calls: ['f', 'g'].map((name) => named(name)) }
    const results = ['g', 'f'].map((name) => ({
      role: 'tool',
      tool_name: name,
      tool_call_id: `own-${name}`,
      content: name,
    }))
    const body = { model: 'vllm', stream: false, messages: [...messages, calls, ...results] }
    const { status, text } = await post(`${router.url}/api/chat`, body)
    assert.equal(status, 200, text)
    const [, { tool_calls: sentCalls }, first, second] = sent().messages
    assert.deepEqual(
      [first, second].map(({ tool_call_id: id, content }) => [id, content]),
      [
        [sentCalls[0].id, 'f'],
        [sentCalls[1].id, 'g'],
      ],
    )
  })

  const question = { model: 'vllm', messages }
  for (const [what, body, path] of [
    ['a forced tool', { tools: [{ name: 'f' }], toolChoice: { name: 'g' } }, 'toolChoice.name'],
    ['a forced call, without any tools', { toolChoice: 'required' }, 'toolChoice'],
  ] as const)
    test(`must be in the question of an extension: ${what}`, async () => {
      await assertRefused('/ask/question', { ...question, ...body }, path)
    })
})
