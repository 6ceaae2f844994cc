import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readRequest } from '../../../src/dialects/ollama/request/read.ts'
import type { ChatMessage, ChatRequest } from '../../../src/sdk/chat.ts'
import { RouterError } from '../../../src/sdk/errors.ts'

const png = 'iVBORw0KGgoAAAANSUhEUg=='
const calls = (...names: string[]) => ({
  role: 'assistant',
  content: '',
  tool_calls: names.map((name) => ({ function: { name, arguments: {} } })),
})

function read(body: Record<string, unknown>): ChatRequest {
  return readRequest({ model: 'm', messages: [], ...body }, true)
}

function idsOf(messages: readonly ChatMessage[]): string[] {
  return messages.flatMap((message) => {
    if (message.role === 'assistant') return message.toolCalls.map(({ id }) => id)
    return message.role === 'tool' ? [message.callId] : []
  })
}

function isBadRequest(param: string): (error: unknown) => boolean {
  return (error) => error instanceof RouterError && error.kind === 'bad_request' && error.param === param
}

test('each role becomes its message, with reasoning and images', () => {
  const { messages } = read({
    messages: [
      { role: 'system', content: 'Be brief' },
      { role: 'user', content: 'What is this?', images: [png] },
      { role: 'assistant', content: 'A dot', thinking: 'hm' },
    ],
  })
  assert.deepEqual(messages, [
    { role: 'system', developer: false, parts: [{ type: 'text', text: 'Be brief' }] },
    {
      role: 'user',
      parts: [
        { type: 'text', text: 'What is this?' },
        { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: png } },
      ],
    },
    { role: 'assistant', parts: [{ type: 'text', text: 'A dot' }], reasoning: 'hm', toolCalls: [] },
  ])
})

test('the model is also read from model_name, and token counts are always requested', () => {
  const request = readRequest({ model_name: 'other', messages: [] }, false)
  assert.equal(request.model, 'other')
  assert.equal(request.stream, false)
  assert.equal(request.includeUsage, true)
  assert.deepEqual(request.extras, {})
})

describe('images', () => {
  const kinds: [string, Buffer][] = [
    ['image/jpeg', Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46, 0, 1])],
    ['image/gif', Buffer.from('GIF89a......')],
    ['image/webp', Buffer.from('RIFF\x10\0\0\0WEBPVP8 ', 'latin1')],
  ]
  for (const [mediaType, bytes] of kinds) {
    test(`${mediaType} is recognized by its first bytes`, () => {
      const data = bytes.toString('base64')
      const { messages } = read({ messages: [{ role: 'user', images: [data] }] })
      assert.deepEqual(messages[0]?.parts, [{ type: 'image', source: { kind: 'base64', mediaType, data } }])
    })
  }

  test('a data URL, base64url and line breaks become standard base64', () => {
    const bytes = Buffer.concat([
      Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]),
      Buffer.alloc(8, 0xfb),
    ])
    const standard = bytes.toString('base64')
    assert.match(standard, /[+/]/)
    const odd = `data:image/jpeg;base64,${standard.replaceAll('+', '-').replaceAll('/', '_').replace(/.{8}/, '$&\n')}`
    const { messages } = read({ messages: [{ role: 'user', images: [odd] }] })
    assert.deepEqual(messages[0]?.parts, [
      { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: standard } },
    ])
  })

  for (const data of ['UklGRhAAAABXQVZFZm10IA==', 'not base64!', '']) {
    test(`bytes that are not an image are rejected with their path: "${data}"`, () => {
      const messages = [{ role: 'user', content: 'x', images: [png, data] }]
      assert.throws(() => read({ messages }), isBadRequest('messages[0].images[1]'))
    })
  }
})

