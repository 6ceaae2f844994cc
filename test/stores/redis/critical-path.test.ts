import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { post } from '../../helpers/http.ts'
import { bearer } from '../../helpers/keys-file.ts'
import { messages } from '../../helpers/messages.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { type RedisServer, startRedis } from '../../helpers/programs/redis-server.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../../helpers/scripted-upstream.ts'
import { openTeam, type TeamRouter } from '../../teams/team-router.ts'
import { type RoundTripProxy, startRoundTripProxy } from './round-trip-proxy.ts'
import { periodicCommands, redisScripts } from './scripts.ts'

const digests = redisScripts.flatMap(({ name, digest }) => (periodicCommands.has(name) ? [] : [digest]))
const secret = 'secret-of-the-sessions-of-the-tests'
const folder = mkdtempSync(join(tmpdir(), 'llm-router-critical-path-'))

let server: RedisServer
let proxy: RoundTripProxy
let upstream: ScriptedUpstream
let team: TeamRouter
/** Another router, whose requests take slots of the same targets. */
let other: TeamRouter
let key: string

before(async () => {
  server = await startRedis()
  proxy = await startRoundTripProxy(server.port)
  upstream = await startUpstream(openaiText('Hi'))
  const provider = { api_type: 'vllm', api_host: upstream.url, max_in_flight: 1 }
  const config = modelsConfig({
    places: ['a', 'b', 'c'].map((id) => ({ ...provider, id })),
    alone: [{ ...provider, id: 'd', max_in_flight: 100 }],
  })
  const openRouter = (name: string, port: number) =>
    openTeam(
      undefined,
      `sqlite:${join(folder, name)}`,
      { LLM_ROUTER_REDIS_URL: `redis://127.0.0.1:${port}`, LLM_ROUTER_SESSION_SECRET: secret },
      config,
    )
  team = await openRouter('one.db', proxy.port)
  other = await openRouter('two.db', server.port)
  // Everything that can be limited: a client, its group, and the group above that.
  const limits = { max_concurrent: 50, requests_per_minute: 1_000, tokens_per_minute: 1_000_000 }
  await team.admin('POST', '/groups', { id: 'company', ...limits })
  await team.admin('POST', '/groups', { id: 'team', parent: 'company', ...limits })
  const budget = await team.admin('POST', '/budgets', {
    id: 'spent',
    group: 'team',
    unit: 'tokens',
    limit: 1_000_000,
    window: 'day',
  })
  assert.equal(budget.status, 201, JSON.stringify(budget.body))
  key = await team.newKey('alice', { group: 'team', ...limits })
  // The first requests open connections and load scripts.
  const { id } = await ask('/v1/responses', { model: 'alone', input: 'Hi' })
  await ask('/v1/responses', { model: 'alone', input: 'Hi', previous_response_id: id })
  await ask('/v1/chat/completions', { model: 'places', messages })
})
after(async () => {
  proxy.pass()
  await team.router.close()
  await other.router.close()
  proxy.close()
  await upstream.close()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function ask(path: string, body: object, headers = {}): Promise<Record<string, unknown>> {
  const { status, text } = await post(team.router.url + path, body, {
    'content-type': 'application/json',
    ...bearer(key),
    ...headers,
  })
  assert.equal(status, 200, text)
  return text.startsWith('{') ? JSON.parse(text) : { text }
}

/** The round trips to Redis that the whole answer waits for. */
async function tripsOf(path: string, body: object, headers = {}): Promise<number> {
  proxy.count(digests)
  try {
    await ask(path, body, headers)
    return proxy.trips
  } finally {
    proxy.pass()
  }
}

const chat = '/v1/chat/completions'

test('a request with limits of a client and its groups, and a leased slot, waits for two round trips', async () => {
  assert.equal(await tripsOf(chat, { model: 'alone', messages }), 2)
  assert.equal(await tripsOf(chat, { model: 'alone', messages, stream: true }), 2)
  assert.equal(await tripsOf(chat, { model: 'alone', messages }, { 'x-llm-router-session': 'one' }), 2)
})

test('a response that continues another one and is stored waits for two round trips too', async () => {
  const first = await ask('/v1/responses', { model: 'alone', input: 'Hi' })
  const body = { model: 'alone', input: 'And?', previous_response_id: first.id }
  assert.equal(await tripsOf('/v1/responses', body), 2)
  assert.equal(await tripsOf('/v1/responses', { ...body, stream: true }), 2)
})

test('a request finds the one target with a free slot within the same round trips, whatever others took', async () => {
  let release = (): void => undefined
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  upstream.rescript(async (_request, index) => {
    if (index < first + 2) await held
    return openaiText('Hi')
  })
  const first = upstream.requests.length
  const otherKey = await other.newKey('bob')
  const taken = [0, 1].map(() => other.chat(otherKey, 'places'))
  await upstream.requestReceived(first + 1)
  try {
    assert.equal(await tripsOf(chat, { model: 'places', messages }), 2)
  } finally {
    release()
    await Promise.all(taken)
  }
})

test('a response is found by another router as soon as its client has it', async () => {
  const otherKey = await other.newKey('alice')
  proxy.count(digests)
  const { id } = await ask('/v1/responses', { model: 'alone', input: 'Remember me' })
  const continuing = post(
    `${other.router.url}/v1/responses`,
    { model: 'alone', input: 'Who?', previous_response_id: id },
    { 'content-type': 'application/json', ...bearer(otherKey) },
  )
  const { status, text } = await continuing
  proxy.pass()
  assert.equal(status, 200, text)
  const { body } = upstream.requests.at(-1) ?? assert.fail()
  assert.match(JSON.stringify(body), /Remember me/)
})
