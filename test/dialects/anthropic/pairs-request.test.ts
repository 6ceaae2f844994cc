import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { anthropic } from '../../../src/dialects/anthropic/index.ts'
import { ollama } from '../../../src/dialects/ollama/index.ts'
import { openai } from '../../../src/dialects/openai/index.ts'
import type { ChatRequest } from '../../../src/sdk/chat.ts'
import type { Dialect } from '../../../src/sdk/dialect.ts'

type Body = Record<string, unknown>

/** The body that a target of the second dialect receives for one of the first. */
function carried(body: Body, from: Dialect, to: Dialect): { body: Body; dropped: string[] } {
  const dropped: string[] = []
  const drop = (field: string): void => {
    dropped.push(field)
  }
  const written = to.chat.writeRequest(from.chat.readRequest(body, false), { model: 'up', flavour: {}, drop })
  return { body: { ...written, ...to.chat.missingDefaults(written, {}) }, dropped }
}

const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const png = 'iVBORw0KGgoAAAANSUhEUg=='

const anthropicBody: Body = {
  model: 'm',
  max_tokens: 500,
  temperature: 0.4,
  top_p: 0.9,
  stop_sequences: ['END'],
  system: [{ type: 'text', text: 'Be brief', cache_control: { type: 'ephemeral' } }],
  metadata: { user_id: 'u1' },
  tools: [{ name: 'get_weather', description: 'Weather', input_schema: schema }],
  tool_choice: { type: 'auto', disable_parallel_tool_use: true },
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Where is it warm?' },
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'text', text: 'Let me look.' },
        { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Łódź' } },
        { type: 'tool_use', id: 'toolu_2', name: 'get_weather', input: { city: 'Oslo' } },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'toolu_1', content: '21' },
        { type: 'tool_result', tool_use_id: 'toolu_2', content: [{ type: 'text', text: '3' }] },
        { type: 'text', text: 'And?' },
      ],
    },
  ],
}

const openaiTool = {
  type: 'function',
  function: { name: 'get_weather', description: 'Weather', parameters: schema },
}

