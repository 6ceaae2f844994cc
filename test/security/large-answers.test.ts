import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiChunk,
  openaiDone,
  openaiEvent,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

let upstream: ScriptedUpstream
const routers: Record<string, TestRouter> = {}
let answer: string[]

before(async () => {
  upstream = await startUpstream(() => ({ kind: 'stream', pieces: [[...answer, openaiDone].join('')] }))
  const models = modelsConfig({
    m: [{ id: 'm', api_type: 'openai', api_host: upstream.url }],
    llamacpp: [{ id: 'l', api_type: 'llamacpp', api_host: upstream.url }],
  })
  const processors = {
    none: [],
    masking: [{ type: 'masking' }],
    guardrail: [{ type: 'guardrail', on: 'response', words: ['unwanted'] }],
  }
  for (const [name, list] of Object.entries(processors))
    routers[name] = await startRouter({ models: { ...models, processors: list } })
})
after(async () => {
  for (const router of Object.values(routers)) await router.close()
  await upstream.close()
})

const list = <Item>(count: number, item: (index: number) => Item): Item[] =>
  Array.from({ length: count }, (_, index) => item(index))
const fragment = (index: number, members: object) => openaiChunk({ tool_calls: [{ index, ...members }] })
const begun = (index: number, json: string) =>
  fragment(index, { id: `c${index}`, type: 'function', function: { name: 'f', arguments: json } })

const answers: Record<string, (count: number) => string[]> = {
  'calls one after the other': (count) => [
    ...list(count, (index) => begun(index, '{}')),
    openaiChunk({}, 'tool_calls'),
  ],
  'calls that are all begun before their arguments': (count) => [
    ...list(count, (index) => begun(index, '')),
    ...list(count, (index) => fragment(index, { function: { arguments: '{}' } })),
    openaiChunk({}, 'tool_calls'),
  ],
  'token probabilities': (count) => [
    ...list(count, () =>
      openaiEvent({
        choices: [
          {
            index: 0,
            delta: { content: 'x' },
            logprobs: { content: [{ token: 'x', logprob: -1, bytes: [120], top_logprobs: [] }] },
            finish_reason: null,
          },
        ],
      }),
    ),
    openaiChunk({}, 'stop'),
  ],
}
const calls = Object.keys(answers).slice(0, 2)

interface Way {
  router: string
  path: string
  stream: boolean
  kinds: readonly string[]
}

const ways: Way[] = [
  { router: 'none', path: '/v1/messages', stream: true, kinds: calls },
  { router: 'none', path: '/v1/responses', stream: true, kinds: calls },
  { router: 'none', path: '/v1/messages', stream: false, kinds: Object.keys(answers) },
  { router: 'masking', path: '/v1/chat/completions', stream: true, kinds: calls },
  { router: 'guardrail', path: '/v1/chat/completions', stream: true, kinds: calls },
]

/** Milliseconds of processor time. */
async function cost({ router, path, stream }: Way, pieces: string[]): Promise<number> {
  answer = pieces
  const content = 'write to jan@example.pl'
  const input =
    path === '/v1/responses' ? { input: content } : { messages: [{ role: 'user', content }], max_tokens: 1 }
  const from = process.cpuUsage()
  const response = await fetch(`${routers[router]?.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', stream, ...input }),
  })
  const text = await response.text()
  const { user, system } = process.cpuUsage(from)
  assert.equal(response.status, 200, text)
  assert.ok(text.length > pieces.length, text)
  return (user + system) / 1000
}

for (const way of ways)
  for (const kind of way.kinds)
    test(`an answer takes time proportional to its size: ${kind}, ${way.path}, ${way.router}, stream: ${way.stream}`, async () => {
      const of = answers[kind] ?? assert.fail()
      const [small, large] = [of(1_500), of(24_000)]
      await cost(way, small)
      const few = Math.min(await cost(way, small), await cost(way, small))
      // 16 times the size; comparing each item with all others takes 256 times as long.
      const most = 64 * Math.max(few, 5)
      let many = await cost(way, large)
      // The machine may have been busy.
      if (many >= most) many = await cost(way, large)
      assert.ok(many < most, `${few} ms, ${many} ms`)
    })

test('the index of a call may be any number', async () => {
  answer = [begun(0, '{}'), begun(4_000_000_000, '{"late":true}'), openaiChunk({}, 'tool_calls')]
  for (const model of ['m', 'llamacpp']) {
    const { text } = await post(`${routers.none?.url}/v1/chat/completions`, {
      model,
      messages,
    })
    const { message } = JSON.parse(text).choices[0]
    assert.deepEqual(
      message.tool_calls.map((call: { id: string }) => call.id),
      ['c0', 'c4000000000'],
      model,
    )
  }
})
