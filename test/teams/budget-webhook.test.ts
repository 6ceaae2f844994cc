import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type TestContext, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { loadConfig } from '../../src/config/settings/settings.ts'
import { BudgetNotices } from '../../src/stores/budgets/notices.ts'
import { webhookTo } from '../../src/stores/budgets/webhook.ts'
import { serverPair, testCa } from '../helpers/certificates/test-ca.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRouter } from '../helpers/router.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { openMemoryDatabase } from '../stores/memory-database.ts'
import { models, requestsTo, sqliteUrl, teamEnv } from './team-router.ts'

const secret = 'a secret of the tests, long enough'

interface Message {
  headers: IncomingHttpHeaders
  body: string
}

async function receiver(t: TestContext) {
  // Has the effect of NODE_EXTRA_CA_CERTS in a separate process.
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, testCa])
  t.after(() => setDefaultCACertificates(trusted))
  const messages: Message[] = []
  const server = await startUpstream(
    ({ headers, raw }) => {
      messages.push({ headers, body: raw.toString() })
      return { kind: 'reply', body: '' }
    },
    { tls: serverPair },
  )
  t.after(() => server.close())
  return { messages, url: `${server.url}/budgets` }
}

test('one of two routers sends the webhook once at 50, 80 and 100 %, signed', async (t) => {
  const { messages, url } = await receiver(t)
  const env = {
    ...teamEnv(sqliteUrl(t)),
    LLM_ROUTER_BUDGET_WEBHOOK_URL: url,
    LLM_ROUTER_BUDGET_WEBHOOK_SECRET: secret,
  }
  const routers = [await startRouter({ models, env }), await startRouter({ models, env })]
  t.after(() => Promise.all(routers.map((router) => router.close())))
  const [one, two] = routers.map(({ url: at }) => requestsTo(at))
  assert.ok(one && two)
  const key = await one.newKey('alice')
  await one.admin('POST', '/budgets', {
    id: 'ten',
    client: 'alice',
    unit: 'requests',
    limit: 10,
    window: 'month',
    hard: false,
  })
  await eventually(async () => (await two.chat(key)).status === 200)
  for (let count = 0; count < 11; count++) await (count % 2 ? one : two).chat(key)
  await eventually(async () => messages.length >= 3)
  const payloads = messages.map(({ body }) => JSON.parse(body))
  assert.deepEqual(
    payloads.map(({ data }) => data.threshold).toSorted((a, b) => a - b),
    [50, 80, 100],
  )
  assert.deepEqual(
    [payloads[0].type, payloads[0].data.budget, payloads[0].data.limit],
    ['budget.threshold', 'ten', 10],
  )
  for (const { headers, body } of messages) {
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
    const wanted = createHmac('sha256', secret).update(signed).digest('base64')
    assert.equal(headers['webhook-signature'], `v1,${wanted}`)
  }
  // No further messages, although both routers keep running.
  for (const each of [one, two]) await each.chat(key)
  await eventually(async () => (await one.admin('GET', '/usage')).body.data[0]?.requests >= 14)
  assert.equal(messages.length, 3)
})

test('an undelivered message is retried, by another router too, until it is delivered', async (t) => {
  const db = await openMemoryDatabase(t)
  const log = { info: () => undefined, warn: () => undefined }
  const sent: string[] = []
  let answer: string | undefined = 'ECONNREFUSED'
  const webhook = {
    async send(id: string) {
      sent.push(id)
      return answer
    },
  }
  const notices = [new BudgetNotices({ db, webhook, log }), new BudgetNotices({ db, webhook, log })]
  t.after(() => {
    for (const each of notices) void each.close()
  })
  await Promise.all(notices.map((each) => each.send()))
  const record = { client: 'alice', unit: 'requests', limit: 10, window: 'day' } as const
  const state = { id: 'ten', spent: 6, start: 0, resetsAt: 86_400_000 }
  for (const each of notices) await each.recordThresholds([state], [{ id: 'ten', record }], Date.now())
  await notices[0]?.send()
  assert.deepEqual(sent, ['ten.0.50'])
  // Its claim has expired.
  await db.updateTable('budget_notices').set({ claimed_until: 0 }).execute()
  answer = undefined
  await notices[1]?.send()
  assert.deepEqual(sent, ['ten.0.50', 'ten.0.50'])
  await db.updateTable('budget_notices').set({ claimed_until: 0 }).execute()
  for (const each of notices) await each.send()
  assert.equal(sent.length, 2)
})

