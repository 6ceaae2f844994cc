import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anthropicEvent } from '../helpers/anthropic-answers.ts'
import {
  type Behaviour,
  ollamaDone,
  ollamaLine,
  ollamaPieces,
  ollamaText,
  openaiChunk,
  openaiDone,
  openaiText,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'
import { type Client, clients, type Json, type Kind, outputRig } from './output-clients.ts'

/*
 * Whatever a model wrote is its answer: cut and malformed tool calls, repetition, nothing at all. It is
 * generated once, reaches the client, and does not count against its target.
 */

const rig = outputRig()
const { ask } = rig

const cut = '{"a": "lo'

/** The same cut call in each dialect of an upstream, whole and streamed. Ollama itself has no cut calls. */
const cutCalls: Record<Exclude<Kind, 'ollama'>, { whole: Behaviour; streamed: Behaviour }> = {
  openai: {
    whole: openaiText(
      '',
      {
        content: null,
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: cut } }],
      },
      { finish_reason: 'length' },
    ),
    streamed: {
      kind: 'stream',
      pieces: [
        openaiChunk({
          role: 'assistant',
          tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'f', arguments: '{"a"' } }],
        }),
        openaiChunk({ tool_calls: [{ index: 0, function: { arguments: ': "lo' } }] }),
        openaiChunk({}, 'length'),
        openaiDone,
      ],
    },
  },
  anthropic: {
    whole: {
      kind: 'reply',
      body: {
        type: 'message',
        role: 'assistant',
        model: upstreamModel,
        content: [{ type: 'tool_use', id: 'toolu_1', name: 'f', input: { a: 'lo' } }],
        stop_reason: 'max_tokens',
        usage: { input_tokens: 1, output_tokens: 2 },
      },
    },
    streamed: {
      kind: 'stream',
      pieces: [
        { type: 'message_start', message: { id: 'msg_1', model: upstreamModel, usage: { input_tokens: 1 } } },
        {
          type: 'content_block_start',
          index: 0,
          content_block: { type: 'tool_use', id: 'toolu_1', name: 'f', input: {} },
        },
        { type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json: cut } },
        { type: 'content_block_stop', index: 0 },
        { type: 'message_delta', delta: { stop_reason: 'max_tokens' }, usage: { output_tokens: 2 } },
        { type: 'message_stop' },
      ].map(anthropicEvent),
    },
  },
  responses: {
    whole: { kind: 'reply', body: incomplete() },
    streamed: {
      kind: 'stream',
      pieces: [
        { type: 'response.created', response: { ...incomplete(), status: 'in_progress', output: [] } },
        { type: 'response.output_item.added', output_index: 0, item: { ...callItem(), arguments: '' } },
        { type: 'response.function_call_arguments.delta', output_index: 0, delta: cut },
        { type: 'response.output_item.done', output_index: 0, item: callItem() },
        { type: 'response.incomplete', response: incomplete() },
      ].map(anthropicEvent),
    },
  },
}

function callItem(): object {
  return { id: 'fc_1', type: 'function_call', status: 'incomplete', call_id: 'c', name: 'f', arguments: cut }
}

function incomplete(): object {
  return {
    id: 'resp_1',
    object: 'response',
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
    model: upstreamModel,
    output: [callItem()],
  }
}

describe('a tool call that was cut by the token limit reaches the client as far as it was generated', () => {
  for (const [model, { whole, streamed }] of Object.entries(cutCalls) as [
    keyof typeof cutCalls,
    (typeof cutCalls)['openai'],
  ][]) {
    for (const client of Object.keys(clients) as Client[]) {
      if (model === 'responses' && client !== 'responses') continue
      const { length } = clients[client]
      test(`${client} client, ${model} server: a whole answer contains the cut tool call`, async () => {
        rig.upstream.rescript(whole)
        const { name, json, end } = clients[client].whole(await ask(client, model, false))
        assert.deepEqual([name, end], ['f', length])
        const expected = client === 'anthropic' || client === 'ollama' ? '{"a":"lo"}' : cut
        assert.equal(json, model === 'anthropic' ? '{"a":"lo"}' : expected)
      })
      test(`${client} client, ${model} server: a stream contains the cut tool call`, async () => {
        rig.upstream.rescript(streamed)
        const { name, json, end } = clients[client].stream(await ask(client, model, true))
        assert.deepEqual([name, end], ['f', length])
        assert.equal(json, client === 'ollama' ? '{"a":"lo"}' : cut)
      })
    }
  }
})

