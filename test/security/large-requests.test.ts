import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  const content = [{ type: 'text', text: 'Hi' }]
  upstream = await startUpstream({
    kind: 'reply',
    body: { type: 'message', role: 'assistant', content, stop_reason: 'end_turn', usage: {} },
  })
  router = await startRouter({
    models: modelsConfig({
      m: [{ id: 'm', api_type: 'anthropic', api_host: upstream.url }],
      gemini: [{ id: 'g', api_type: 'gemini', api_host: upstream.url }],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

const list = <Item>(count: number, item: (index: number) => Item): Item[] =>
  Array.from({ length: count }, (_, index) => item(index))
const user = { role: 'user', content: 'x' }
const called = { name: 'f', arguments: '{}' }
const call = (id: string) => ({ id, type: 'function', function: called })
const declared = (name: string) => ({ type: 'function', name, parameters: { type: 'object' } })
const named = (name: string) => ({ type: 'function', function: { name } })
const withParameters = (name: string, count: number) => {
  const properties = Object.fromEntries(list(count, (at) => [`$filter[${at}]`, { type: 'string' }]))
  return { type: 'function', function: { name, parameters: { type: 'object', properties } } }
}

const chat = '/v1/chat/completions'
const responses = '/v1/responses'
const requests: [name: string, path: string, body: (count: number) => object][] = [
  [
    'calls of one turn with their results',
    chat,
    (count) => ({
      messages: [
        user,
        { role: 'assistant', content: null, tool_calls: list(count, (at) => call(`c${at}`)) },
        ...list(count, (at) => ({ role: 'tool', tool_call_id: `c${at}`, content: 'x' })),
      ],
    }),
  ],
  [
    'calls whose ids are those that the router would generate for others',
    chat,
    (count) => ({
      messages: [
        user,
        { role: 'assistant', tool_calls: list(count, (at) => call(`call_${count + at}`)) },
        { role: 'assistant', tool_calls: list(count, () => call('')) },
      ],
    }),
  ],
  [
    'allowed tools',
    chat,
    (count) => ({
      messages: [user],
      tools: list(count, (at) => named(`f${at}`)),
      tool_choice: {
        type: 'allowed_tools',
        allowed_tools: { mode: 'auto', tools: list(count, (at) => named(`f${at}`)) },
      },
    }),
  ],
  [
    'parameters whose names the server rejects',
    chat,
    (count) => ({ messages: [user], tools: [withParameters('f', count)] }),
  ],
  [
    'calls of a tool with many parameters whose names the server rejects',
    chat,
    (count) => ({
      messages: [user, { role: 'assistant', tool_calls: list(count / 4, (at) => call(`c${at}`)) }],
      tools: [withParameters('f', count / 4)],
    }),
  ],
  [
    'calls of the Responses API, all with the same id',
    responses,
    (count) => ({
      input: [
        user,
        ...list(count, () => ({ type: 'function_call', call_id: 'c', ...called })),
        ...list(count, () => ({ type: 'function_call_output', call_id: 'c', output: 'x' })),
      ],
    }),
  ],
  [
    'tools of a namespace that is allowed many times',
    responses,
    (count) => ({
      input: 'x',
      tools: [{ type: 'namespace', name: 'n', tools: list(count, (at) => declared(`f${at}`)) }],
      tool_choice: {
        type: 'allowed_tools',
        mode: 'auto',
        tools: list(count, (at) => ({ type: 'namespace', name: 'n', at })),
      },
    }),
  ],
  [
    "calls of Ollama's API, answered from the last to the first",
    '/api/chat',
    (count) => ({
      stream: false,
      messages: [
        user,
        {
          role: 'assistant',
          content: '',
          tool_calls: list(count, (at) => ({ function: { name: `f${at}`, arguments: {} } })),
        },
        ...list(count, (at) => ({ role: 'tool', tool_name: `f${count - 1 - at}`, content: 'x' })),
      ],
    }),
  ],
]

/** Milliseconds of processor time. */
async function cost(url: string, body: object): Promise<number> {
  const from = process.cpuUsage()
  const { statusCode, payload } = await router.app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json' },
    payload: JSON.stringify({ model: 'm', ...body }),
  })
  const { user: inUser, system } = process.cpuUsage(from)
  assert.equal(statusCode, 200, payload)
  return (inUser + system) / 1000
}

for (const [name, path, of] of requests) {
  test(`a translation takes time proportional to the size of the request: ${name}`, async () => {
    const [small, large] = [of(2_000), of(32_000)]
    await cost(path, small)
    const few = Math.min(await cost(path, small), await cost(path, small))
    // 16 times the size; comparing each item with all others takes 256 times as long.
    const most = 64 * Math.max(few, 5)
    let many = await cost(path, large)
    // The machine may have been busy.
    if (many >= most) many = await cost(path, large)
    assert.ok(many < most, `${few} ms, ${many} ms`)
  })
}

test('a request with 200,000 parts or calls reaches the server', async () => {
  const many = 200_000
  const parts = list(many, () => ({ type: 'text', text: 'x' }))
  const calls = list(many, (at) => call(`c${at}`))
  for (const messages of [
    [{ role: 'user', content: parts }],
    [{ role: 'system', content: parts }, user],
    [user, { role: 'assistant', content: null, tool_calls: calls }, user],
  ])
    for (const model of ['m', 'gemini']) {
      const before = upstream.requests.length
      await router.app.inject({ method: 'POST', url: chat, payload: { model, messages } })
      assert.equal(upstream.requests.length, before + 1, `${model}, ${messages[0]?.role}`)
    }
})
