import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { type RedisServer, startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  openaiChunk,
  openaiDone,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const message = { role: 'assistant', content: 'Hi' }
const chatAnswer = {
  id: 'x',
  object: 'chat.completion',
  created: 1,
  model: 'm',
  choices: [{ index: 0, message, finish_reason: 'stop' }],
}
const vectors = {
  object: 'list',
  model: 'm',
  data: [{ object: 'embedding', index: 0, embedding: [1, 2] }],
  usage: { prompt_tokens: 1, total_tokens: 1 },
}
const question = [{ role: 'user', content: 'x' }]

/** A kind of request, each with a separate server that the other router leases as well. */
const ways: { name: string; path: string; body: object; answer: unknown }[] = [
  { name: 'chat', path: '/v1/chat/completions', body: { messages: question }, answer: chatAnswer },
  { name: 'embeddings', path: '/v1/embeddings', body: { input: 'x' }, answer: vectors },
  { name: 'speech', path: '/v1/audio/speech', body: { input: 'x', voice: 'alloy' }, answer: 'la la' },
]

let redis: RedisServer
let routers: TestRouter[]
/** Each server answers its second request once the first is over, and never answers the first. */
let servers: Record<string, ScriptedUpstream>
let spare: ScriptedUpstream
let streaming: ScriptedUpstream
const finish = Promise.withResolvers<void>()

async function startServer(answer: unknown): Promise<ScriptedUpstream> {
  const server: ScriptedUpstream = await startUpstream(async (_request, index): Promise<Behaviour> => {
    if (index === 0) return { kind: 'hang' }
    if (index === 1) await server.requestClosed(0)
    return { kind: 'reply', body: answer }
  })
  return server
}

before(async () => {
  redis = await startRedis()
  servers = Object.fromEntries(
    await Promise.all(
      [...ways, { name: 'pair', answer: chatAnswer }].map(
        async ({ name, answer }) => [name, await startServer(answer)] as const,
      ),
    ),
  )
  spare = await startUpstream({ kind: 'reply', body: chatAnswer })
  const pieces = [openaiChunk({ content: 'Hi' }), finish.promise, openaiChunk({}, 'stop'), openaiDone]
  streaming = await startUpstream({ kind: 'stream', pieces })
  const provider = (id: string, { url }: ScriptedUpstream) => ({ id, api_type: 'openai', api_host: url })
  const models = modelsConfig({
    ...Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, [provider(name, server)]])),
    pair: [provider('first', serverOf('pair')), provider('second', spare)],
    stream: [provider('stream', streaming)],
  })
  const env = {
    LLM_ROUTER_DRAIN_TIMEOUT: '1',
    LLM_ROUTER_BALANCE_STRATEGY: 'first_available',
    LLM_ROUTER_REDIS_HOST: '127.0.0.1',
    LLM_ROUTER_REDIS_PORT: `${redis.port}`,
  }
  routers = [await startRouter({ env, models }), await startRouter({ env, models })]
})
after(async () => {
  await Promise.all(routers.map((router) => router.close()))
  await Promise.all([...Object.values(servers), spare, streaming].map((server) => server.close()))
  await redis.stop()
})

/** Responses for each model: to the first request, by the first router, and to the second, by the other router. */
let asked: Map<string, ReturnType<typeof post>[]>

async function revokeAll(): Promise<void> {
  const [ours, theirs] = routers
  assert.ok(ours && theirs)
  const chat = { path: '/v1/chat/completions', body: { messages: question } }
  const requests = [
    ...ways.map((way) => ({ ...way, server: serverOf(way.name) })),
    { ...chat, name: 'pair', server: serverOf('pair') },
    { ...chat, name: 'stream', server: streaming, body: { messages: question, stream: true } },
  ]
  const askAll = async ({ url }: TestRouter, index: number): Promise<void> => {
    for (const { name, path, body } of requests)
      asked.set(name, [...(asked.get(name) ?? []), post(url + path, { model: name, ...body })])
    await Promise.all(requests.map(({ server }) => server.requestReceived(index)))
  }
  asked = new Map()
  await askAll(ours, 0)
  await redis.redis.flushall()
  await askAll(theirs, 1)
}

function serverOf(name: string): ScriptedUpstream {
  return servers[name] ?? assert.fail(`no server ${name}`)
}

async function assertAnswered(model: string): Promise<void> {
  const answers = await Promise.all(asked.get(model) ?? [])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200],
  )
}

const timeout = 20_000

describe('a lease that is revoked because Redis was emptied and another router acquired the target', () => {
  // Renewals detect the revocation and happen every five seconds: all cases wait for the same ones.
  before(revokeAll)

  for (const { name } of ways) {
    test(`${name}: a request whose lease is revoked before its first byte is ended upstream and queued again`, {
      timeout,
    }, async () => {
      // The other router's answer comes once the first upstream request has been ended.
      await assertAnswered(name)
      assert.equal(serverOf(name).requests.length, 3)
    })
  }

  test('a request whose lease is revoked moves to another target that is free', { timeout }, async () => {
    await assertAnswered('pair')
    assert.deepEqual([serverOf('pair').requests.length, spare.requests.length], [2, 1])
    const failover = await routers[0]?.logged(({ msg, model }) => msg === 'failover' && model === 'pair')
    assert.deepEqual([failover?.target, failover?.error_cause], ['first', 'LEASE_LOST'])
  })

  test('a stream whose lease is revoked after its first content runs to its end', { timeout }, async () => {
    await routers[0]?.logged(
      ({ msg, model }) => String(msg).startsWith('lease revoked') && model === 'stream',
    )
    finish.resolve()
    await assertAnswered('stream')
    assert.match((await asked.get('stream')?.[0])?.text ?? '', /data: \[DONE\]/)
    assert.equal(streaming.requests.length, 2)
  })
})