describe('output that Ollama stopped for repetition', () => {
  const pieces = Array.from({ length: 31 }, () => ollamaLine({ content: 'ha ' }))
  const text = 'ha '.repeat(31)
  const whole: Behaviour = {
    kind: 'reply',
    body: { model: upstreamModel, message: { role: 'assistant', content: text }, done: false },
  }

  for (const client of ['openai', 'anthropic', 'responses'] as const) {
    test(`${client} client: output that Ollama stopped for repetition is truncated text`, async () => {
      rig.upstream.rescript(whole)
      const answered = clients[client].whole(await ask(client, 'ollama', false))
      assert.deepEqual([answered.text, answered.end], [text, clients[client].length])
      rig.upstream.rescript(ollamaPieces(pieces))
      const streamed = clients[client].stream(await ask(client, 'ollama', true))
      assert.deepEqual([streamed.text, streamed.end], [text, clients[client].length])
    })
  }

  test('ollama client: output that Ollama stopped for repetition is passed through unchanged', async () => {
    rig.upstream.rescript(whole)
    const answered = await ask('ollama', 'ollama', false)
    assert.deepEqual([answered.message.content, answered.done], [text, false])
    rig.upstream.rescript(ollamaPieces(pieces))
    const events = await ask('ollama', 'ollama', true)
    assert.equal(events.map(({ message }: Json) => message.content).join(''), text)
    assert.equal(
      events.some(({ done, error }: Json) => done || error),
      false,
    )
  })

  test('an Ollama stream that ends with a reason but without done is complete, and Ollama clients get the done', async () => {
    const last = { done_reason: 'length', eval_count: 2 }
    const line = `${JSON.stringify({ model: upstreamModel, message: { role: 'assistant', content: '!' }, done: false, ...last })}\n`
    rig.upstream.rescript(ollamaPieces([ollamaLine({ content: 'Hi' }), line]))
    const lines = await ask('ollama', 'ollama', true)
    assert.equal(lines.map(({ message }: Json) => message.content).join(''), 'Hi!')
    const ends = lines.filter(({ done }: Json) => done)
    assert.deepEqual(ends, [lines.at(-1)])
    assert.deepEqual([ends[0].done_reason, ends[0].eval_count, ends[0].model], ['length', 2, 'ollama'])
    const { text: other, end } = clients.openai.stream(await ask('openai', 'ollama', true))
    assert.deepEqual([other, end], ['Hi!', 'length'])
  })

  test('an Ollama stream of other text that ends without done counts as cut off', async () => {
    rig.upstream.rescript(ollamaPieces([ollamaLine({ content: 'Once upon' }), ollamaLine({ content: ' a' })]))
    assert.ok((await ask('ollama', 'ollama', true)).at(-1).error)
    assert.equal(clients.anthropic.stream(await ask('anthropic', 'ollama', true)).end, 'none')
  })

  test('a killed Ollama server or runner ends the stream with an error', async () => {
    const cutOff: Behaviour = { ...streamOf(pieces), ending: 'cut' }
    for (const broken of [cutOff, ollamaPieces([...pieces, '{"error":"runner died"}\n'])]) {
      rig.upstream.rescript(broken)
      const { stream: read } = clients.anthropic
      assert.equal(read(await ask('anthropic', 'ollama', true)).end, 'none')
      assert.ok((await ask('ollama', 'ollama', true)).at(-1).error)
    }
  })

  test('an Ollama body that is ended by its connection counts as cut off', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n'
    rig.upstream.rescript({ kind: 'raw', bytes: head + pieces.join('') })
    assert.ok((await ask('ollama', 'ollama', true)).at(-1).error)
  })

  function streamOf(given: string[]): Extract<Behaviour, { kind: 'stream' }> {
    const behaviour = ollamaPieces(given)
    assert.ok(behaviour.kind === 'stream')
    return behaviour
  }
})

test('unusual model output does not count against its target', async () => {
  rig.upstream.rescript(openaiText('fine'))
  for (let count = 0; count < 3; count++) await ask('openai', 'openai', false)
  rig.upstream.rescript(ollamaText('fine'))
  for (let count = 0; count < 3; count++) await ask('openai', 'ollama', false)
  rig.upstream.rescript(ollamaPieces([ollamaDone({ content: 'fine' })]))
  await ask('ollama', 'ollama', true)
  const failed = rig.router.logs.filter(({ msg }) => msg === 'failover')
  assert.deepEqual(failed, [])
})
