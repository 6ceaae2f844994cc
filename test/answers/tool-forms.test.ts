import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { anthropicText, anthropicToolCall } from '../helpers/anthropic-answers.ts'
import { ask, assertOk, type Json, startRig } from '../helpers/dialect-clients.ts'
import { geminiText } from '../helpers/gemini-answers.ts'
import { ollamaText, ollamaToolCall, ollamaToolCallStream, openaiText } from '../helpers/scripted-upstream.ts'

let rig: Awaited<ReturnType<typeof startRig>>

before(async () => {
  rig = await startRig(openaiText('unused'))
})
after(() => rig.close())

const parameters = { type: 'object', properties: { a: { type: 'string' } } }
const functions = [{ name: 'f', parameters }]
const tools = [{ type: 'function', function: { name: 'f', parameters } }]

describe('clients that use the deprecated functions', () => {
  test('a client that sends functions gets function_call in a whole response', async () => {
    rig.upstream.rescript(anthropicToolCall('f', { a: 'x' }))
    const { json } = await ask(rig, 'openai', 'anthropic', { functions })
    const [choice] = json.choices
    assert.deepEqual(choice.message.function_call, { name: 'f', arguments: '{"a":"x"}' })
    assert.equal(choice.finish_reason, 'function_call')
    assert.equal('tool_calls' in choice.message, false)
  })

  test('a client that sends functions gets function_call in fragments in a stream', async () => {
    rig.upstream.rescript(ollamaToolCallStream('f', { a: 'x' }))
    const { events } = await ask(rig, 'openai', 'ollama', { functions, stream: true })
    const calls = events.flatMap(({ choices }) => choices?.[0]?.delta.function_call ?? [])
    assert.equal(calls[0].name, 'f')
    assert.equal(calls.map((call) => call.arguments).join(''), '{"a":"x"}')
    assert.equal(events.at(-1).choices[0].finish_reason, 'function_call')
    assert.ok(!JSON.stringify(events).includes('tool_calls'))
  })

  test('a client that also sends tools gets tool_calls, and a text response finishes with stop', async () => {
    rig.upstream.rescript(ollamaToolCall('f', { a: 'x' }))
    const { json } = await ask(rig, 'openai', 'ollama', { tools, functions })
    assert.equal(json.choices[0].finish_reason, 'tool_calls')
    rig.upstream.rescript(ollamaText('Hi'))
    const said = await ask(rig, 'openai', 'ollama', { functions })
    assert.equal(said.json.choices[0].finish_reason, 'stop')
  })
})

describe('custom tools on chat completions', () => {
  const grammar = { syntax: 'lark', definition: 'start: "x"' }
  const custom = { name: 'patch', description: 'Patches.', format: { type: 'grammar', grammar } }
  const offered = {
    tools: [{ type: 'custom', custom }],
    tool_choice: { type: 'custom', custom: { name: 'patch' } },
  }

  test('a custom tool is offered as a function with one string, and its calls return as free text', async () => {
    rig.upstream.rescript(anthropicToolCall('patch', { input: 'line\n"x"' }))
    const answer = await ask(rig, 'openai', 'anthropic', offered)
    assertOk(answer)
    const sent = rig.sent()
    assert.deepEqual(sent.tools[0].input_schema.required, ['input'])
    assert.ok(sent.tools[0].description.includes('start: "x"'))
    assert.deepEqual(sent.tool_choice, { type: 'tool', name: 'patch' })
    const [call] = answer.json.choices[0].message.tool_calls
    assert.deepEqual([call.type, call.custom], ['custom', { name: 'patch', input: 'line\n"x"' }])
    assert.equal('function' in call, false)
  })

  test('a streamed call of a custom tool returns as free text', async () => {
    rig.upstream.rescript(ollamaToolCallStream('patch', { input: 'line\n"x"' }))
    const { events } = await ask(rig, 'openai', 'ollama', { tools: offered.tools, stream: true })
    const calls = events.flatMap(({ choices }) => choices?.[0]?.delta.tool_calls ?? [])
    assert.deepEqual([calls[0].type, calls[0].custom.name], ['custom', 'patch'])
    assert.equal(calls.map((call) => call.custom.input).join(''), 'line\n"x"')
    assert.equal(events.at(-1).choices[0].finish_reason, 'tool_calls')
  })

  test('calls of a custom tool in the history are sent as arguments', async () => {
    rig.upstream.rescript(ollamaText('ok'))
    const call = { id: 'c1', type: 'custom', custom: { name: 'patch', input: 'x' } }
    const messages = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: 'done' },
    ]
    assertOk(await ask(rig, 'openai', 'ollama', { ...offered, messages }))
    assert.deepEqual(rig.sent().messages[1].tool_calls[0].function.arguments, { input: 'x' })
  })
})

