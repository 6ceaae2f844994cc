import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import OpenAI from 'openai'
import {
  answerBytes,
  chunk,
  type FaultOptions,
  type FaultScript,
  type FaultUpstream,
  fin,
  hang,
  head,
  rst,
  type Step,
  startFaultUpstream,
  streamHead,
} from '../helpers/fault-upstream.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig, startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiChunk, openaiDone } from '../helpers/scripted-upstream.ts'
import { assertNothingLeft } from './invariants.ts'
import { repeats } from './repeats.ts'
import { type Fault, faults, faultText, wholeJson } from './upstream-faults.ts'

const messages = [{ role: 'user' as const, content: 'x' }]
const goodText = 'from the spare'
const goodStream = openaiChunk({ content: goodText }) + openaiChunk({}, 'stop') + openaiDone
const goodJson = wholeJson.replace(faultText, goodText)

interface House {
  router: TestRouter
  upstream: FaultUpstream
  spare: FaultUpstream
  /** Fulfilled when a client has read content. */
  seen: PromiseWithResolvers<void>
}

async function open(t: TestContext, steps: Fault['steps']): Promise<House> {
  const seen = Promise.withResolvers<void>()
  return { ...(await openWith(t, () => steps(seen.promise))), seen }
}

/**
 * The model `one` has only the upstream with the fault, `pair` has it twice, `two` has a good one beside it. `nowhere` and
 * `plain` have the upstream too, and another one that cannot be reached.
 */
async function openWith(
  t: TestContext,
  script: FaultScript,
  options: FaultOptions = {},
): Promise<Omit<House, 'seen'>> {
  const upstream = await startFaultUpstream(script, options)
  const spare = await startFaultUpstream(({ body }) => [
    /"stream": ?true/.test(body.toString())
      ? answerBytes(goodStream, ['content-type: text/event-stream'])
      : answerBytes(goodJson),
  ])
  t.after(async () => {
    await upstream.close()
    await spare.close()
  })
  let count = 0
  const at = (api_host: string) => ({ id: `box${count++}`, api_type: 'vllm', api_host })
  const { url } = upstream
  const router = await startRouter({
    env: { LLM_ROUTER_EXTERNAL_TIMEOUT: '0.3' },
    models: modelsConfig({
      one: [at(url)],
      pair: [at(url), at(url)],
      two: [at(url), at(spare.url)],
      nowhere: [at('http://nowhere.invalid'), at(url)],
      plain: [at(url.replace('http:', 'https:')), at(url)],
    }),
  })
  t.after(() => router.close())
  return { router, upstream, spare }
}

/** What the official client makes of it: the text, and the error that it throws. */
async function asked(
  { router: { url }, seen }: House,
  model: string,
  stream: boolean,
): Promise<{ text: string; error: unknown }> {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'x', maxRetries: 0 })
  let text = ''
  try {
    if (stream) {
      const events = await client.chat.completions.create({ model, messages, stream: true })
      for await (const { choices } of events) {
        text += choices[0]?.delta.content ?? ''
        if (text !== '') seen.resolve()
      }
    } else {
      const answer = await client.chat.completions.create({ model, messages })
      text = answer.choices[0]?.message.content ?? ''
    }
    return { text, error: undefined }
  } catch (error) {
    return { text, error }
  }
}

function assertSeen({ outcome }: Fault, { text, error }: { text: string; error: unknown }): void {
  if (outcome === 'answered') {
    assert.deepEqual([text, error], [faultText, undefined])
    return
  }
  assert.ok(error instanceof OpenAI.APIError, `no error: ${JSON.stringify(text)} ${String(error)}`)
  assert.equal(text, outcome === 'broken' ? faultText : '')
  if (outcome === 'broken') assert.equal(error.status, undefined)
  else assert.ok(error.status === 502 || error.status === 504, String(error))
}

describe('the only upstream of a model', { concurrency: 4 }, () => {
  for (const fault of faults) {
    test(`${fault.name}: ${fault.stream ? 'a stream' : 'an answer'} is ${fault.outcome}`, async (t) => {
      const house = await open(t, fault.steps)
      assertSeen(fault, await asked(house, 'one', fault.stream))
      await assertNothingLeft(house.router, [house.upstream], 1)
    })
  }
})

