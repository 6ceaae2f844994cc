import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { answerOf, eventsOf, messageOf, play } from './mock-player.ts'

const hello = { model: 'mock-model', messages: [{ role: 'user', content: 'Hello there' }] }
const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}
const clock = { type: 'function', function: { name: 'get_time' } }

describe('content of the mock', () => {
  it('the mock names the model, the number of messages and the last user text, and identifies itself as a mock', () => {
    const answer = answerOf({
      ...hello,
      messages: [{ role: 'system', content: 'Be kind' }, ...hello.messages],
    })
    const content = answer.choices[0]?.message.content ?? ''
    assert.match(content, /"mock-model"/)
    assert.match(content, /2 messages/)
    assert.match(content, /"Hello there"/)
    assert.equal(answer.model, 'mock-model')
    assert.equal(answer.system_fingerprint, 'fp_mock')
    assert.equal(answer.object, 'chat.completion')
    assert.equal(answer.choices[0]?.finish_reason, 'stop')
  })

  it('the mock mentions images and tools, and shortens a long text', () => {
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
    const content = [{ type: 'text', text: 'word '.repeat(500) }, image, image]
    const said =
      messageOf({ ...hello, messages: [{ role: 'user', content }], tools: [weather, clock] }).content ?? ''
    assert.match(said, /2 images/)
    assert.match(said, /2 tools \(get_weather, get_time\)/)
    assert.ok(said.length < 300, said)
  })

  it('the mock says the configured reply', () => {
    assert.equal(messageOf(hello, { reply: 'Fine.' }).content, 'Fine.')
  })

  it('the mock quotes the result of a tool', () => {
    const messages = [
      ...hello.messages,
      {
        role: 'assistant',
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'c', content: '18 degrees' },
    ]
    assert.match(messageOf({ ...hello, messages }).content ?? '', /"18 degrees"/)
  })

  it('the mock reasons first if a reasoning level is requested, but not for "none"', () => {
    const message = messageOf({ ...hello, reasoning_effort: 'low' }, { reply: 'Done' })
    assert.ok(message.reasoning_content)
    assert.equal(message.content, 'Done')
    assert.equal(messageOf({ ...hello, reasoning_effort: 'none' }).reasoning_content, undefined)
  })

  it('the mock returns as many choices as "n" requests', () => {
    const choices = answerOf({ ...hello, n: 3 }).choices
    assert.deepEqual(
      choices.map((choice) => choice.index),
      [0, 1, 2],
    )
    assert.equal(new Set(choices.map((choice) => choice.message.content)).size, 3)
  })
})

describe('limits of a mock response', () => {
  it('a mock response ends at max_tokens with the reason "length", reasoning included', () => {
    const whole = answerOf({ ...hello, reasoning_effort: 'high' })
    const limit = whole.usage.completion_tokens - 1
    const cut = answerOf({ ...hello, reasoning_effort: 'high', max_tokens: limit })
    assert.equal(cut.choices[0]?.finish_reason, 'length')
    assert.equal(cut.usage.completion_tokens, limit)
    assert.ok(whole.choices[0]?.message.content?.startsWith(cut.choices[0]?.message.content ?? '-'))
    const exact = answerOf({ ...hello, reasoning_effort: 'high', max_completion_tokens: limit + 1 })
    assert.equal(exact.choices[0]?.finish_reason, 'stop')
  })

  it('a mock response leaves out a tool call that the limit would truncate', () => {
    const answer = answerOf({ ...hello, tools: [weather], tool_choice: 'required', max_tokens: 2 })
    assert.equal(answer.choices[0]?.message.tool_calls, undefined)
    assert.equal(answer.choices[0]?.finish_reason, 'length')
  })

  it('a mock response ends before the earliest stop sequence', () => {
    const settings = { reply: 'one two three' }
    assert.equal(messageOf({ ...hello, stop: 'two' }, settings).content, 'one ')
    assert.equal(messageOf({ ...hello, stop: ['three', ' two'] }, settings).content, 'one')
    assert.equal(answerOf({ ...hello, stop: 'two' }, settings).choices[0]?.finish_reason, 'stop')
  })

  it('a mock response counts more prompt tokens for a longer conversation, and the total is the sum', () => {
    const short = answerOf(hello).usage
    const long = answerOf({
      ...hello,
      messages: [{ role: 'user', content: 'Hello there '.repeat(50) }],
    }).usage
    assert.ok(long.prompt_tokens > short.prompt_tokens + 100)
    assert.equal(short.total_tokens, short.prompt_tokens + short.completion_tokens)
  })
})