describe('forms of the Responses API in chat completions', () => {
  test('a tool whose definition is in the tool itself is offered, and its calls return', async () => {
    rig.upstream.rescript(anthropicToolCall('patch', { input: 'free text' }))
    const format = { type: 'grammar', syntax: 'lark', definition: 'start: "x"' }
    const flat = [
      { type: 'function', name: 'f', description: 'F.', parameters },
      { type: 'custom', name: 'patch', format },
    ]
    const answer = await ask(rig, 'openai', 'anthropic', { tools: flat })
    assertOk(answer)
    const [first, second] = rig.sent().tools
    assert.deepEqual(
      [first.name, first.description, first.input_schema.properties],
      ['f', 'F.', { a: { type: 'string' } }],
    )
    assert.ok(second.description.includes('start: "x"'))
    assert.deepEqual(answer.json.choices[0].message.tool_calls[0].custom, {
      name: 'patch',
      input: 'free text',
    })
    assert.equal(answer.lost, '')
  })

  test('texts and images are read under their names in the Responses API', async () => {
    rig.upstream.rescript(anthropicText('ok'))
    const content = [
      { type: 'input_text', text: 'look' },
      { type: 'input_image', image_url: 'https://example.com/a.png', detail: 'auto' },
    ]
    const messages = [
      { role: 'user', content },
      { role: 'assistant', content: [{ type: 'output_text', text: 'seen', annotations: [] }] },
      { role: 'user', content: 'and?' },
    ]
    const { status, text, lost } = await ask(rig, 'openai', 'anthropic', { messages })
    assert.deepEqual([status, lost], [200, ''], text)
    const [asked, answered] = rig.sent().messages
    assert.deepEqual(asked.content, [
      { type: 'text', text: 'look' },
      { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
    ])
    assert.deepEqual(answered.content, [{ type: 'text', text: 'seen' }])
  })
})

test('an image in the form of chat completions is an image for a Responses client too', async () => {
  rig.upstream.rescript(openaiText('ok'))
  const url = 'data:image/png;base64,iVBORw0KGgo='
  const content = [{ type: 'image_url', image_url: { url, detail: 'low' } }]
  assertOk(await ask(rig, 'responses', 'vllm', { input: [{ role: 'user', content }] }))
  assert.deepEqual(rig.sent().messages[0].content, [{ type: 'image_url', image_url: { url, detail: 'low' } }])
})

describe('forms of tool_choice', () => {
  const forms: [unknown, object | undefined][] = [
    [{ type: 'auto' }, { type: 'auto' }],
    [{ type: 'none' }, { type: 'none' }],
    [{ type: 'required' }, { type: 'any' }],
    [{ type: 'any' }, { type: 'any' }],
    ['any', { type: 'any' }],
    [
      { type: 'function', name: 'f' },
      { type: 'tool', name: 'f' },
    ],
    [
      { type: 'function', function: { name: 'f' } },
      { type: 'tool', name: 'f' },
    ],
    [
      { type: 'tool', name: 'f' },
      { type: 'tool', name: 'f' },
    ],
    [{ name: 'f' }, { type: 'tool', name: 'f' }],
  ]

  test('every form of tool_choice is accepted on chat completions', async () => {
    rig.upstream.rescript(anthropicText('ok'))
    for (const [tool_choice, sent] of forms) {
      assertOk(await ask(rig, 'openai', 'anthropic', { tools, tool_choice }), JSON.stringify(tool_choice))
      assert.deepEqual(rig.sent().tool_choice, sent, JSON.stringify(tool_choice))
    }
  })

  test('every form of tool_choice is accepted on Responses', async () => {
    rig.upstream.rescript(anthropicText('ok'))
    const offered = [{ type: 'function', name: 'f', parameters }]
    for (const [tool_choice, sent] of forms.slice(0, -1)) {
      assertOk(
        await ask(rig, 'responses', 'anthropic', { tools: offered, tool_choice }),
        JSON.stringify(tool_choice),
      )
      assert.deepEqual(rig.sent().tool_choice, sent, JSON.stringify(tool_choice))
    }
  })

  test('every form of tool_choice is accepted on Messages', async () => {
    rig.upstream.rescript(openaiText('ok'))
    const offered = [{ name: 'f', input_schema: parameters }]
    for (const tool_choice of ['auto', 'any', 'required', { type: 'required' }]) {
      assertOk(
        await ask(rig, 'anthropic', 'vllm', { tools: offered, tool_choice }),
        JSON.stringify(tool_choice),
      )
    }
    assert.equal(rig.sent().tool_choice, 'required')
    await ask(rig, 'anthropic', 'vllm', {
      tools: offered,
      tool_choice: { type: 'function', function: { name: 'f' } },
    })
    assert.deepEqual(rig.sent().tool_choice, { type: 'function', function: { name: 'f' } })
  })

  test('an object as tool_choice reaches OpenAI-compatible servers in OpenAI’s form, a string is unchanged', async () => {
    rig.upstream.rescript(openaiText('ok'))
    const passed: [unknown, unknown][] = [
      [{ type: 'auto' }, 'auto'],
      [{ type: 'any' }, 'required'],
      [
        { type: 'tool', name: 'f' },
        { type: 'function', function: { name: 'f' } },
      ],
      ['any', 'any'],
      ['required', 'required'],
      [
        { type: 'function', function: { name: 'f' } },
        { type: 'function', function: { name: 'f' } },
      ],
    ]
    for (const [tool_choice, sent] of passed) {
      assertOk(await ask(rig, 'openai', 'vllm', { tools, tool_choice }))
      assert.deepEqual(rig.sent().tool_choice, sent)
    }
  })
})

test('roles are case-insensitive', async () => {
  rig.upstream.rescript(anthropicText('ok'))
  const messages = [
    { role: 'SYSTEM', content: 's' },
    { role: 'User', content: 'u' },
  ]
  assertOk(await ask(rig, 'openai', 'anthropic', { messages }))
  assert.equal(rig.sent().messages[0].role, 'user')
  assertOk(await ask(rig, 'ollama', 'anthropic', { messages }))
  assert.deepEqual(rig.sent().system, [{ type: 'text', text: 's' }])
  assertOk(await ask(rig, 'responses', 'anthropic', { input: messages }))
  rig.upstream.rescript(openaiText('ok'))
  assertOk(await ask(rig, 'anthropic', 'vllm', { messages: messages.slice(1) }))
  assert.deepEqual(rig.sent().messages, [{ role: 'user', content: 'u' }])
})

describe('tool calls in the history with invalid arguments', () => {
  const cut = '{"a":"half'

  test('a call with truncated arguments in the history is sent with what can be read, and reported', async () => {
    const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: cut } }
    const messages = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: 'invalid' },
    ]
    rig.upstream.rescript(anthropicText('ok'))
    const openai = await ask(rig, 'openai', 'anthropic', { messages, tools })
    assertOk(openai)
    assert.deepEqual(rig.sent().messages[1].content[0].input, { a: 'half' })
    assert.match(openai.lost, /messages\.tool_calls\.function\.arguments/)

    const items = [
      { role: 'user', content: 'hi' },
      { type: 'function_call', call_id: 'c1', name: 'f', arguments: 'no json' },
      { type: 'function_call_output', call_id: 'c1', output: 'invalid' },
    ]
    const responses = await ask(rig, 'responses', 'anthropic', { input: items })
    assertOk(responses)
    assert.deepEqual(rig.sent().messages[1].content[0].input, { invalid_arguments: 'no json' })
    assert.match(responses.lost, /arguments/)

    rig.upstream.rescript(openaiText('ok'))
    for (const input of [cut, [1], 7]) {
      const use = { type: 'tool_use', id: 'c1', name: 'f', input }
      const result = { type: 'tool_result', tool_use_id: 'c1', content: 'invalid' }
      const turns: Json[] = [
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: [use] },
        { role: 'user', content: [result] },
      ]
      const anthropic = await ask(rig, 'anthropic', 'vllm', { messages: turns })
      assertOk(anthropic)
      assert.match(anthropic.lost, /messages\.tool_use\.input/)
      const sent = JSON.parse(rig.sent().messages[1].tool_calls[0].function.arguments)
      assert.equal(typeof sent, 'object')
    }
    const ollama = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: cut } }] },
      { role: 'tool', content: 'invalid' },
    ]
    assertOk(await ask(rig, 'ollama', 'vllm', { messages: ollama }))
    assert.equal(rig.sent().messages[1].tool_calls[0].function.arguments, '{"a":"half"}')
  })
})