describe('with another upstream', { concurrency: 4 }, () => {
  for (const fault of faults.filter(({ outcome }) => outcome === 'refused')) {
    test(`a client sees nothing of one that ${fault.name}`, async (t) => {
      const house = await open(t, fault.steps)
      // Whichever of the two is first, the one with the fault is met at least once.
      for (let turn = 0; turn < 2; turn++) {
        assert.deepEqual(await asked(house, 'two', fault.stream), { text: goodText, error: undefined })
      }
      assert.ok(house.upstream.requests.length > 0)
      await assertNothingLeft(house.router, [house.upstream, house.spare], 2)
    })
  }
})

test('each of 1 to 50 events before a reset reaches the client, and then an error', async (t) => {
  let events = 0
  const texts = Array.from({ length: 50 }, (_, index) => `${index} `)
  const { router, upstream } = await openWith(t, function* (_request, index) {
    yield streamHead
    for (const text of texts.slice(0, events)) yield chunk(openaiChunk({ content: text }))
    yield arrived[index]?.promise ?? ''
    yield rst
  })
  const arrived: PromiseWithResolvers<void>[] = []
  const client = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'x', maxRetries: 0 })
  for (events = 1; events <= texts.length; events++) {
    const all = Promise.withResolvers<void>()
    arrived.push(all)
    const got: string[] = []
    const stream = await client.chat.completions.create({ model: 'one', messages, stream: true })
    await assert.rejects(async () => {
      for await (const { choices } of stream) {
        got.push(choices[0]?.delta.content ?? '')
        if (got.length === events) all.resolve()
      }
    }, OpenAI.APIError)
    assert.deepEqual(got, texts.slice(0, events))
  }
  await assertNothingLeft(router, [upstream], texts.length)
})

const garbage = Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"}}]}\n\n', 'latin1')
test('after content, bytes that are no UTF-8 and events that are no JSON reach a client as they are', async (t) => {
  const events = Buffer.concat([
    Buffer.from(openaiChunk({ content: 'x' })),
    garbage,
    Buffer.from('data: {"choi\n\n'),
    Buffer.from(openaiChunk({}, 'stop') + openaiDone),
  ])
  const { router, upstream } = await openWith(t, () => [
    answerBytes(events, ['content-type: text/event-stream']),
  ])
  const response = await fetch(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'one', stream: true, messages }),
  })
  const expected = events.toString('latin1').replaceAll('"upstream-model"', '"one"')
  assert.equal(Buffer.from(await response.arrayBuffer()).toString('latin1'), expected)
  await assertNothingLeft(router, [upstream], 1)
})

