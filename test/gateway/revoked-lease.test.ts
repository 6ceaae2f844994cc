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

/** One way to ask, each with a server of its own, which the other router takes as well. */
const ways: { name: string; path: string; body: object; answer: unknown }[] = [
  { name: 'chat', path: '/v1/chat/completions', body: { messages: question }, answer: chatAnswer },
  { name: 'embeddings', path: '/v1/embeddings', body: { input: 'x' }, answer: vectors },
  { name: 'speech', path: '/v1/audio/speech', body: { input: 'x', voice: 'alloy' }, answer: 'la la' },
]

let redis: RedisServer
let routers: TestRouter[]
/** Each answers its second request once the first is over, and never answers the first. */
let boxes: Record<string, ScriptedUpstream>
let spare: ScriptedUpstream
let streaming: ScriptedUpstream
const finish = Promise.withResolvers<void>()

async function startBox(answer: unknown): Promise<ScriptedUpstream> {
  const box: ScriptedUpstream = await startUpstream(async (_request, index): Promise<Behaviour> => {
    if (index === 0) return { kind: 'hang' }
    if (index === 1) await box.requestClosed(0)
    return { kind: 'reply', body: answer }
  })
  return box
}

before(async () => {
  redis = await startRedis()
  boxes = Object.fromEntries(
    await Promise.all(
      [...ways, { name: 'pair', answer: chatAnswer }].map(
        async ({ name, answer }) => [name, await startBox(answer)] as const,
      ),
    ),
  )
  spare = await startUpstream({ kind: 'reply', body: chatAnswer })
  const pieces = [openaiChunk({ content: 'Hi' }), finish.promise, openaiChunk({}, 'stop'), openaiDone]
  streaming = await startUpstream({ kind: 'stream', pieces })
  const provider = (id: string, { url }: ScriptedUpstream) => ({ id, api_type: 'openai', api_host: url })
  const models = modelsConfig({
    ...Object.fromEntries(Object.entries(boxes).map(([name, box]) => [name, [provider(name, box)]])),
    pair: [provider('first', boxOf('pair')), provider('second', spare)],
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
  await Promise.all([...Object.values(boxes), spare, streaming].map((box) => box.close()))
  await redis.stop()
})

/** What each model's first request, by the first router, got, and its second one, by the other router. */
let asked: Map<string, ReturnType<typeof post>[]>

async function loseAll(): Promise<void> {
  const [ours, theirs] = routers
  assert.ok(ours && theirs)
  const chat = { path: '/v1/chat/completions', body: { messages: question } }
  const requests = [
    ...ways.map((way) => ({ ...way, box: boxOf(way.name) })),
    { ...chat, name: 'pair', box: boxOf('pair') },
    { ...chat, name: 'stream', box: streaming, body: { messages: question, stream: true } },
  ]
  const askAll = async ({ url }: TestRouter, index: number): Promise<void> => {
    for (const { name, path, body } of requests)
      asked.set(name, [...(asked.get(name) ?? []), post(url + path, { model: name, ...body })])
    await Promise.all(requests.map(({ box }) => box.requestReceived(index)))
  }
  asked = new Map()
  await askAll(ours, 0)
  await redis.redis.flushall()
  await askAll(theirs, 1)
}

function boxOf(name: string): ScriptedUpstream {
  return boxes[name] ?? assert.fail(`no box ${name}`)
}

async function assertAnswered(model: string): Promise<void> {
  const answers = await Promise.all(asked.get(model) ?? [])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200],
  )
}

const timeout = 20_000

describe('a lease that was lost because Redis was emptied and another router took the target', () => {
  // Renewals tell the loss, and come every five seconds: all cases wait for the same ones.
  before(loseAll)

  for (const { name } of ways) {
    test(`${name}: while it waits for its first byte the call is ended, and its turn comes again`, {
      timeout,
    }, async () => {
      // The other router's answer comes once the first call has been ended.
      await assertAnswered(name)
      assert.equal(boxOf(name).requests.length, 3)
    })
  }

  test('another target that is free answers', { timeout }, async () => {
    await assertAnswered('pair')
    assert.deepEqual([boxOf('pair').requests.length, spare.requests.length], [2, 1])
    const failover = await routers[0]?.logged(({ msg, model }) => msg === 'failover' && model === 'pair')
    assert.deepEqual([failover?.target, failover?.error_cause], ['first', 'LEASE_LOST'])
  })

  test('after its first content it goes on to its end', { timeout }, async () => {
    await routers[0]?.logged(
      ({ msg, model }) => String(msg).startsWith('lease revoked') && model === 'stream',
    )
    finish.resolve()
    await assertAnswered('stream')
    assert.match((await asked.get('stream')?.[0])?.text ?? '', /data: \[DONE\]/)
    assert.equal(streaming.requests.length, 2)
  })
})
