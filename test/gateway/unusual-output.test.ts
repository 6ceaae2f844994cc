import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Behaviour, openaiDone, openaiText, upstreamModel } from '../helpers/scripted-upstream.ts'
import { type Client, clients, type Json, type Kind, outputRig } from './output-clients.ts'

/*
 * Whatever a model wrote is its answer: cut and malformed tool calls, repetition, nothing at all. It is
 * generated once, reaches the client, and does not count against its target.
 */

const rig = outputRig()
const { ask } = rig

describe('unusual model output reaches a client of the same dialect unchanged', () => {
  const call = (value: object) =>
    openaiText('', { content: null, tool_calls: [value] }, { finish_reason: 'tool_calls' })
  const odd: [string, Client, Kind, object][] = [
    [
      'a custom tool',
      'openai',
      'openai',
      bodyOf(call({ id: 'c', type: 'custom', custom: { name: 'py', input: 'print(1)' } })),
    ],
    [
      'malformed arguments',
      'openai',
      'openai',
      bodyOf(call({ id: 'c', type: 'function', function: { name: 'f', arguments: "{'a': 1}" } })),
    ],
    [
      'arguments as an object',
      'openai',
      'openai',
      bodyOf(call({ function: { name: 'f', arguments: { a: 1 } } })),
    ],
    ['a call without name and id', 'openai', 'openai', bodyOf(call({ function: { arguments: null } }))],
    ['a call of an unknown type', 'openai', 'openai', bodyOf(call({ id: 'c', type: 'mcp', mcp: {} }))],
    ['no choices', 'openai', 'openai', { model: upstreamModel, choices: [] }],
    [
      'a choice without a message',
      'openai',
      'openai',
      { model: upstreamModel, choices: [{ index: 0, finish_reason: 'content_filter' }] },
    ],
    [
      'a message that is null',
      'openai',
      'openai',
      { model: upstreamModel, choices: [{ message: null, finish_reason: 'SAFETY' }] },
    ],
    [
      'an unknown finish reason',
      'openai',
      'openai',
      { model: upstreamModel, choices: [{ message: { content: null }, finish_reason: 'whim' }] },
    ],
    [
      'a block of an unknown type',
      'anthropic',
      'anthropic',
      {
        type: 'message',
        model: upstreamModel,
        content: [
          { type: 'unheard_of', a: 1 },
          { type: 'tool_use', input: 'x' },
        ],
        stop_reason: 'whim',
      },
    ],
    [
      'a content that is null',
      'anthropic',
      'anthropic',
      { type: 'message', model: upstreamModel, content: null, stop_reason: 'refusal' },
    ],
    [
      'tool calls without a function name',
      'ollama',
      'ollama',
      {
        model: upstreamModel,
        message: { content: '', tool_calls: [{ function: { arguments: 'x' } }] },
        done: true,
      },
    ],
    [
      'a loaded model',
      'ollama',
      'ollama',
      { model: upstreamModel, message: { content: '' }, done: true, done_reason: 'load' },
    ],
    [
      'a background response that is queued',
      'responses',
      'responses',
      { id: 'resp_1', object: 'response', status: 'queued', model: upstreamModel, output: [] },
    ],
    [
      'a background response in progress without output',
      'responses',
      'responses',
      { id: 'resp_1', object: 'response', status: 'in_progress', model: upstreamModel },
    ],
    [
      'items of unknown types and malformed calls',
      'responses',
      'responses',
      {
        object: 'response',
        status: 'completed',
        model: upstreamModel,
        output: [{ type: 'unheard_of' }, { type: 'function_call', arguments: '{' }],
      },
    ],
  ]
  for (const [name, client, model, body] of odd) {
    test(`${client}: ${name} reaches a client of the same dialect unchanged`, async () => {
      rig.upstream.rescript({ kind: 'reply', body })
      assert.deepEqual(await ask(client, model, false), { ...body, model })
    })
  }

  function bodyOf(behaviour: Behaviour): object {
    assert.ok(behaviour.kind === 'reply')
    return Object(behaviour.body)
  }
})

