import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { type CountingUpstream, startCounting } from '../helpers/counting-upstream.ts'
import { eventually } from '../helpers/eventually.ts'
import { post, type RawAnswer } from '../helpers/http.ts'
import { type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'
const queueSize = 40
const keyOf = (id: string) => `sk-llm-router-${id}-0123456789`
const records = [
  { id: 'flood', key: keyOf('flood') },
  { id: 'single', key: keyOf('single') },
  { id: 'heavy', key: keyOf('heavy'), weight: 2 },
  { id: 'urgent', key: keyOf('urgent'), priority: 'high' },
  { id: 'batch', key: keyOf('batch'), priority: 'low' },
  { id: 'chooser', key: keyOf('chooser'), priority_header: true },
]

let file: KeysFile
let router: TestRouter
let server: CountingUpstream
/** The text of each request that the server received, in order. */
const arrived: string[] = []

before(async () => {
  file = keysFile(records)
  server = await startCounting(({ body }) => {
    const messages = isObject(body) && Array.isArray(body.messages) ? body.messages : []
    arrived.push(String(messages[0]?.content))
  })
  const provider = { api_type: 'vllm', api_host: server.upstream.url, max_in_flight: 1 }
  router = await startRouter({
    models: { test_models: { m: { providers: [provider] } }, active_models: { test_models: ['m'] } },
    env: { ...file.env, LLM_ROUTER_QUEUE_SIZE: `${queueSize}` },
  })
})
after(async () => {
  server.open()
  await router.close()
  await server.upstream.close()
  file.remove()
})

function ask(client: string, text = client, headers: Record<string, string> = {}): Promise<RawAnswer> {
  return post(
    `${router.url}${path}`,
    { model: 'm', messages: [{ role: 'user', content: text }] },
    { authorization: `Bearer ${keyOf(client)}`, 'content-type': 'application/json', ...headers },
  )
}

/** Sends requests in this order while the server is busy, then completes all of them; returns the order of service. */
async function served(
  asking: (readonly [client: string, text?: string, priority?: string])[],
): Promise<string[]> {
  const model = router.app.models.find('m') ?? assert.fail('no model')
  arrived.length = 0
  const asked = [ask('flood', 'held')]
  await eventually(() => arrived.length === 1)
  for (const [index, [client, text = client, priority]] of asking.entries()) {
    asked.push(ask(client, text, priority === undefined ? {} : { 'x-llm-router-priority': priority }))
    await eventually(() => router.app.balancer.waiting(model) === index + 1)
  }
  for (let index = 0; index < asked.length; index++) {
    await eventually(() => arrived.length === index + 1)
    server.answerOne()
  }
  const answers = await Promise.all(asked)
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  return arrived.slice(1)
}

const times = (count: number, client: string) => Array.from({ length: count }, () => [client] as const)

test('a client with many requests delays the single request of another by one at most', async () => {
  const order = await served([...times(20, 'flood'), ['single']])
  assert.ok(order.indexOf('single') <= 1, order.join(' '))
})

test('a client that fills the queue does not keep others out: its newest request is rejected for that of another', async () => {
  const model = router.app.models.find('m') ?? assert.fail('no model')
  arrived.length = 0
  const flood = [ask('flood')]
  await eventually(() => arrived.length === 1)
  for (let waiting = 1; waiting <= queueSize; waiting++) {
    flood.push(ask('flood'))
    await eventually(() => router.app.balancer.waiting(model) === waiting)
  }
  const codeOf = ({ status, text }: RawAnswer) => [status, JSON.parse(text).error.code]
  assert.deepEqual(codeOf(await ask('flood')), [503, 'queue_full'])
  const single = ask('single')
  assert.deepEqual(codeOf((await flood.pop()) ?? assert.fail()), [503, 'queue_full'])
  const answers = [single, ...flood]
  for (let served = 1; served <= answers.length; served++) {
    await eventually(() => arrived.length === served)
    server.answerOne()
  }
  assert.deepEqual(new Set((await Promise.all(answers)).map(({ status }) => status)), new Set([200]))
  assert.ok(arrived.indexOf('single') <= 2, arrived.join(' '))
})

test('a key of twice the weight gets twice as many slots while both wait', async () => {
  const order = await served([...times(8, 'single'), ...times(8, 'heavy')])
  assert.equal(order.slice(0, 9).filter((client) => client === 'heavy').length, 6)
})

test('keys of high priority go first, and a key of low priority is still served', async () => {
  const order = await served([...times(8, 'batch'), ...times(8, 'single'), ...times(20, 'urgent')])
  assert.equal(order[0], 'urgent')
  const first = order.slice(0, 21)
  assert.ok(first.filter((client) => client === 'urgent').length >= 15, first.join(' '))
  assert.ok(first.includes('batch'), first.join(' '))
})

test('a request sets its own priority only if its key permits that', async () => {
  assert.deepEqual(
    await served([
      ['chooser', 'low', 'low'],
      ['chooser', 'normal'],
      ['chooser', 'high', 'HIGH'],
    ]),
    ['high', 'normal', 'low'],
  )
  assert.deepEqual(
    await served([
      ['single', 'first', 'low'],
      ['single', 'second'],
      ['single', 'third', 'high'],
    ]),
    ['first', 'second', 'third'],
  )
})

test('an unknown priority is a 400 for keys that may choose one', async () => {
  const refused = await ask('chooser', 'x', { 'x-llm-router-priority': 'urgent' })
  assert.equal(refused.status, 400)
  assert.match(refused.text, /x-llm-router-priority/)
})

test('a server gets the priority in its own field if configured, whatever the client wrote', async (t) => {
  const vllm = await startUpstream(openaiText('Hi'))
  const provider = { api_type: 'vllm', api_host: vllm.url }
  const models = {
    told: { providers: [{ ...provider, pass_priority: true }] },
    plain: { providers: [provider] },
  }
  const other = await startRouter({
    models: { test_models: models, active_models: { test_models: Object.keys(models) } },
    env: file.env,
  })
  t.after(async () => {
    await other.close()
    await vllm.close()
  })
  const sent = async (client: string, model: string, more: object = {}, to = path): Promise<unknown> => {
    const answer = await post(
      `${other.url}${to}`,
      { model, max_tokens: 10, messages: [{ role: 'user', content: 'x' }], ...more },
      { authorization: `Bearer ${keyOf(client)}`, 'content-type': 'application/json' },
    )
    assert.equal(answer.status, 200)
    const { body } = vllm.requests.at(-1) ?? assert.fail('nothing was sent')
    return isObject(body) ? body.priority : undefined
  }
  assert.equal(await sent('urgent', 'told'), -1)
  assert.equal(await sent('single', 'told', { priority: -5 }), 0)
  assert.equal(await sent('batch', 'told', {}, '/v1/messages'), 1)
  assert.equal(await sent('urgent', 'plain'), undefined)
})
