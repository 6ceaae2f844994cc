import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { writeRequest } from '../../../src/dialects/ollama/request/write.ts'
import type { ChatRequest, UserPart } from '../../../src/sdk/chat.ts'
import { RouterError } from '../../../src/sdk/errors.ts'
import { chatRequest } from '../shared/codec.ts'

const tools = [{ name: 'f', description: 'd', parameters: { type: 'object' }, strict: true }, { name: 'g' }]

function write(changes: Partial<ChatRequest>): { body: Record<string, unknown>; dropped: string[] } {
  const dropped: string[] = []
  const options = { model: 'upstream-m', flavour: {}, drop: (field: string) => void dropped.push(field) }
  return { body: writeRequest(chatRequest(changes), options), dropped }
}

function userMessage(parts: UserPart[]): Partial<ChatRequest> {
  return { messages: [{ role: 'user', parts }] }
}

function isBadRequest(param: string): (error: unknown) => boolean {
  return (error) => error instanceof RouterError && error.kind === 'bad_request' && error.param === param
}

test('a plain request has the model, the messages, an explicit stream, and nothing that was not requested', () => {
  const { body, dropped } = write({ stream: false })
  assert.deepEqual(body, { model: 'upstream-m', messages: [{ role: 'user', content: 'Hi' }], stream: false })
  assert.deepEqual(dropped, [])
})

describe('messages', () => {
  test('a developer message becomes a system message', () => {
    const { body } = write({
      messages: [{ role: 'system', developer: true, parts: [{ type: 'text', text: 'S' }] }],
    })
    assert.deepEqual(body.messages, [{ role: 'system', content: 'S' }])
  })

  test('the parts of a message stay one message, with texts joined and images beside them', () => {
    const { body, dropped } = write(
      userMessage([
        { type: 'text', text: 'a' },
        { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'AAAA' } },
        { type: 'text', text: 'b' },
        { type: 'image', source: { kind: 'url', url: 'data:image/png;base64,BBBB' }, detail: 'low' },
      ]),
    )
    assert.deepEqual(body.messages, [{ role: 'user', content: 'a\nb', images: ['AAAA', 'BBBB'] }])
    assert.deepEqual(dropped, ['image_url.detail'])
  })

  test('an image URL is rejected, because Ollama does not fetch images', () => {
    const part: UserPart = { type: 'image', source: { kind: 'url', url: 'https://example.org/a.png' } }
    assert.throws(() => write(userMessage([part])), isBadRequest('messages[0].content'))
  })

  test('audio and files are rejected', () => {
    const audio: UserPart = { type: 'audio', data: 'AAAA', format: 'wav' }
    assert.throws(() => write(userMessage([audio])), isBadRequest('messages[0].content'))
    assert.throws(
      () => write(userMessage([{ type: 'file', fileId: 'x' }])),
      isBadRequest('messages[0].content'),
    )
  })

  test('a tool turn keeps reasoning, ids and order, has objects as arguments, and names the function of each result', () => {
    const { body } = write({
      messages: [
        {
          role: 'assistant',
          parts: [],
          reasoning: 'hm',
          toolCalls: [
            { id: 'a', name: 'f', arguments: '{"x":1}' },
            { id: 'b', name: 'g', arguments: '' },
          ],
        },
        { role: 'tool', callId: 'b', parts: [{ type: 'text', text: '2' }] },
      ],
    })
    assert.deepEqual(body.messages, [
      {
        role: 'assistant',
        content: '',
        thinking: 'hm',
        tool_calls: [
          { id: 'a', function: { index: 0, name: 'f', arguments: { x: 1 } } },
          { id: 'b', function: { index: 1, name: 'g', arguments: {} } },
        ],
      },
      { role: 'tool', content: '2', tool_name: 'g', tool_call_id: 'b' },
    ])
  })

  test('arguments that are not an object are rejected with their path', () => {
    const toolCalls = [{ id: 'a', name: 'f', arguments: '[1]' }]
    assert.throws(
      () => write({ messages: [{ role: 'assistant', parts: [], reasoning: '', toolCalls }] }),
      isBadRequest('messages[0].tool_calls[0].function.arguments'),
    )
  })

  test('a refusal in the history becomes text, and the name of a speaker is reported', () => {
    const { body, dropped } = write({
      messages: [
        { role: 'assistant', parts: [{ type: 'refusal', text: 'No.' }], reasoning: '', toolCalls: [] },
        { role: 'user', name: 'Ada', parts: [{ type: 'text', text: 'Why?' }] },
      ],
    })
    assert.deepEqual(body.messages, [
      { role: 'assistant', content: 'No.' },
      { role: 'user', content: 'Why?' },
    ])
    assert.deepEqual(dropped, ['messages.name'])
  })
})