const openaiBody: Body = {
  model: 'm',
  max_tokens: 500,
  temperature: 0.4,
  top_p: 0.9,
  stop: ['END'],
  user: 'u1',
  tools: [openaiTool],
  parallel_tool_calls: false,
  messages: [
    { role: 'system', content: 'Be brief' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Where is it warm?' },
        { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
      ],
    },
    {
      role: 'assistant',
      content: 'Let me look.',
      tool_calls: [
        { id: 'toolu_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Łódź"}' } },
        { id: 'toolu_2', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'toolu_1', content: '21' },
    { role: 'tool', tool_call_id: 'toolu_2', content: '3' },
    { role: 'user', content: 'And?' },
  ],
}

describe('requests from Anthropic to other dialects', () => {
  it('an Anthropic request is translated to the same OpenAI request, with results directly after their calls', () => {
    const { body, dropped } = carried(anthropicBody, anthropic, openai)
    assert.deepEqual(body, { ...openaiBody, model: 'up', stream: false, tool_choice: 'auto' })
    assert.deepEqual(dropped, ['cache_control'])
  })

  it('an Anthropic request is translated to the same Ollama request, with tool names beside the results', () => {
    const { body, dropped } = carried(anthropicBody, anthropic, ollama)
    const call = (index: number, city: string) => ({
      id: `toolu_${index + 1}`,
      function: { index, name: 'get_weather', arguments: { city } },
    })
    assert.deepEqual(body, {
      model: 'up',
      stream: false,
      tools: [openaiTool],
      options: { num_predict: 500, temperature: 0.4, top_p: 0.9, stop: ['END'] },
      messages: [
        { role: 'system', content: 'Be brief' },
        { role: 'user', content: 'Where is it warm?', images: [png] },
        {
          role: 'assistant',
          content: 'Let me look.',
          tool_calls: [call(0, 'Łódź'), call(1, 'Oslo')],
        },
        { role: 'tool', content: '21', tool_name: 'get_weather', tool_call_id: 'toolu_1' },
        { role: 'tool', content: '3', tool_name: 'get_weather', tool_call_id: 'toolu_2' },
        { role: 'user', content: 'And?' },
      ],
    })
    assert.deepEqual(dropped, ['cache_control', 'parallel_tool_calls'])
  })

  it('fields of an Anthropic request that the target does not support are reported', () => {
    const tools = [
      { type: 'web_search_20250305', name: 'web_search' },
      { name: 'f', input_schema: schema },
    ]
    const { dropped } = carried({ ...anthropicBody, tools, container: 'c1' }, anthropic, openai)
    assert.deepEqual(dropped.toSorted(), ['cache_control', 'container', 'tools.web_search_20250305'])
  })

  it('thinking becomes a reasoning level', () => {
    const thinking = { type: 'enabled', budget_tokens: 10_000 }
    assert.equal(carried({ ...anthropicBody, thinking }, anthropic, openai).body.reasoning_effort, 'high')
    assert.equal(
      carried({ ...anthropicBody, thinking: { type: 'disabled' } }, anthropic, ollama).body.think,
      false,
    )
  })

  it('a response schema is translated to OpenAI and Ollama', () => {
    const body = { ...anthropicBody, output_config: { format: { type: 'json_schema', schema } } }
    assert.deepEqual(carried(body, anthropic, ollama).body.format, schema)
    assert.deepEqual(carried(body, anthropic, openai).body.response_format, {
      type: 'json_schema',
      json_schema: { name: 'response', schema },
    })
  })
})

describe('requests from other dialects to Anthropic', () => {
  it('an OpenAI request is translated to the same Anthropic request', () => {
    const { body, dropped } = carried({ ...openaiBody, tool_choice: 'auto' }, openai, anthropic)
    const results = [
      { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: '21' }] },
      { type: 'tool_result', tool_use_id: 'toolu_2', content: [{ type: 'text', text: '3' }] },
      { type: 'text', text: 'And?' },
    ]
    assert.deepEqual(body, {
      ...anthropicBody,
      model: 'up',
      stream: false,
      system: [{ type: 'text', text: 'Be brief' }],
      messages: [
        ...(Array.isArray(anthropicBody.messages) ? anthropicBody.messages.slice(0, 2) : []),
        { role: 'user', content: results },
      ],
    })
    assert.deepEqual(dropped, [])
  })

  it('an Ollama request is translated to the same Anthropic request, with ids and a limit filled in', () => {
    const { body, dropped } = carried(
      {
        model: 'm',
        options: { temperature: 0.4, num_ctx: 4096 },
        tools: [openaiTool],
        messages: [
          { role: 'user', content: 'Where is it warm?', images: [png] },
          {
            role: 'assistant',
            content: '',
            tool_calls: [{ function: { name: 'get_weather', arguments: { city: 'Oslo' } } }],
          },
          { role: 'tool', content: '3', tool_name: 'get_weather' },
        ],
      },
      ollama,
      anthropic,
    )
    const turns = body.messages as { content: Record<string, unknown>[] }[]
    const id = turns[1]?.content[0]?.id
    assert.match(String(id), /^[a-zA-Z0-9_-]+$/)
    assert.deepEqual(body, {
      model: 'up',
      stream: false,
      max_tokens: 4_096,
      temperature: 0.4,
      tools: [{ name: 'get_weather', description: 'Weather', input_schema: schema }],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Where is it warm?' },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } },
          ],
        },
        {
          role: 'assistant',
          content: [{ type: 'tool_use', id, name: 'get_weather', input: { city: 'Oslo' } }],
        },
        {
          role: 'user',
          content: [{ type: 'tool_result', tool_use_id: id, content: [{ type: 'text', text: '3' }] }],
        },
      ],
    })
    assert.deepEqual(dropped, ['options.num_ctx'])
  })

  it('reasoning levels survive translation to Anthropic and back', () => {
    for (const reasoning_effort of ['none', 'low', 'medium', 'high', 'xhigh', 'max']) {
      const there = carried(
        { ...openaiBody, messages: [{ role: 'user', content: 'Hi' }], reasoning_effort },
        openai,
        anthropic,
      )
      assert.equal(carried(there.body, anthropic, openai).body.reasoning_effort, reasoning_effort)
    }
  })
})

describe('requests translated there and back', () => {
  /** Only Anthropic has prompt cache markers. */
  const unmarked = { ...anthropicBody, system: [{ type: 'text', text: 'Be brief' }] }

  /** The meaning of a request; the model name differs at each end. */
  function meaning(body: Body, dialect: Dialect): ChatRequest {
    return { ...dialect.chat.readRequest(body, false), model: '', includeUsage: false }
  }

  it('an Anthropic request keeps its meaning when translated to OpenAI and back', () => {
    const back = carried(carried(unmarked, anthropic, openai).body, openai, anthropic).body
    assert.deepEqual(meaning(back, anthropic), meaning(unmarked, anthropic))
  })

  it('an Anthropic request keeps its meaning when translated to Ollama and back, except the limit to one call', () => {
    const back = carried(carried(unmarked, anthropic, ollama).body, ollama, anthropic).body
    const {
      toolChoice: _choice,
      parallelToolCalls: _parallel,
      user: _user,
      ...expected
    } = meaning(unmarked, anthropic)
    assert.deepEqual(meaning(back, anthropic), expected)
  })

  it('an OpenAI request keeps its meaning when translated to Anthropic and back', () => {
    const body = { ...openaiBody, tool_choice: 'auto' }
    const back = carried(carried(body, openai, anthropic).body, anthropic, openai).body
    assert.deepEqual(meaning(back, openai), meaning(body, openai))
  })
})
