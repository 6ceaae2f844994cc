import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { postBytes, RawClient, sendRaw } from '../helpers/raw-client.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const messages = [{ role: 'user', content: 'x'.repeat(700) }]
/** Two such bodies fit into the budget; a third does not. */
const body = JSON.stringify({ model: 'one', messages })
const path = '/v1/chat/completions'

let upstream: ScriptedUpstream
let router: TestRouter
const clients: RawClient[] = []

before(async () => {
  upstream = await startUpstream(openaiText('Hi'))
  router = await startRouter({
    env: {
      LLM_ROUTER_BODY_LIMIT: '1000',
      LLM_ROUTER_BODY_BUDGET: '2000',
      LLM_ROUTER_TRUSTED_PROXIES: '127.0.0.1',
    },
    models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

// A failed test leaves its clients connected.
afterEach(() => {
  for (const client of clients.splice(0)) client.close()
})

async function open(): Promise<RawClient> {
  const client = await RawClient.open(router.url)
  clients.push(client)
  return client
}

/** A client whose body has been announced and admitted, and is still being sent. */
async function announce(): Promise<RawClient> {
  const client = await open()
  client.send(postBytes(path, body, ['expect: 100-continue']).slice(0, -body.length))
  assert.equal((await client.answer()).status, 100)
  return client
}

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
const chunkedHead = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n`

test('a body that exceeds the budget is rejected unread with 503 and Retry-After, in its dialect', async () => {
  const admitted = [await announce(), await announce()]
  assert.equal(router.app.admission.heldBytes, 2 * body.length)
  const refused = await sendRaw(router.url, postBytes(path, body))
  assert.deepEqual([refused.status, refused.closed], [503, true])
  assert.equal(refused.headers['retry-after'], '1')
  assert.equal(JSON.parse(refused.body).error.code, 'body_budget_exceeded')
  const ollama = await sendRaw(router.url, postBytes('/api/chat', body))
  assert.equal(ollama.status, 503)
  assert.equal(typeof JSON.parse(ollama.body).error, 'string')
  assert.equal(upstream.requests.length, 0)

  for (const client of admitted) {
    client.send(body)
    assert.equal((await client.answer()).status, 200)
  }
  assert.equal((await sendRaw(router.url, postBytes(path, body))).status, 200)
  assert.equal(router.app.admission.heldBytes, 0)
})

test('a client that only announces bodies leaves a fifth of the budget to others', async () => {
  const announceSmall = async (): Promise<number> => {
    const client = await open()
    client.send(
      postBytes(path, 'x'.repeat(100), ['x-forwarded-for: 10.0.0.1', 'expect: 100-continue']).slice(0, -100),
    )
    return (await client.answer()).status
  }
  let announced = 0
  for (let status = await announceSmall(); status === 100; status = await announceSmall()) announced++
  assert.equal(announced, 16)
  const other = JSON.stringify({ model: 'one', messages: [{ role: 'user', content: 'x'.repeat(300) }] })
  assert.equal((await sendRaw(router.url, postBytes(path, other, ['x-forwarded-for: 10.0.0.2']))).status, 200)
})

test('a body counts toward the budget as long as its request runs', async () => {
  upstream.rescript({ kind: 'hang' })
  const index = upstream.requests.length
  const client = await open()
  client.send(postBytes(path, body))
  await upstream.requestReceived(index)
  assert.equal(router.app.admission.heldBytes, body.length)
  const logged = router.requestLogged()
  client.close()
  await logged
  assert.equal(router.app.admission.heldBytes, 0)
  upstream.rescript(openaiText('Hi'))
})

test('a client that disconnects while it sends its body releases its share of the budget', async () => {
  for (const chunked of [false, true]) {
    const logged = router.requestLogged()
    const client = await announceHalf(chunked)
    assert.ok(router.app.admission.heldBytes > 0)
    client.close()
    const line = await logged
    assert.deepEqual([line.status, line.outcome], [499, 'client_gone'])
    assert.equal(router.app.admission.heldBytes, 0)
  }
  assert.ok(!router.logs.some(({ msg }) => msg === 'internal error'))
})

/** Its share is reserved as soon as this returns. */
async function announceHalf(chunked: boolean): Promise<RawClient> {
  const client = await (chunked ? open() : announce())
  if (!chunked) {
    client.send(body.slice(0, 300))
    return client
  }
  client.send(`${chunkedHead}\r\n${chunk(body.slice(0, 300))}`)
  await eventually(() => router.app.admission.heldBytes > 0)
  return client
}

test('chunked bodies count as they arrive', async () => {
  const first = await announce()
  const second = await open()
  second.send(`${chunkedHead}expect: 100-continue\r\n\r\n`)
  assert.equal((await second.answer()).status, 100)
  assert.equal(router.app.admission.heldBytes, body.length, 'none of it has arrived yet')
  const third = await announce()
  second.send(chunk(body.slice(0, 300)) + chunk(body.slice(300, 600)))
  const refused = await second.answer()
  assert.equal(refused.status, 503)
  assert.equal(await second.rest(), '')
  for (const client of [first, third]) {
    client.send(body)
    assert.equal((await client.answer()).status, 200)
  }
  const whole = await sendRaw(router.url, `${chunkedHead}\r\n${chunk(body)}0\r\n\r\n`)
  assert.equal(whole.status, 200)
  assert.equal(upstream.requests.at(-1)?.raw.length, body.length)
  assert.equal(router.app.admission.heldBytes, 0)
})

test('a single body of the largest allowed size always fits into the budget', async (t) => {
  const small = await startRouter({
    env: { LLM_ROUTER_BODY_LIMIT: '1000', LLM_ROUTER_BODY_BUDGET: '1' },
    models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
  })
  t.after(() => small.close())
  assert.equal(small.app.admission.budgetBytes, 1250)
  assert.equal((await sendRaw(small.url, postBytes(path, body))).status, 200)
})