describe('calls without a result', () => {
  const call = (a: string) => ({ function: { name: 'f', arguments: { a } } })
  const messages = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: '', tool_calls: [call('1'), call('2')] },
    { role: 'tool', content: 'done', tool_name: 'f' },
    { role: 'user', content: 'go on' },
  ]

  test('get a failed one for OpenAI', async () => {
    rig.upstream.rescript(openaiText('ok'))
    assertOk(await ask(rig, 'ollama', 'openai', { messages, tools }))
    const [, called, ...results] = rig.sent().messages
    const [first, second] = called.tool_calls
    assert.deepEqual(results, [
      { role: 'tool', tool_call_id: first.id, content: 'done' },
      { role: 'tool', tool_call_id: second.id, content: 'Error: No result' },
      { role: 'user', content: 'go on' },
    ])
  })

  test('get a failed one for Gemini, also at the end of the conversation', async () => {
    rig.upstream.rescript(geminiText('ok'))
    for (const sent of [messages, messages.slice(0, 2)]) {
      assertOk(await ask(rig, 'ollama', 'gemini', { messages: sent, tools }))
      const { parts } = rig.sent().contents[2]
      const responses = parts.flatMap((part: Json) => part.functionResponse?.response ?? [])
      assert.deepEqual(responses.at(-1), { error: 'No result' })
      assert.equal(responses.length, 2)
    }
  })
})

