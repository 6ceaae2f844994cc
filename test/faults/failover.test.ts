import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { closedPort, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { repeats } from '../helpers/repeats.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  openaiChunk,
  openaiError,
  openaiStream,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

/** Failures before the first content; each must be invisible to clients while another target works. */
const failures: [name: string, behaviour: Behaviour][] = [
  ['resets', { kind: 'reset' }],
  ['closes immediately', { kind: 'raw', bytes: '' }],
  ['sends half a status line', { kind: 'raw', bytes: 'HTTP/1.1 2' }],
  ['uses another protocol', { kind: 'raw', bytes: '\u0016\u0003\u0001' }],
  ['hangs', { kind: 'hang' }],
  ['answers 500', openaiError(500, { message: 'x' })],
  ['answers 502', openaiError(502, { message: 'x' })],
  ['answers 503', openaiError(503, { message: 'x' })],
  ['answers 504', openaiError(504, { message: 'x' })],
  ['answers 529', openaiError(529, { message: 'x' })],
  ['answers 429', openaiError(429, { message: 'x' }, { 'retry-after': '1' })],
  ['answers 401', openaiError(401, { message: 'x' })],
  ['answers 404', openaiError(404, { message: 'x' })],
  ['redirects', { kind: 'reply', status: 307, headers: { location: 'http://169.254.169.254/' }, body: '' }],
  ['sends garbage', { kind: 'reply', body: '{"choices":[' }],
  ['sends HTML', { kind: 'reply', headers: { 'content-type': 'text/html' }, body: '<p>' }],
  [
    'reports an error with 200',
    { kind: 'reply', body: { error: { message: 'x', code: 'rate_limit_exceeded' } } },
  ],
  ['ends before content', { kind: 'stream', pieces: [openaiChunk({ role: 'assistant', content: '' })] }],
  ['is cut before content', { kind: 'stream', pieces: [openaiChunk({ role: 'assistant' })], ending: 'cut' }],
  ['sends an error as its first event', { kind: 'stream', pieces: ['data: {"error":{"message":"x"}}\n\n'] }],
]

const count = repeats(40, 10_000)
const atOnce = 20
/** One server per failure, and one that works. */
let bad: ScriptedUpstream[]
let good: ScriptedUpstream
let router: TestRouter

before(async () => {
  bad = await Promise.all(failures.map(([, behaviour]) => startUpstream(behaviour)))
  good = await startUpstream((request) =>
    (request.body as { stream?: boolean }).stream === true ? openaiStream(['good']) : openaiText('good'),
  )
  const both = (url: string, index: number): [model: string, targets: object[]] => [
    `both-${index}`,
    [
      { id: `bad-${index}`, api_type: 'vllm', api_host: url },
      { id: `good-${index}`, api_type: 'vllm', api_host: good.url },
    ],
  ]
  const urls = [...bad.map(({ url }) => url), await closedPort()]
  router = await startRouter({
    // Long enough for the working server on a busy machine.
    env: { LLM_ROUTER_EXTERNAL_TIMEOUT: '3', LLM_ROUTER_LOG_LEVEL: 'error' },
    models: modelsConfig(Object.fromEntries(urls.map(both))),
  })
})
after(async () => {
  await router.close()
  await Promise.all([...bad, good].map((upstream) => upstream.close()))
})

async function ask(model: string, index: number): Promise<boolean> {
  const stream = index % 2 === 0
  const body = { model, stream, messages }
  const { status, text } = await post(`${router.url}/v1/chat/completions`, body)
  return status === 200 && text.includes('good') && (!stream || text.endsWith('data: [DONE]\n\n'))
}

async function askMany(model: string): Promise<number> {
  let next = 0
  let answered = 0
  const worker = async (): Promise<void> => {
    while (next < count) if (await ask(model, next++)) answered++
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return answered
}

describe(`with one failing target and one working target, ${count} requests all succeed`, () => {
  for (const [index, [name]] of failures.entries()) {
    test(`if the failing one ${name}`, async () => {
      assert.equal(await askMany(`both-${index}`), count)
      assert.ok((bad[index]?.requests.length ?? 0) > 0, 'the failing server was asked')
    })
  }

  test('if nothing listens at the address of the failing one', async () => {
    assert.equal(await askMany(`both-${failures.length}`), count)
  })
})

test('if every target fails, upstreams get at most 1.2 times the requests, and every client gets a response', async (t) => {
  const servers = [
    await startUpstream(openaiError(503, { message: 'x' })),
    await startUpstream(openaiError(503, { message: 'x' })),
  ]
  const router = await startRouter({
    env: { LLM_ROUTER_LOG_LEVEL: 'error' },
    models: modelsConfig({
      both: servers.map(({ url }, index) => ({ id: `box${index}`, api_type: 'vllm', api_host: url })),
    }),
  })
  t.after(async () => {
    await router.close()
    for (const server of servers) await server.close()
  })
  const requests = 500
  const codes = new Map<string, number>()
  let next = 0
  const worker = async (): Promise<void> => {
    while (next++ < requests) {
      const { status, headers, text } = await post(`${router.url}/v1/chat/completions`, {
        model: 'both',
        messages,
      })
      assert.equal(status, 503)
      assert.ok(Number(headers.get('retry-after')) >= 1)
      const { code } = JSON.parse(text).error
      codes.set(code, (codes.get(code) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  const sent = servers.reduce((sum, server) => sum + server.requests.length, 0)
  assert.ok(sent <= 1.2 * requests, `${sent} upstream requests for ${requests} client requests`)
  assert.deepEqual([...codes], [['overloaded', requests]])
})

test('if every target asks for a pause, the client gets 429 with the shortest Retry-After', async (t) => {
  const servers = [
    await startUpstream(openaiError(429, { message: 'x' }, { 'retry-after': '30' })),
    await startUpstream(openaiError(429, { message: 'x' }, { 'retry-after': '20' })),
  ]
  const router = await startRouter({
    models: modelsConfig({
      both: servers.map(({ url }, index) => ({ id: `box${index}`, api_type: 'vllm', api_host: url })),
    }),
  })
  t.after(async () => {
    await router.close()
    for (const server of servers) await server.close()
  })
  const body = { model: 'both', messages }
  assert.equal((await post(`${router.url}/v1/chat/completions`, body)).status, 429)
  const sent = servers.map(({ requests }) => requests.length)
  const { status, headers } = await post(`${router.url}/v1/chat/completions`, body)
  assert.equal(status, 429)
  const seconds = Number(headers.get('retry-after'))
  assert.ok(seconds >= 19 && seconds <= 20, `${seconds}`)
  assert.deepEqual(
    servers.map(({ requests }) => requests.length),
    sent,
    'no request during the pause',
  )
})