describe('unusual model output is translated as far as possible', () => {
  const call = (value: object) =>
    openaiText('', { content: null, tool_calls: [value] }, { finish_reason: 'tool_calls' })
  for (const client of ['anthropic', 'ollama', 'responses'] as const) {
    test(`${client}: malformed arguments are still a call`, async () => {
      rig.upstream.rescript(call({ id: 'c', type: 'function', function: { name: 'f', arguments: '[1]' } }))
      const { name, json } = clients[client].whole(await ask(client, 'openai', false))
      assert.deepEqual([name, json], ['f', client === 'responses' ? '[1]' : '{"invalid_arguments":"[1]"}'])
    })

    test(`${client}: a custom tool is a call with its text as argument`, async () => {
      rig.upstream.rescript(call({ id: 'c', type: 'custom', custom: { name: 'py', input: 'print(1)' } }))
      const { name, json } = clients[client].whole(await ask(client, 'openai', false))
      assert.deepEqual([name, json], ['py', '{"input":"print(1)"}'])
    })

    test(`${client}: a call without a name, missing choices and a missing message yield an empty answer`, async () => {
      for (const behaviour of [
        call({ id: 'c', type: 'function', function: { arguments: '{}' } }),
        { kind: 'reply', body: { choices: [] } } as const,
        { kind: 'reply', body: { choices: [{ index: 0, message: null }] } } as const,
      ]) {
        rig.upstream.rescript(behaviour)
        const { name, text = '', end } = clients[client].whole(await ask(client, 'openai', false))
        assert.deepEqual([name, text], [undefined, ''])
        assert.ok(['end_turn', 'stop', 'completed'].includes(end), end)
      }
    })
  }
})

test('numbers that JSON cannot represent are never written', async () => {
  const odd = (json: string): string => json.replaceAll('"#"', '1e999').replaceAll('"-#"', '-1e999')
  const logprobs = { content: [{ token: 'a', logprob: '-#', bytes: ['#'], top_logprobs: [] }] }
  const choice = { index: '#', logprobs }
  const chunks = [
    { created: '#', choices: [{ ...choice, delta: { content: 'a' } }] },
    {
      choices: [
        {
          index: '#',
          delta: { tool_calls: [{ index: '#', id: 'c', function: { name: 'f', arguments: { a: '#' } } }] },
        },
      ],
    },
    {
      choices: [{ index: '#', delta: {}, finish_reason: 'stop' }],
      usage: { prompt_tokens: '#', completion_tokens: '-#' },
    },
  ]
  const message = { content: 'a', tool_calls: [{ function: { name: 'f', arguments: { a: '#' } } }] }
  const whole = {
    created: '#',
    choices: [{ ...choice, message, finish_reason: 'stop' }],
    usage: { prompt_tokens: '#' },
  }
  const end = { done: true, total_duration: '#', eval_duration: '-#', eval_count: '#' }
  const line = { message, logprobs: [{ token: 'a', logprob: '-#' }], ...end }
  for (const [model, streamed, body] of [
    ['openai', [...chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), openaiDone].join(''), whole],
    ['ollama', `${JSON.stringify(line)}\n`, line],
  ] as const) {
    for (const client of ['openai', 'anthropic', 'ollama', 'responses'] as const) {
      if (client === model) continue
      rig.upstream.rescript({ kind: 'reply', body: odd(JSON.stringify(body)) })
      assert.doesNotMatch(JSON.stringify(await ask(client, model, false)), /Infinity|NaN/)
      const isLines = model === 'ollama'
      rig.upstream.rescript({
        kind: 'stream',
        headers: { 'content-type': isLines ? 'application/x-ndjson' : 'text/event-stream' },
        pieces: [odd(streamed)],
      })
      const events = await ask(client, model, true)
      assert.equal(
        events.some((event: Json) => event.error || event.type === 'error'),
        false,
      )
    }
  }
})
