import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { delta, fragment, read } from './replay.ts'

describe('tool calls of different servers', () => {
  it('a new id on the same index is a new call', () => {
    const events = read(
      fragment({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }),
      fragment({ index: 0, id: 'b', function: { name: 'g', arguments: '{}' } }),
      '[DONE]',
    )
    const starts = events.filter((event) => event.type === 'tool-call-start')
    assert.deepEqual(
      starts.map(({ call, id, name }) => ({ call, id, name })),
      [
        { call: 0, id: 'a', name: 'f' },
        { call: 1, id: 'b', name: 'g' },
      ],
    )
    assert.equal(events.filter((event) => event.type === 'block-end').length, 2)
  })

  it('a name repeated with a new id in each chunk makes one call', () => {
    const events = read(
      fragment({ index: 0, id: 'a', function: { name: 'f', arguments: '' } }),
      fragment({ index: 0, id: 'b', function: { name: 'f', arguments: '{"x":' } }),
      fragment({ index: 0, id: 'c', function: { name: 'f', arguments: '1}' } }),
      '[DONE]',
    )
    const texts = events.flatMap((event) => (event.type === 'tool-call-delta' ? [event.arguments] : []))
    assert.equal(texts.join(''), '{"x":1}')
    assert.equal(events.filter((event) => event.type === 'tool-call-start').length, 1)
  })

  it('calls without index and id are distinguished by their names, and get generated ids', () => {
    const events = read(
      fragment({ function: { name: 'f', arguments: '{"a":' } }),
      fragment({ function: { arguments: '1}' } }),
      fragment({ function: { name: 'f', arguments: '{}' } }),
      '[DONE]',
    )
    assert.deepEqual(
      events.filter((event) => event.type !== 'start' && event.type !== 'usage'),
      [
        { type: 'tool-call-start', choice: 0, call: 0, id: 'made_0', name: 'f' },
        { type: 'tool-call-delta', choice: 0, call: 0, arguments: '{"a":' },
        { type: 'tool-call-delta', choice: 0, call: 0, arguments: '1}' },
        { type: 'block-end', choice: 0, call: 0 },
        { type: 'tool-call-start', choice: 0, call: 1, id: 'made_1', name: 'f' },
        { type: 'tool-call-delta', choice: 0, call: 1, arguments: '{}' },
        { type: 'block-end', choice: 0, call: 1 },
        { type: 'finish', choice: 0, reason: 'tool_calls' },
        { type: 'end' },
      ],
    )
  })

  it('arguments that arrive before the name wait for it', () => {
    const events = read(
      fragment({ index: 0, id: 'a', function: { arguments: '{"x"' } }),
      fragment({ index: 0, function: { name: 'f', arguments: ':1}' } }),
      '[DONE]',
    )
    assert.deepEqual(events.slice(1, 3), [
      { type: 'tool-call-start', choice: 0, call: 0, id: 'a', name: 'f' },
      { type: 'tool-call-delta', choice: 0, call: 0, arguments: '{"x":1}' },
    ])
  })

  it('arguments sent as an object become a string, and null becomes an empty object', () => {
    const events = read(
      fragment({ index: 0, id: 'a', function: { name: 'f', arguments: { x: 1 } } }),
      fragment({ index: 1, id: 'b', function: { name: 'g', arguments: 'null' } }),
      '[DONE]',
    )
    const deltas = events.filter((event) => event.type === 'tool-call-delta')
    assert.deepEqual(
      deltas.map((event) => event.arguments),
      ['{"x":1}', '{}'],
    )
  })

  it('an empty object before the arguments is not part of them', () => {
    const events = read(
      fragment({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }),
      fragment({ index: 0, function: { arguments: '{"x"' } }),
      fragment({ index: 0, function: { arguments: ':1}' } }),
      fragment({ index: 1, id: 'b', function: { name: 'g', arguments: '{' } }),
      fragment({ index: 1, function: { arguments: '}' } }),
      '[DONE]',
    )
    const deltas = events.flatMap((event) => (event.type === 'tool-call-delta' ? [event] : []))
    const joined = [0, 1].map((call) =>
      deltas
        .filter((delta) => delta.call === call)
        .map((delta) => delta.arguments)
        .join(''),
    )
    assert.deepEqual(joined, ['{"x":1}', '{}'])
  })

  it('a repeated id is replaced', () => {
    const events = read(
      fragment({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }),
      fragment({ index: 1, id: 'a', function: { name: 'f', arguments: '{}' } }),
      '[DONE]',
    )
    const ids = events.filter((event) => event.type === 'tool-call-start').map(({ id }) => id)
    assert.deepEqual(ids, ['a', 'made_0'])
  })

  it('a call with truncated arguments, or arguments that are not an object, is passed on as received', () => {
    for (const json of ['{"x":', '[1]', 'x = 1']) {
      const cut = fragment({ index: 0, id: 'a', function: { name: 'f', arguments: json } })
      assert.deepEqual(read(cut, delta({}, 'length'), '[DONE]').slice(1), [
        { type: 'tool-call-start', choice: 0, call: 0, id: 'a', name: 'f' },
        { type: 'tool-call-delta', choice: 0, call: 0, arguments: json },
        { type: 'block-end', choice: 0, call: 0 },
        { type: 'finish', choice: 0, reason: 'length' },
        { type: 'end' },
      ])
    }
  })

  it('a call without a name is ignored', () => {
    const nameless = fragment({ index: 0, id: 'a', function: { arguments: '{}' } })
    const named = fragment({ index: 1, id: 'b', function: { name: 'f', arguments: '{}' } })
    const events = read(nameless, named, delta({}, 'tool_calls'), '[DONE]')
    assert.deepEqual(
      events.filter(({ type }) => type === 'tool-call-start'),
      [{ type: 'tool-call-start', choice: 0, call: 0, id: 'b', name: 'f' }],
    )
    assert.deepEqual(read(delta({ content: 'a' }), nameless, delta({}, 'tool_calls'), '[DONE]').slice(2), [
      { type: 'finish', choice: 0, reason: 'stop' },
      { type: 'end' },
    ])
  })

  it('the text of a custom tool becomes its only argument', () => {
    const events = read(
      fragment({ index: 0, id: 'a', type: 'custom', custom: { name: 'py', input: '' } }),
      fragment({ index: 0, custom: { input: 'print(' } }),
      fragment({ index: 0, custom: { input: '"1")' } }),
      delta({}, 'tool_calls'),
      '[DONE]',
    )
    assert.deepEqual(events.slice(1, 4), [
      { type: 'tool-call-start', choice: 0, call: 0, id: 'a', name: 'py' },
      { type: 'tool-call-delta', choice: 0, call: 0, arguments: '{"input":"print(\\"1\\")"}' },
      { type: 'block-end', choice: 0, call: 0 },
    ])
  })

  it('the deprecated function_call becomes one call', () => {
    const events = read(
      delta({ function_call: { name: 'f', arguments: '' } }),
      delta({ function_call: { arguments: '{}' } }),
      delta({}, 'function_call'),
      '[DONE]',
    )
    assert.deepEqual(events.slice(1), [
      { type: 'tool-call-start', choice: 0, call: 0, id: 'made_0', name: 'f' },
      { type: 'tool-call-delta', choice: 0, call: 0, arguments: '{}' },
      { type: 'block-end', choice: 0, call: 0 },
      { type: 'finish', choice: 0, reason: 'tool_calls' },
      { type: 'end' },
    ])
  })
})

