import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { anthropicEvent } from '../clients/anthropic-answers.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  ollamaDone,
  ollamaLine,
  ollamaPieces,
  ollamaText,
  openaiChunk,
  openaiDone,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

/*
 * Whatever a model wrote is its answer: cut and malformed tool calls, repetition, nothing at all. It is
 * generated once, reaches the client, and does not count against its target.
 */

let upstream: ScriptedUpstream
let router: TestRouter

const upstreams = { openai: 'vllm', anthropic: 'anthropic', ollama: 'ollama', responses: 'openai' } as const
type Kind = keyof typeof upstreams

before(async () => {
  upstream = await startUpstream(openaiText('unused'))
  const three = (kind: Kind) =>
    [1, 2, 3].map((number) => ({
      id: `${kind}${number}`,
      api_type: upstreams[kind],
      api_host: upstream.url,
      model_path: upstreamModel,
      ...(kind === 'responses' ? { responses: true } : {}),
    }))
  router = await startRouter({
    models: modelsConfig({
      openai: three('openai'),
      anthropic: three('anthropic'),
      ollama: three('ollama'),
      responses: three('responses'),
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

const parameters = { type: 'object', properties: { a: { type: 'string' } } }
const tool = { type: 'function', function: { name: 'f', parameters } }

/** A client of each dialect: what it sends, and what it reads of the tool call and of the end. */
const clients = {
  openai: {
    path: '/v1/chat/completions',
    body: { messages, tools: [tool], max_tokens: 9 },
    length: 'length',
    whole: (json: Json) => {
      const [choice] = json.choices
      const call = choice.message.tool_calls?.[0].function
      return {
        name: call?.name,
        json: call?.arguments,
        text: choice.message.content,
        end: choice.finish_reason,
      }
    },
    stream: (events: Json[]) => {
      const deltas = events.map(({ choices }) => choices?.[0]?.delta ?? {})
      const calls = deltas.flatMap((delta) => delta.tool_calls ?? [])
      return {
        name: calls[0]?.function.name,
        json: calls.map((call) => call.function.arguments ?? '').join(''),
        text: deltas.map(({ content }) => content ?? '').join(''),
        end: events.findLast(({ choices }) => choices?.[0])?.choices[0].finish_reason,
      }
    },
  },
  anthropic: {
    path: '/v1/messages',
    body: { messages, tools: [{ name: 'f', input_schema: parameters }], max_tokens: 9 },
    length: 'max_tokens',
    whole: (json: Json) => {
      const call = json.content.find(({ type }: Json) => type === 'tool_use')
      const text = json.content.find(({ type }: Json) => type === 'text')?.text
      return { name: call?.name, json: call && JSON.stringify(call.input), text, end: json.stop_reason }
    },
    stream: (events: Json[]) => ({
      name: events.find(({ content_block }) => content_block?.type === 'tool_use')?.content_block.name,
      json: events.map(({ delta }) => delta?.partial_json ?? '').join(''),
      text: events.map(({ delta }) => delta?.text ?? '').join(''),
      end: events.at(-1)?.type === 'message_stop' ? events.at(-2)?.delta.stop_reason : 'none',
    }),
  },
  ollama: {
    path: '/api/chat',
    body: { messages, tools: [tool], options: { num_predict: 9 } },
    length: 'length',
    whole: (json: Json) => {
      const call = json.message.tool_calls?.[0].function
      const args = call && JSON.stringify(call.arguments)
      return { name: call?.name, json: args, text: json.message.content, end: json.done_reason }
    },
    stream: (events: Json[]) => {
      const call = events.find(({ message }) => message.tool_calls)?.message.tool_calls[0].function
      return {
        name: call?.name,
        json: call && JSON.stringify(call.arguments),
        text: events.map(({ message }) => message.content).join(''),
        end: events.at(-1)?.done ? events.at(-1)?.done_reason : 'none',
      }
    },
  },
  responses: {
    path: '/v1/responses',
    body: { input: 'hi', tools: [{ type: 'function', name: 'f', parameters }], max_output_tokens: 9 },
    length: 'max_output_tokens',
    whole: (json: Json) => {
      const call = json.output.find(({ type }: Json) => type === 'function_call')
      const said = json.output.find(({ type }: Json) => type === 'message')
      assert.ok(!call || json.status !== 'incomplete' || call.status === 'incomplete')
      return {
        name: call?.name,
        json: call?.arguments,
        text: said?.content[0].text,
        end: json.incomplete_details?.reason ?? json.status,
      }
    },
    stream: (events: Json[]) => {
      const last = events.at(-1)
      return clients.responses.whole(last?.response ?? { output: [], status: last?.type })
    },
  },
} as const
type Client = keyof typeof clients

/** Answers of four dialects, which the assertions inspect. */
type Json = ReturnType<typeof JSON.parse>

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

function eventsIn(text: string): Json[] {
  const lines = text.split('\n').map((line) => line.replace(/^data: /, ''))
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
}

/** Asks once; the upstream must have answered once, and the client must have received it. */
async function ask(client: Client, model: Kind, stream: boolean, more: object = {}): Promise<Json> {
  const before = upstream.requests.length
  const { path, body } = clients[client]
  const answer = await post(router.url + path, { ...body, ...more, model, stream })
  assert.equal(answer.status, 200, answer.text)
  assert.equal(upstream.requests.length, before + 1, 'generated once')
  return stream ? eventsIn(answer.text) : JSON.parse(answer.text)
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
        upstream.rescript(whole)
        const { name, json, end } = clients[client].whole(await ask(client, model, false))
        assert.deepEqual([name, end], ['f', length])
        const expected = client === 'anthropic' || client === 'ollama' ? '{"a":"lo"}' : cut
        assert.equal(json, model === 'anthropic' ? '{"a":"lo"}' : expected)
      })
      test(`${client} client, ${model} server: a stream contains the cut tool call`, async () => {
        upstream.rescript(streamed)
        const { name, json, end } = clients[client].stream(await ask(client, model, true))
        assert.deepEqual([name, end], ['f', length])
        assert.equal(json, client === 'ollama' ? '{"a":"lo"}' : cut)
      })
    }
  }
})

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
      upstream.rescript({ kind: 'reply', body })
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
      upstream.rescript(call({ id: 'c', type: 'function', function: { name: 'f', arguments: '[1]' } }))
      const { name, json } = clients[client].whole(await ask(client, 'openai', false))
      assert.deepEqual([name, json], ['f', client === 'responses' ? '[1]' : '{"invalid_arguments":"[1]"}'])
    })

    test(`${client}: a custom tool is a call with its text as argument`, async () => {
      upstream.rescript(call({ id: 'c', type: 'custom', custom: { name: 'py', input: 'print(1)' } }))
      const { name, json } = clients[client].whole(await ask(client, 'openai', false))
      assert.deepEqual([name, json], ['py', '{"input":"print(1)"}'])
    })

    test(`${client}: a call without a name, missing choices and a missing message yield an empty answer`, async () => {
      for (const behaviour of [
        call({ id: 'c', type: 'function', function: { arguments: '{}' } }),
        { kind: 'reply', body: { choices: [] } } as const,
        { kind: 'reply', body: { choices: [{ index: 0, message: null }] } } as const,
      ]) {
        upstream.rescript(behaviour)
        const { name, text = '', end } = clients[client].whole(await ask(client, 'openai', false))
        assert.deepEqual([name, text], [undefined, ''])
        assert.ok(['end_turn', 'stop', 'completed'].includes(end), end)
      }
    })
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
      upstream.rescript(whole)
      const answered = clients[client].whole(await ask(client, 'ollama', false))
      assert.deepEqual([answered.text, answered.end], [text, clients[client].length])
      upstream.rescript(ollamaPieces(pieces))
      const streamed = clients[client].stream(await ask(client, 'ollama', true))
      assert.deepEqual([streamed.text, streamed.end], [text, clients[client].length])
    })
  }

  test('ollama client: output that Ollama stopped for repetition is passed through unchanged', async () => {
    upstream.rescript(whole)
    const answered = await ask('ollama', 'ollama', false)
    assert.deepEqual([answered.message.content, answered.done], [text, false])
    upstream.rescript(ollamaPieces(pieces))
    const events = await ask('ollama', 'ollama', true)
    assert.equal(events.map(({ message }: Json) => message.content).join(''), text)
    assert.equal(
      events.some(({ done, error }: Json) => done || error),
      false,
    )
  })

  test('an Ollama stream of other text that ends without done counts as cut off', async () => {
    upstream.rescript(ollamaPieces([ollamaLine({ content: 'Once upon' }), ollamaLine({ content: ' a' })]))
    assert.ok((await ask('ollama', 'ollama', true)).at(-1).error)
    assert.equal(clients.anthropic.stream(await ask('anthropic', 'ollama', true)).end, 'none')
  })

  test('a killed Ollama server or runner ends the stream with an error', async () => {
    const cutOff: Behaviour = { ...streamOf(pieces), ending: 'cut' }
    for (const broken of [cutOff, ollamaPieces([...pieces, '{"error":"runner died"}\n'])]) {
      upstream.rescript(broken)
      const { stream: read } = clients.anthropic
      assert.equal(read(await ask('anthropic', 'ollama', true)).end, 'none')
      assert.ok((await ask('ollama', 'ollama', true)).at(-1).error)
    }
  })

  test('an Ollama body that is ended by its connection counts as cut off', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n'
    upstream.rescript({ kind: 'raw', bytes: head + pieces.join('') })
    assert.ok((await ask('ollama', 'ollama', true)).at(-1).error)
  })

  function streamOf(given: string[]): Extract<Behaviour, { kind: 'stream' }> {
    const behaviour = ollamaPieces(given)
    assert.ok(behaviour.kind === 'stream')
    return behaviour
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
      upstream.rescript({ kind: 'reply', body: odd(JSON.stringify(body)) })
      assert.doesNotMatch(JSON.stringify(await ask(client, model, false)), /Infinity|NaN/)
      const isLines = model === 'ollama'
      upstream.rescript({
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

test('unusual model output does not count against its target', async () => {
  upstream.rescript(openaiText('fine'))
  for (let count = 0; count < 3; count++) await ask('openai', 'openai', false)
  upstream.rescript(ollamaText('fine'))
  for (let count = 0; count < 3; count++) await ask('openai', 'ollama', false)
  upstream.rescript(ollamaPieces([ollamaDone({ content: 'fine' })]))
  await ask('ollama', 'ollama', true)
  const failed = router.logs.filter(({ msg }) => msg === 'failover')
  assert.deepEqual(failed, [])
})
