import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Redis } from 'ioredis'
import { eventually } from '../../helpers/eventually.ts'
import { post } from '../../helpers/http.ts'
import { bearer, type KeysFile, keysFile } from '../../helpers/keys-file.ts'
import { messages } from '../../helpers/messages.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { type RedisServer, startRedis } from '../../helpers/programs/redis-server.ts'
import { startRouter, type TestRouter } from '../../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../../helpers/scripted-upstream.ts'
import { periodicCommands, redisScripts } from './scripts.ts'

const rounds = 5

let server: RedisServer
let upstream: ScriptedUpstream
let router: TestRouter
let file: KeysFile
let monitor: Redis
let sent: string[] = []

before(async () => {
  server = await startRedis()
  upstream = await startUpstream(openaiText('Hi'))
  file = keysFile([
    { id: 'free', key: 'sk-0123456789abcdef-free' },
    {
      id: 'limited',
      key: 'sk-0123456789abcdef-limited',
      max_concurrent: 5,
      requests_per_minute: 1_000,
      tokens_per_minute: 1_000_000,
    },
  ])
  const provider = { api_type: 'vllm', api_host: upstream.url }
  router = await startRouter({
    env: { ...file.env, LLM_ROUTER_REDIS_URL: `redis://127.0.0.1:${server.port}` },
    models: modelsConfig({
      shared: [{ ...provider, id: 's' }],
      exclusive: [{ ...provider, id: 'e', max_in_flight: 1 }],
    }),
  })
  monitor = await server.redis.monitor()
  monitor.on('monitor', (_time: string, [command = '', text = '']: string[], source: string) => {
    // The first time, a connection sends the script itself.
    const script = redisScripts.find(({ digest, firstLine }) => text === digest || text.startsWith(firstLine))
    const name = script?.name ?? command.toLowerCase()
    if (source !== 'lua' && !periodicCommands.has(name)) sent.push(name)
  })
})
after(async () => {
  monitor.disconnect()
  await router.close()
  await upstream.close()
  await server.stop()
  file.remove()
})

type Body = Record<string, unknown>

/** Waits for this many of a command that comes last, or for the monitor to report all earlier ones. */
async function heard(last: string, count: number): Promise<void> {
  await server.redis.echo('over')
  await eventually(() => sent.filter((name) => name === last).length >= (last === 'echo' ? 1 : count))
}

/**
 * How often each command reaches Redis for one request. `last`: the command that comes last, or `echo` if none
 * is expected.
 */
async function commandsOf(
  key: 'free' | 'limited',
  path: string,
  bodies: (round: number, before: Body) => Body,
  last: string,
): Promise<Record<string, number>> {
  let answer: Body = {}
  const ask = async (round: number): Promise<void> => {
    const { status, text } = await post(`${router.url}${path}`, bodies(round, answer), {
      'content-type': 'application/json',
      ...bearer(`sk-0123456789abcdef-${key}`),
    })
    assert.equal(status, 200, text)
    answer = JSON.parse(text)
  }
  await ask(0)
  await heard(last, 1)
  sent = []
  for (let round = 1; round <= rounds; round++) await ask(round)
  await heard(last, rounds)
  const counts: Record<string, number> = {}
  for (const name of sent) if (name !== 'echo') counts[name] = (counts[name] ?? 0) + 1 / rounds
  // Periodic commands of the router are rarer than once per request.
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0.99))
}

const chat = (model: string) => () => ({ model, messages })

test('a request of a key without limits to a target without a limit sends no Redis command', async () => {
  const counts = await commandsOf('free', '/v1/chat/completions', chat('shared'), 'echo')
  assert.deepEqual(counts, {})
})

test('the limits of a key cost two round trips: one before and one after the request', async () => {
  const counts = await commandsOf('limited', '/v1/chat/completions', chat('shared'), 'settle-key')
  assert.deepEqual(counts, { 'admit-key': 1, 'settle-key': 1 })
})

test('an exclusive target costs two round trips: one before and one after the request', async () => {
  const counts = await commandsOf('free', '/v1/chat/completions', chat('exclusive'), 'release-leases')
  assert.deepEqual(counts, { 'acquire-lease': 1, 'release-leases': 1 })
})

test('a response that continues another one causes one lookup, one announcement and one write', async () => {
  const body = (_round: number, { id }: Body) => ({ model: 'shared', input: 'Hi', previous_response_id: id })
  const counts = await commandsOf('free', '/v1/responses', body, 'put-response')
  assert.deepEqual(counts, { 'announce-response': 1, 'find-response': 1, 'put-response': 1 })
})

test('a request that uses all of these sends each command once', async () => {
  const body = (_round: number, { id }: Body) => ({
    model: 'exclusive',
    input: 'Hi',
    previous_response_id: id,
  })
  const counts = await commandsOf('limited', '/v1/responses', body, 'settle-key')
  const before = ['admit-key', 'find-response', 'announce-response', 'acquire-lease']
  const each = [...before, 'release-leases', 'put-response', 'settle-key']
  assert.deepEqual(counts, Object.fromEntries(each.map((name) => [name, 1])))
})