test('translated, such bytes become the replacement character, and such an event ends the stream with an error', async (t) => {
  const seen = Promise.withResolvers<void>()
  const { router, upstream } = await openWith(t, () => [
    streamHead,
    chunk(garbage),
    seen.promise,
    chunk('data: {"choi\n\n'),
    hang,
  ])
  const response = await fetch(`${router.url}/api/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'one', messages }),
  })
  let text = ''
  for await (const piece of response.body ?? []) {
    text += Buffer.from(piece).toString()
    seen.resolve()
  }
  const [first, last] = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(first.message.content, '\ufffd\ufffd')
  assert.equal(typeof last.error, 'string')
  await assertNothingLeft(router, [upstream], 1)
})

const restCases: [header: string | undefined, seconds: number][] = [
  ['7', 7],
  ['0', 1],
  ['-1', 5],
  ['1000000000', 300],
  ['abc', 5],
  ['Fri, 01 Jan 2100 00:00:00 GMT', 300],
  ['Fri, 01 Jan 2010 00:00:00 GMT', 1],
  [undefined, 2],
]
for (const [header, seconds] of restCases) {
  test(`an upstream that answers 429 with Retry-After ${header ?? 'left out'} rests for ${seconds} s`, async (t) => {
    const lines = header === undefined ? [] : [`retry-after: ${header}`]
    const { router, upstream } = await openWith(t, () => [
      head([...lines, 'content-length: 2'], 'HTTP/1.1 429 Too Many Requests'),
      '{}',
    ])
    const body = { model: 'pair', messages }
    assert.equal((await post(`${router.url}/v1/chat/completions`, body)).status, 429)
    const sent = upstream.requests.length
    const { status, headers } = await post(`${router.url}/v1/chat/completions`, body)
    assert.equal(status, 429)
    assert.equal(upstream.requests.length, sent, 'nothing is sent while they rest')
    const told = Number(headers.get('retry-after'))
    assert.ok(told >= seconds - 1 && told <= seconds && told >= 1, `${told}`)
  })
}

const staleCount = repeats(300, 10_000)
for (const [name, end] of [
  ['closes', fin],
  ['resets', rst],
] as const) {
  test(`of ${staleCount} requests none fails at an upstream that ${name} its kept-alive sockets as it likes`, async (t) => {
    let answers = 0
    const { router, upstream } = await openWith(t, function* () {
      yield answerBytes(wholeJson)
      // At once, or some turns of the event loop later: the next request meets it in every state.
      for (let turn = 0; turn < answers++ % 7; turn++) yield new Promise((resolve) => setImmediate(resolve))
      yield end
    })
    for (let index = 0; index < staleCount; index++) {
      const { status, text } = await post(`${router.url}/v1/chat/completions`, { model: 'one', messages })
      assert.equal(status, 200, text)
    }
    await assertNothingLeft(router, [upstream], staleCount)
  })
}

test('an answer that nobody asked for is given to no one', async (t) => {
  const answerOf = (text: string): Buffer => answerBytes(wholeJson.replace(faultText, text))
  const { router, upstream } = await openWith(t, (_request, index) => [
    Buffer.concat([answerOf(`right ${index}`), answerOf('canary')]),
  ])
  for (let index = 0; index < repeats(100, 1_000); index++) {
    const { status, text } = await post(`${router.url}/v1/chat/completions`, { model: 'one', messages })
    assert.equal(status, 200, text)
    assert.match(text, /"right \d+"/)
  }
  await upstream.idle()
})

test('an upstream that refuses a large body before it has read it is heard', async (t) => {
  const script: FaultScript = () => [
    head(['content-length: 2', 'connection: close'], 'HTTP/1.1 413 Too Large'),
    '{}',
    hang,
  ]
  const { router, upstream } = await openWith(t, script, { early: true })
  const content = 'x'.repeat(16 * 1024 * 1024)
  const { status } = await post(`${router.url}/v1/chat/completions`, {
    model: 'one',
    messages: [{ role: 'user', content }],
  })
  assert.equal(status, 413)
  await assertNothingLeft(router, [upstream], 1)
})

test('a host that does not resolve, and one that speaks no TLS, are as good as down', async (t) => {
  const { router } = await openWith(t, () => [answerBytes(wholeJson)])
  for (const model of ['nowhere', 'plain']) {
    const { status, text } = await post(`${router.url}/v1/chat/completions`, { model, messages })
    assert.equal(status, 200, text)
  }
})

const largeBytes = 17 * 1024 * 1024
const large = wholeJson.replace(faultText, 'x'.repeat(largeBytes))
test('a whole answer over 16 MiB goes through as it comes, with the name of the model', async (t) => {
  const { router, upstream } = await openWith(t, () => [answerBytes(large)])
  const { status, text } = await post(`${router.url}/v1/chat/completions`, { model: 'one', messages })
  assert.equal(status, 200)
  assert.ok(text === large.replace('upstream-model', 'one'))
  await assertNothingLeft(router, [upstream], 1)
})

for (const [name, headers] of [
  ['with a length', ['content-type: application/json', `content-length: ${large.length}`]],
  ['without a length', ['content-type: application/json']],
] as const) {
  test(`a whole answer ${name} that is cut behind 16 MiB never looks complete`, async (t) => {
    const { router, upstream } = await openWith(t, () => [head(headers), large.slice(0, -9), fin])
    await assert.rejects(post(`${router.url}/v1/chat/completions`, { model: 'one', messages }))
    assert.equal((await router.requestLogged()).outcome, 'truncated')
    await assertNothingLeft(router, [upstream], 1)
  })
}

test('a whole answer over 32 MiB that would have to be translated is refused', async (t) => {
  const { router, upstream } = await openWith(t, () => [
    answerBytes(large.replace('xxx', 'xxx'.repeat(6_000_000))),
  ])
  const { status } = await post(`${router.url}/api/chat`, { model: 'one', stream: false, messages })
  assert.equal(status, 502)
  await assertNothingLeft(router, [upstream], 1)
})