describe('tools', () => {
  const written = [
    { type: 'function', function: { name: 'f', description: 'd', parameters: { type: 'object' } } },
    { type: 'function', function: { name: 'g', parameters: { type: 'object', properties: {} } } },
  ]

  test('schemas are passed on, a missing one is added, and strict is reported', () => {
    const { body, dropped } = write({ tools, toolChoice: 'auto' })
    assert.deepEqual(body.tools, written)
    assert.deepEqual(dropped, ['tools.strict'])
  })

  test('the tool choice "none" offers no tools', () =>
    assert.equal('tools' in write({ tools, toolChoice: 'none' }).body, false))

  test('a named tool is the only one offered, and the missing force is reported', () => {
    const { body, dropped } = write({ tools, toolChoice: { name: 'g' } })
    assert.deepEqual(body.tools, [written[1]])
    assert.ok(dropped.includes('tool_choice'))
    assert.throws(() => write({ tools, toolChoice: { name: 'h' } }), isBadRequest('tool_choice'))
  })

  test('a required tool call and the limit to one call are reported', () => {
    const { body, dropped } = write({ tools, toolChoice: 'required', parallelToolCalls: false })
    assert.deepEqual(body.tools, written)
    assert.ok(dropped.includes('tool_choice') && dropped.includes('parallel_tool_calls'))
  })
})

test('sampling is sent in options under Ollama’s names, including zeros', () => {
  const { body } = write({
    sampling: {
      maxTokens: 5,
      temperature: 0,
      topP: 0.5,
      topK: 3,
      minP: 0.1,
      typicalP: 0.2,
      repetitionPenalty: 1.2,
      presencePenalty: 0.3,
      frequencyPenalty: 0.4,
      seed: 7,
      stop: ['a', ''],
      logprobs: true,
      topLogprobs: 2,
      n: 1,
    },
  })
  assert.deepEqual(body.options, {
    num_predict: 5,
    temperature: 0,
    top_p: 0.5,
    top_k: 3,
    min_p: 0.1,
    typical_p: 0.2,
    repeat_penalty: 1.2,
    presence_penalty: 0.3,
    frequency_penalty: 0.4,
    seed: 7,
    stop: ['a'],
  })
  assert.equal(body.logprobs, true)
  assert.equal(body.top_logprobs, 2)
})

test('several choices are rejected, and a token bias is reported', () => {
  assert.throws(() => write({ sampling: { n: 2 } }), isBadRequest('n'))
  assert.deepEqual(write({ sampling: { logitBias: { '50256': -100 } } }).dropped, ['logit_bias'])
})

test('options and keep_alive meant for Ollama are sent, and override the common names', () => {
  const { body } = write({
    sampling: { temperature: 0.1, seed: 1 },
    ollama: { keepAlive: 0, options: { num_ctx: 8192, temperature: 0.7 } },
  })
  assert.equal(body.keep_alive, 0)
  assert.deepEqual(body.options, { temperature: 0.7, seed: 1, num_ctx: 8192 })
})

test('bookkeeping fields are dropped silently, others are reported, and Ollama’s own are passed on', () => {
  const extras = {
    metadata: {},
    store: true,
    service_tier: 'auto',
    prompt_cache_key: 'k',
    safety_identifier: 's',
  }
  const { body, dropped } = write({
    user: 'u',
    extras: {
      ...extras,
      reasoning_format: 'none',
      verbosity: 'low',
      truncate: false,
      num_ctx: 2048,
      nothing: null,
    },
  })
  assert.deepEqual(dropped, ['reasoning_format', 'verbosity'])
  assert.equal(body.truncate, false)
  assert.deepEqual(body.options, { num_ctx: 2048 })
  assert.deepEqual(Object.keys(body).sort(), ['messages', 'model', 'options', 'stream', 'truncate'])
})

test('the response format becomes format', () => {
  assert.equal(write({ responseFormat: { type: 'json' } }).body.format, 'json')
  const schema = { type: 'object' }
  assert.deepEqual(
    write({ responseFormat: { type: 'schema', schema, name: 'x', strict: true } }).body.format,
    schema,
  )
  assert.equal('format' in write({ responseFormat: { type: 'text' } }).body, false)
})

const levels = [
  ['none', false],
  ['on', true],
  ['minimal', 'low'],
  ['low', 'low'],
  ['medium', 'medium'],
  ['high', 'high'],
  ['xhigh', 'max'],
  ['max', 'max'],
] as const
for (const [reasoningEffort, think] of levels) {
  test(`the effort ${reasoningEffort} becomes think ${think}`, () =>
    assert.equal(write({ reasoningEffort }).body.think, think))
}