test('results are sent in the order of their calls, which chat templates rely on', async () => {
  const ids = ['c1', 'c2', 'c3']
  const called = ids.map((id) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } }))
  const chat = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: null, tool_calls: called },
    ...['c3', 'c1', 'c2'].map((id) => ({ role: 'tool', tool_call_id: id, content: `of ${id}` })),
    { role: 'user', content: 'go on' },
  ]
  const contentsOf = (messages: Json[]) => messages.slice(2).map(({ content }) => content)
  const expected = [...ids.map((id) => `of ${id}`), 'go on']
  rig.upstream.rescript(ollamaText('ok'))
  assertOk(await ask(rig, 'openai', 'ollama', { messages: chat, tools }))
  assert.deepEqual(contentsOf(rig.sent().messages), expected)

  rig.upstream.rescript(geminiText('ok'))
  assertOk(await ask(rig, 'openai', 'gemini', { messages: chat, tools }))
  const responses = rig
    .sent()
    .contents[2].parts.flatMap((part: Json) => part.functionResponse?.response ?? [])
  assert.deepEqual(
    responses.map(({ output }: Json) => output),
    expected.slice(0, 3),
  )

  rig.upstream.rescript(openaiText('ok'))
  const blocks = ids.map((id) => ({ type: 'tool_use', id, name: 'f', input: {} }))
  const results = ['c3', 'c1', 'c2'].map((id) => ({
    type: 'tool_result',
    tool_use_id: id,
    content: `of ${id}`,
  }))
  const messages = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: blocks },
    { role: 'user', content: [...results, { type: 'text', text: 'go on' }] },
  ]
  assertOk(
    await ask(rig, 'anthropic', 'vllm', { messages, tools: [{ name: 'f', input_schema: parameters }] }),
  )
  assert.deepEqual(contentsOf(rig.sent().messages), expected)
})

test('a failed result says so on every server without a member for failures', async () => {
  const result = { type: 'tool_result', tool_use_id: 'c1', is_error: true, content: 'no such file' }
  const messages = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'f', input: {} }] },
    { role: 'user', content: [result] },
  ]
  const expected = 'Error: no such file'
  rig.upstream.rescript({ kind: 'reply', status: 400, body: { error: 'enough' } })
  for (const model of ['vllm', 'ollama']) {
    await ask(rig, 'anthropic', model, { messages })
    assert.equal(rig.sent().messages[2].content, expected, model)
  }
  await ask(rig, 'anthropic', 'responses', { messages, tools: [{ name: 'f', input_schema: parameters }] })
  assert.equal(rig.sent().input[2].output, expected)
})

test('a file without a name gets one for OpenAI, which accepts no data without it', async () => {
  rig.upstream.rescript({ kind: 'reply', status: 400, body: { error: 'enough' } })
  const pdf = {
    type: 'document',
    source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0xLjQK' },
  }
  const messages = [{ role: 'user', content: [pdf] }]
  await ask(rig, 'anthropic', 'openai', { messages })
  const file_data = 'data:application/pdf;base64,JVBERi0xLjQK'
  assert.deepEqual(rig.sent().messages[0].content[0].file, { file_data, filename: 'document.pdf' })
  const bare = { type: 'input_file', file_data: 'JVBERi0xLjQK', filename: 'a.pdf' }
  await ask(rig, 'responses', 'chatonly', { input: [{ role: 'user', content: [bare] }] })
  assert.deepEqual(rig.sent().messages[0].content[0].file, { file_data, filename: 'a.pdf' })
  await ask(rig, 'anthropic', 'responses', { messages, tools: [{ name: 'f', input_schema: parameters }] })
  assert.equal(rig.sent().input[0].content[0].filename, 'document.pdf')
})

test('a result that is neither text nor blocks reaches the model as its JSON', async () => {
  rig.upstream.rescript({ kind: 'reply', status: 400, body: { error: 'enough' } })
  const use = { type: 'tool_use', id: 'c1', name: 'f', input: {} }
  for (const [content, expected] of [
    [{ rows: [1] }, '{"rows":[1]}'],
    [7, '7'],
    [['a', { b: 1 }], 'a\n{"b":1}'],
    [{ type: 'text', text: 'x' }, 'x'],
    [null, ''],
  ]) {
    const messages = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: [use] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content }] },
    ]
    await ask(rig, 'anthropic', 'vllm', { messages })
    assert.equal(rig.sent().messages[2].content, expected)
  }
})