it('a stop after tool calls becomes tool_calls, and a token limit stays length', () => {
  const call = fragment({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } })
  assert.deepEqual(read(call, delta({}, 'stop'), '[DONE]').at(-2), {
    type: 'finish',
    choice: 0,
    reason: 'tool_calls',
  })
  assert.deepEqual(read(call, delta({}, 'length'), '[DONE]').at(-2), {
    type: 'finish',
    choice: 0,
    reason: 'length',
  })
})

it('very many calls take time proportional to their number', () => {
  const cost = (count: number): number => {
    const chunks = Array.from({ length: count }, (_, index) => [
      fragment({ index, id: `c${index}`, function: { name: 'f', arguments: '{"a":' } }),
      fragment({ index, function: { arguments: '1}' } }),
    ]).flat()
    const from = process.cpuUsage()
    const events = read(...chunks, '[DONE]')
    const { user, system } = process.cpuUsage(from)
    assert.equal(events.filter((event) => event.type === 'tool-call-start').length, count)
    return (user + system) / 1000
  }
  cost(1_000)
  const few = Math.min(cost(1_000), cost(1_000))
  // 16 times the calls; comparing each with all others takes 256 times as long.
  const many = Math.min(cost(16_000), cost(16_000))
  assert.ok(many < 64 * Math.max(few, 5), `${few} ms, ${many} ms`)
})