test('a threshold reached while a message is being sent is sent immediately afterwards', async (t) => {
  // The interval is too long to trigger it.
  t.mock.timers.enable({ apis: ['setInterval'] })
  const db = await openMemoryDatabase(t)
  const [begun, ended, next] = [0, 1, 2].map(() => Promise.withResolvers<void>())
  assert.ok(begun && ended && next)
  const sent: string[] = []
  const webhook = {
    async send(id: string) {
      sent.push(id)
      if (sent.length > 1) return void next.resolve()
      begun.resolve()
      await ended.promise
      return undefined
    },
  }
  const log = { info: () => undefined, warn: () => undefined }
  const notices = new BudgetNotices({ db, webhook, log })
  t.after(() => notices.close())
  await notices.send()
  const record = { client: 'alice', unit: 'requests', limit: 10, window: 'day' } as const
  const state = { id: 'ten', start: 0, resetsAt: 86_400_000 }
  await notices.recordThresholds([{ ...state, spent: 6 }], [{ id: 'ten', record }], Date.now())
  await begun.promise
  await notices.recordThresholds([{ ...state, spent: 8 }], [{ id: 'ten', record }], Date.now())
  ended.resolve()
  await next.promise
  assert.deepEqual(sent, ['ten.0.50', 'ten.0.80'])
})

test('a threshold that a router reached before it stopped is sent by the next one, without a request', async (t) => {
  const { messages, url } = await receiver(t)
  const env = teamEnv(sqliteUrl(t))
  const first = await startRouter({ models, env })
  const { admin, newKey, chat } = requestsTo(first.url)
  const key = await newKey('alice')
  for (const [id, enabled] of Object.entries({ two: true, off: false }))
    await admin('POST', '/budgets', {
      id,
      client: 'alice',
      unit: 'requests',
      limit: 2,
      window: 'month',
      hard: false,
      enabled,
    })
  await chat(key)
  await first.close()
  const webhook = { LLM_ROUTER_BUDGET_WEBHOOK_URL: url, LLM_ROUTER_BUDGET_WEBHOOK_SECRET: secret }
  const second = await startRouter({ models, env: { ...env, ...webhook } })
  t.after(() => second.close())
  await eventually(async () => messages.length > 0)
  assert.deepEqual(
    messages.map(({ body }) => JSON.parse(body).data).map(({ budget, threshold }) => [budget, threshold]),
    [['two', 50]],
  )
})

test('a message is retried for an hour and then dropped', async (t) => {
  const db = await openMemoryDatabase(t)
  const sent: string[] = []
  const webhook = {
    async send(id: string) {
      sent.push(id)
      return 'HTTP 500'
    },
  }
  const log = { info: () => undefined, warn: () => undefined }
  const notices = new BudgetNotices({ db, webhook, log })
  t.after(() => notices.close())
  await notices.send()
  const record = { client: 'alice', unit: 'requests', limit: 10, window: 'day' } as const
  const state = { id: 'ten', spent: 6, start: 0, resetsAt: 86_400_000 }
  await notices.recordThresholds([state], [{ id: 'ten', record }], Date.now())
  await notices.send()
  const againAfter = async (ms: number): Promise<number> => {
    const at = Date.now() - ms
    await db.updateTable('budget_notices').set({ at, claimed_until: 0 }).execute()
    const before = sent.length
    await notices.send()
    return sent.length - before
  }
  assert.deepEqual([sent.length, await againAfter(3_500_000), await againAfter(3_600_001)], [1, 1, 0])
})

test('a webhook needs https and a secret, and link-local addresses are rejected', async () => {
  const settings = (url: string, given = secret) =>
    loadConfig({ LLM_ROUTER_BUDGET_WEBHOOK_URL: url, LLM_ROUTER_BUDGET_WEBHOOK_SECRET: given })
  for (const url of ['http://example.org/', 'https://169.254.169.254/', 'https://[fe80::1]/', 'ftp://x/'])
    assert.throws(() => settings(url), /BUDGET_WEBHOOK_URL/, url)
  assert.throws(() => settings('https://example.org/', ''), /BUDGET_WEBHOOK_SECRET/)
  assert.ok(settings('https://example.org/'))
  assert.equal(await webhookTo('https://169.254.169.254/', secret).send('a', '{}'), 'a link-local address')
})