describe('tool calls', () => {
  test('missing ids are generated, differ, and are the same in each turn', () => {
    const turn = [calls('f', 'g'), { role: 'tool', content: '1' }, { role: 'tool', content: '2' }]
    const first = idsOf(read({ messages: turn }).messages)
    const later = idsOf(read({ messages: [...turn, { role: 'user', content: 'And?' }] }).messages)
    assert.deepEqual(later, first)
    assert.notEqual(first[0], first[1])
    assert.deepEqual(first.slice(2), first.slice(0, 2))
    assert.match(String(first[0]), /^call_[0-9a-f]{24}$/)
  })

  test('a result is matched to its call by id, whatever the order', () => {
    const { messages } = read({
      messages: [
        {
          role: 'assistant',
          tool_calls: ['a', 'b'].map((id) => ({ id, function: { name: 'f', arguments: { id } } })),
        },
        { role: 'tool', content: 'B', tool_call_id: 'b' },
        { role: 'tool', content: 'A', tool_call_id: 'a' },
      ],
    })
    assert.deepEqual(idsOf(messages), ['a', 'b', 'b', 'a'])
  })

  test('a result without an id is matched to the oldest open call with its name', () => {
    const { messages } = read({
      messages: [
        calls('f', 'g', 'g'),
        { role: 'tool', content: '', tool_name: 'g' },
        { role: 'tool', content: '', tool_name: 'g' },
        { role: 'tool', content: '', tool_name: 'f' },
      ],
    })
    const [f, firstG, secondG, ...answered] = idsOf(messages)
    assert.deepEqual(answered, [firstG, secondG, f])
  })

  test('a result with neither id nor name is matched to the oldest open call, and gets its name', () => {
    const { messages } = read({ messages: [calls('f'), calls('g'), { role: 'tool' }, { role: 'tool' }] })
    const [f, g, ...answered] = idsOf(messages)
    assert.deepEqual(answered, [f, g])
    assert.deepEqual(
      messages.map((message) => (message.role === 'tool' ? message.name : '')),
      ['', '', 'f', 'g'],
    )
  })

  test('a surplus result is rejected with its path', () => {
    const messages = [calls('f'), { role: 'tool', content: '1' }, { role: 'tool', content: '2' }]
    assert.throws(() => read({ messages }), isBadRequest('messages[2]'))
    assert.throws(() => read({ messages: [{ role: 'tool', content: '1' }] }), isBadRequest('messages[0]'))
  })

  test('equal ids of two calls are made different, and each result keeps its own call', () => {
    const call = { id: 'call_0', function: { name: 'f', arguments: {} } }
    const turn = [
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', content: '1', tool_call_id: 'call_0' },
    ]
    const [first, firstAnswer, second, secondAnswer] = idsOf(read({ messages: [...turn, ...turn] }).messages)
    assert.equal(firstAnswer, first)
    assert.equal(secondAnswer, second)
    assert.notEqual(first, second)
  })

  test('arguments become a JSON string, and absent ones an empty object', () => {
    const { messages } = read({
      messages: [
        {
          role: 'assistant',
          tool_calls: [
            { function: { name: 'f', arguments: { city: 'Łódź' } } },
            { function: { name: 'g' } },
            { function: { name: 'h', arguments: null } },
          ],
        },
      ],
    })
    const [message] = messages
    assert.ok(message?.role === 'assistant')
    assert.deepEqual(
      message.toolCalls.map((call) => call.arguments),
      ['{"city":"Łódź"}', '{}', '{}'],
    )
  })
})

test('options become the sampling fields of all dialects, and the others remain Ollama’s own', () => {
  const request = read({
    options: {
      num_predict: 100,
      temperature: 0,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.05,
      typical_p: 1,
      repeat_penalty: 1.1,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      seed: 42,
      stop: ['\n', ''],
      num_ctx: 8192,
      num_gpu: null,
    },
    keep_alive: '10m',
  })
  assert.deepEqual(request.sampling, {
    maxTokens: 100,
    temperature: 0,
    topP: 0.9,
    topK: 40,
    minP: 0.05,
    typicalP: 1,
    repetitionPenalty: 1.1,
    presencePenalty: 0.1,
    frequencyPenalty: 0.2,
    seed: 42,
    stop: ['\n'],
  })
  assert.deepEqual(request.ollama, { keepAlive: '10m', options: { num_ctx: 8192 } })
})

test('"no limit", "random" and an empty stop list set nothing', () => {
  const request = read({ options: { num_predict: -1, seed: -1, stop: [], temperature: null } })
  assert.deepEqual(request.sampling, {})
  assert.equal(request.ollama, undefined)
})

test('a keep_alive of 0 is kept', () => assert.deepEqual(read({ keep_alive: 0 }).ollama, { keepAlive: 0 }))

const thinkLevels: [unknown, string | undefined][] = [
  [true, 'on'],
  [false, 'none'],
  ['low', 'low'],
  ['max', 'max'],
  [null, undefined],
]
for (const [think, effort] of thinkLevels) {
  test(`think ${JSON.stringify(think)} becomes the effort ${effort}`, () =>
    assert.equal(read({ think }).reasoningEffort, effort))
}

test('an unknown level of think is rejected', () =>
  assert.throws(() => read({ think: 'lots' }), isBadRequest('think')))

test('format can be JSON, a schema or empty, and anything else is rejected', () => {
  assert.deepEqual(read({ format: 'json' }).responseFormat, { type: 'json' })
  assert.deepEqual(read({ format: { type: 'object' } }).responseFormat, {
    type: 'schema',
    schema: { type: 'object' },
  })
  assert.equal(read({ format: '' }).responseFormat, undefined)
  assert.equal(read({ format: null }).responseFormat, undefined)
  assert.throws(() => read({ format: 'yaml' }), isBadRequest('format'))
})

test('tools keep name, description, schema and strict', () => {
  const parameters = { type: 'object', properties: { city: { type: 'string' } } }
  const { tools } = read({
    tools: [
      { type: 'function', function: { name: 'f', description: 'd', parameters, strict: true } },
      { function: { name: 'g', description: null } },
    ],
  })
  assert.deepEqual(tools, [{ name: 'f', description: 'd', parameters, strict: true }, { name: 'g' }])
})

test('top_logprobs is ignored without logprobs', () => {
  assert.deepEqual(read({ logprobs: true, top_logprobs: 3 }).sampling, { logprobs: true, topLogprobs: 3 })
  assert.deepEqual(read({ top_logprobs: 3 }).sampling, {})
})

test('unknown fields are kept', () => {
  assert.deepEqual(read({ truncate: false, custom: { a: 1 }, nothing: null }).extras, {
    truncate: false,
    custom: { a: 1 },
  })
})