describe('tool calls', () => {
  const settings = { tool_call: { name: 'get_weather', arguments: { city: 'Oslo' } } }

  it('the mock calls the configured tool with its arguments if the request has tools', () => {
    const answer = answerOf({ ...hello, tools: [clock, weather] }, settings)
    const call = answer.choices[0]?.message.tool_calls?.[0]
    assert.ok(call?.type === 'function')
    assert.deepEqual(call.function, { name: 'get_weather', arguments: '{"city":"Oslo"}' })
    assert.match(call.id, /^call_[0-9a-f]{24}$/)
    assert.equal(answer.choices[0]?.message.content, null)
    assert.equal(answer.choices[0]?.finish_reason, 'tool_calls')
  })

  it('the mock calls the first tool of the request if the setting is just "true"', () => {
    const call = messageOf({ ...hello, tools: [clock, weather] }, JSON.parse('{"tool_call":true}'))
      .tool_calls?.[0]
    assert.equal(call?.type === 'function' && call.function.name, 'get_time')
  })

  it('the mock responds with text without tools, with tool_choice "none" and after a tool result', () => {
    const result = { role: 'tool', tool_call_id: 'c', content: 'sunny' }
    const requests = [
      hello,
      { ...hello, tools: [weather], tool_choice: 'none' },
      { ...hello, tools: [weather], messages: [...hello.messages, result] },
    ]
    for (const request of requests) {
      const message = messageOf(request, settings)
      assert.ok(message.content)
      assert.equal(message.tool_calls, undefined)
    }
  })

  it('the mock calls a tool that tool_choice requires, with the required arguments of its schema', () => {
    for (const tool_choice of ['required', { type: 'function', function: { name: 'get_weather' } }]) {
      const call = messageOf({ ...hello, tools: [weather, clock], tool_choice }).tool_calls?.[0]
      assert.ok(call?.type === 'function')
      assert.equal(call.function.name, 'get_weather')
      assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ['city'])
    }
  })

  it('the mock calls a tool without parameters with an object as arguments', () => {
    const call = messageOf({ ...hello, tools: [clock], tool_choice: 'required' }).tool_calls?.[0]
    assert.equal(call?.type === 'function' && call.function.arguments, '{}')
  })
})

describe('structured output', () => {
  it('json_object yields a JSON object, whatever the reply', () => {
    const request = { ...hello, response_format: { type: 'json_object' } }
    assert.match(JSON.parse(messageOf(request).content ?? '').reply, /Hello there/)
    assert.deepEqual(JSON.parse(messageOf(request, { reply: 'plain' }).content ?? ''), { reply: 'plain' })
    assert.equal(messageOf(request, { reply: '{"a":1}' }).content, '{"a":1}')
  })

  it('a schema yields an object with its required members', () => {
    const schema = {
      type: 'object',
      properties: { city: { type: 'string' }, degrees: { type: 'number' }, note: { type: 'string' } },
      required: ['city', 'degrees'],
    }
    const request = { ...hello, response_format: { type: 'json_schema', json_schema: { name: 'w', schema } } }
    const value = JSON.parse(messageOf(request, { reply: 'not JSON' }).content ?? '')
    assert.deepEqual(Object.keys(value), ['city', 'degrees'])
    assert.equal(typeof value.city, 'string')
    assert.equal(typeof value.degrees, 'number')
  })
})

describe('streams of the mock', () => {
  it('a mock stream says the same as a whole response: one token per event, role first and finish last', () => {
    const whole = answerOf(hello)
    const events = eventsOf(hello)
    assert.deepEqual(events[0]?.choices[0]?.delta, { role: 'assistant', content: '' })
    assert.equal(
      events.map((event) => event.choices[0]?.delta.content ?? '').join(''),
      whole.choices[0]?.message.content,
    )
    assert.equal(events.at(-1)?.choices[0]?.finish_reason, 'stop')
    assert.equal(events.length, whole.usage.completion_tokens + 2)
    assert.equal(new Set(events.map((event) => `${event.id} ${event.created}`)).size, 1)
    assert.ok(events.every((event) => event.object === 'chat.completion.chunk' && !('usage' in event)))
  })

  it('a mock stream ends with [DONE] and an empty line', () => {
    const { text, headers, ended } = play({ ...hello, stream: true })
    assert.ok(text.endsWith('}\n\ndata: [DONE]\n\n'))
    assert.match(String(headers['content-type']), /^text\/event-stream/)
    assert.ok(ended)
  })

  it('a mock stream reports token counts in a chunk of their own if requested', () => {
    const events = eventsOf({ ...hello, stream_options: { include_usage: true } })
    assert.deepEqual(events.at(-1)?.choices, [])
    assert.deepEqual(events.at(-1)?.usage, answerOf(hello).usage)
    assert.ok(events.slice(0, -1).every((event) => event.usage === null))
  })

  it('a mock stream sends a tool call in fragments that join to its arguments', () => {
    const settings = { tool_call: { name: 'get_weather', arguments: { city: 'Łódź "🏠"' } } }
    const events = eventsOf({ ...hello, tools: [weather] }, settings)
    const parts = events.flatMap((event) => event.choices[0]?.delta.tool_calls ?? [])
    assert.equal(parts[0]?.function?.name, 'get_weather')
    assert.ok(parts[0]?.id)
    assert.ok(parts.length > 2 && parts.slice(1).every((part) => part.id === undefined && part.index === 0))
    assert.equal(parts.map((part) => part.function?.arguments).join(''), '{"city":"Łódź \\"🏠\\""}')
    assert.equal(events.at(-1)?.choices[0]?.finish_reason, 'tool_calls')
  })

  it('a mock stream sends each choice a role and a finish, in turns', () => {
    const events = eventsOf({ ...hello, n: 2 }, { reply: 'a b c' })
    const indices = events.map((event) => event.choices[0]?.index)
    assert.deepEqual(indices, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    assert.deepEqual(
      events.slice(-2).map((event) => event.choices[0]?.finish_reason),
      ['stop', 'stop'],
    )
  })

  it('a mock stream sends reasoning before content', () => {
    const events = eventsOf({ ...hello, reasoning_effort: 'medium' })
    const kinds = events.slice(1, -1).map((event) => Object.keys(event.choices[0]?.delta ?? {})[0])
    assert.ok(kinds.lastIndexOf('reasoning_content') < kinds.indexOf('content'))
    assert.ok(kinds.indexOf('reasoning_content') === 0)
  })
})
