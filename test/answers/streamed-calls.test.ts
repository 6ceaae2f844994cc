import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask, startRig } from '../helpers/dialect-clients.ts'
import { openaiChunk, openaiDone, openaiText } from '../helpers/scripted-upstream.ts'

let rig: Awaited<ReturnType<typeof startRig>>

before(async () => {
  rig = await startRig(openaiText('unused'))
})
after(() => rig.close())

const parameters = { type: 'object', properties: { a: { type: 'string' } } }

/** The calls that an Anthropic client receives for these deltas, and how its message ends. */
async function received(deltas: object[]): Promise<{ calls: string[]; texts: string; end: unknown }> {
  const pieces = [...deltas.map((delta) => openaiChunk(delta)), openaiChunk({}, 'tool_calls'), openaiDone]
  rig.upstream.rescript({ kind: 'stream', pieces })
  const tools = ['f', 'g'].map((name) => ({ name, input_schema: parameters }))
  const { events } = await ask(rig, 'anthropic', 'vllm', { stream: true, tools })
  const calls: string[] = []
  let texts = ''
  for (const event of events) {
    if (event.content_block?.type === 'tool_use') calls.push(`${event.content_block.name} `)
    if (event.delta?.type === 'input_json_delta') calls.push(calls.pop() + event.delta.partial_json)
    texts += event.delta?.text ?? ''
  }
  return { calls, texts, end: events.at(-2)?.delta?.stop_reason ?? events.at(-1) }
}

function delta(...fragments: object[]): object {
  return { tool_calls: fragments }
}

const named = (name: string, json = '') => ({ function: { name, arguments: json } })
const more = (json: string) => ({ function: { arguments: json } })

test('fragments with the same index are one call, even if their ids change', async () => {
  const { calls, end } = await received([
    delta({ index: 0, id: 'a', ...named('f') }),
    delta({ index: 0, id: 'b', ...more('{"a":') }),
    delta({ index: 0, id: 'c', ...more('"x"}') }),
    delta({ index: 1, id: 'd', ...named('g', '{') }),
    delta({ index: 1, id: 'e', ...more('}') }),
  ])
  assert.deepEqual([calls, end], [['f {"a":"x"}', 'g {}'], 'tool_use'])
})

test('a name that is repeated in every fragment makes one call, whatever the ids', async () => {
  const { calls } = await received([
    delta({ index: 0, id: 'a', ...named('f', '{"a"') }),
    delta({ index: 0, id: 'b', ...named('f', ':"x"') }),
    delta({ index: 0, id: 'c', ...named('f', '}') }),
  ])
  assert.deepEqual(calls, ['f {"a":"x"}'])
})

test('calls that all have index 0 are distinguished by their names and ids', async () => {
  const { calls } = await received([
    delta({ index: 0, id: 'a', ...named('f', '{"a":"1"}') }),
    delta({ index: 0, id: 'b', ...named('f', '{"a":"2"}') }),
    delta({ index: 0, id: 'c', ...named('g') }),
    delta({ index: 0, id: 'd', ...named('f') }),
  ])
  assert.deepEqual(calls, ['f {"a":"1"}', 'f {"a":"2"}', 'g {}', 'f {}'])
})

test('fragments without index and name continue the last call, whatever their id', async () => {
  const { calls } = await received([
    delta({ id: 'a', ...named('f', '{"a":') }),
    delta({ id: 'other', ...more('"x"') }),
    delta({ index: 0, ...more('}') }),
  ])
  assert.deepEqual(calls, ['f {"a":"x"}'])
})

test('calls without index and id are separate calls', async () => {
  const { calls } = await received([
    delta(named('f', '{"a":"1"}'), named('f', '{"a":"2"}'), named('f')),
    delta(named('g')),
    delta(named('f', '{"a":')),
    delta(more('"3"}')),
  ])
  assert.deepEqual(calls, ['f {"a":"1"}', 'f {"a":"2"}', 'f {}', 'g {}', 'f {"a":"3"}'])
})

test('an empty tool call after a complete text is ignored', async () => {
  const shell = { index: 0, id: 'a', type: 'function', function: { name: '', arguments: '' } }
  for (const each of [
    shell,
    { index: 0, function: { name: null, arguments: null } },
    { index: 0, id: 'a' },
  ]) {
    const { calls, texts, end } = await received([{ content: 'Done.' }, delta(each)])
    assert.deepEqual([calls, texts, end], [[], 'Done.', 'end_turn'], JSON.stringify(each))
  }
  rig.upstream.rescript(openaiText('Done.', { tool_calls: [shell] }, { finish_reason: 'tool_calls' }))
  const { json } = await ask(rig, 'anthropic', 'vllm')
  assert.deepEqual([json.content, json.stop_reason], [[{ type: 'text', text: 'Done.' }], 'end_turn'])
})
