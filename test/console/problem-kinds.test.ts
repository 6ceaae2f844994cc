import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import type { Problem } from '../../src/sdk/console/problems.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter } from '../helpers/router.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import {
  type Behaviour,
  openaiError,
  openaiStream,
  openaiText,
  type Script,
  startUpstream,
} from '../helpers/scripted-upstream.ts'
import { adminKey, openTeam, sqliteUrl } from '../teams/team-router.ts'
import { openEvents } from './event-reader.ts'
import { chat, operator, operatorKey, read } from './fleet.ts'

// Every kind of problem that problems.test.ts and test/ui/console-cluster.test.ts do not cause.

const one = modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] })
const bearerOf = (key: string) => ({ authorization: `Bearer ${key}` })

/** Waits for a problem of each of these codes; the time limit of the test applies. */
async function problemsOf(
  url: string,
  codes: readonly string[],
  headers: Record<string, string> = operator,
): Promise<Problem[]> {
  // Some end before others begin.
  const seen = new Map<string, Problem>()
  await problemsUntil(url, headers, (problems) => {
    for (const problem of problems) seen.set(problem.code, problem)
    return codes.every((code) => seen.has(code))
  })
  return codes.flatMap((code) => seen.get(code) ?? [])
}

/** Waits until there is no problem of these codes. */
async function over(url: string, codes: readonly string[], headers: Record<string, string> = operator) {
  await problemsUntil(url, headers, (problems) => !problems.some(({ code }) => codes.includes(code)))
}

/** Reads problems as the console does, until they satisfy the condition. */
async function problemsUntil(
  url: string,
  headers: Record<string, string>,
  isWanted: (problems: readonly Problem[]) => boolean,
): Promise<void> {
  const events = await openEvents(url, { headers })
  await events.next('problems', ({ problems }) => isWanted(problems as Problem[]))
  events.close()
}

async function serverOf(t: TestContext, script: Script): Promise<string> {
  const server = await startUpstream((request, index) => {
    if (request.method !== 'GET')
      return typeof script === 'function' ? script(request, index) : (script as Behaviour)
    const isAsleep = script === asleep && request.url === '/is_sleeping'
    return { kind: 'reply', body: isAsleep ? { is_sleeping: true } : {} }
  })
  t.after(() => server.close())
  return server.url
}

const asleep: Behaviour = openaiText('never')

test('targets that are rate limited, hung, asleep, silent or fail one feature are problems', async (t) => {
  const provider = async (id: string, script: Script) => ({
    id,
    api_type: 'vllm',
    api_host: await serverOf(t, script),
  })
  const silent = await startUpstream({ kind: 'hang' })
  t.after(() => silent.close())
  const router = await startRouter({
    env: {
      LLM_ROUTER_ADMIN_KEY: operatorKey,
      LLM_ROUTER_HEALTH_INTERVAL: '0.2',
      LLM_ROUTER_BALANCE_STRATEGY: 'least_busy',
    },
    models: modelsConfig({
      limited: [
        await provider('limited', {
          kind: 'reply',
          status: 429,
          headers: { 'retry-after': '60' },
          body: { error: { message: 'slow down' } },
        }),
        await provider('spare-1', openaiText('Hi')),
      ],
      hung: [await provider('hung', { kind: 'hang' }), await provider('spare-2', openaiStream(['Hi']))],
      asleep: [await provider('asleep', asleep)],
      silent: [{ id: 'silent', api_type: 'vllm', api_host: silent.url }],
      tools: [
        await provider('no-tools', ({ body }) =>
          'tools' in Object(body) ? openaiError(500, { message: 'no' }) : openaiText('Hi'),
        ),
        await provider('spare-3', openaiText('Hi')),
      ],
    }),
  })
  t.after(() => router.close())
  const ask = (model: string, more: object = {}) =>
    post(`${router.url}/v1/chat/completions`, { ...chat(model), ...more })
  const leave = new AbortController()
  t.after(() => leave.abort())
  const pinned = (target: string) =>
    fetch(`${router.url}/api/playground/chat`, {
      method: 'POST',
      signal: leave.signal,
      headers: { ...operator, 'content-type': 'application/json' },
      body: JSON.stringify({ ...chat('hung', true), target }),
    })
  assert.match(await (await pinned('spare-2')).text(), /Hi/)
  for (let count = 0; count < 2; count++) void pinned('hung').catch(() => undefined)
  for (let count = 0; count < 2; count++) assert.equal((await ask('limited')).status, 200)
  const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]
  for (let count = 0; count < 10; count++) assert.equal((await ask('tools', { tools })).status, 200)
  const [limited, hung, sleeping, panic, feature] = await problemsOf(router.url, [
    'rate_limited',
    'hung',
    'asleep',
    'panic',
    'ejected_for_feature',
  ])
  assert.match(`${limited?.text}: ${limited?.action}`, /^limited asks for a pause \(429\): [^:]* in \d+ s/)
  assert.equal(hung?.text, 'hung accepts requests but does not start to respond')
  assert.equal(sleeping?.text, 'asleep is asleep')
  assert.match(panic?.text ?? '', /^All servers of silent fail their health checks/)
  assert.equal(feature?.text, 'no-tools fails requests with tools')
})

test('an unreachable Redis is a problem until it is back', async (t) => {
  const redis = await startRedis()
  const router = await startRouter({
    env: {
      LLM_ROUTER_ADMIN_KEY: operatorKey,
      LLM_ROUTER_SESSION_SECRET: 'x'.repeat(40),
      LLM_ROUTER_REDIS_HOST: '127.0.0.1',
      LLM_ROUTER_REDIS_PORT: String(redis.port),
    },
    models: one,
  })
  t.after(() => router.close())
  await over(router.url, ['redis_away'])
  await redis.stop()
  const [away] = await problemsOf(router.url, ['redis_away'])
  assert.equal(away?.severity, 'error')
  assert.match(away?.text ?? '', /^Redis is unavailable: .* to this host only$/)
  const again = await startRedis(redis.port)
  t.after(() => again.stop())
  await over(router.url, ['redis_away'])
})

test('an unreachable database and its consequences are problems until it is back', async (t) => {
  const postgres = await sharedPostgres()
  const spool = sqliteUrl(t).replace(/^sqlite:(.*)\/[^/]*$/, '$1')
  const team = await openTeam(t, await postgres.url(), { LLM_ROUTER_USAGE_SPOOL: spool })
  const { url } = team.router
  const key = await team.newKey('alice')
  await team.admin('POST', '/budgets', {
    id: 'b',
    client: 'alice',
    unit: 'requests',
    limit: 8,
    window: 'day',
  })
  assert.equal((await team.chat(key)).status, 200)
  await postgres.stop()
  const headers = bearerOf(adminKey)
  for (let count = 0; count < 12; count++) await team.chat(key)
  const [away, budgets] = await problemsOf(url, ['database_away', 'budget_store_away'], headers)
  assert.match(away?.text ?? '', /^The database is unavailable: clients, keys and budgets stay as they were/)
  assert.match(
    budgets?.text ?? '',
    /^Budgets cannot be checked because the database is unavailable; requests continue unchecked/,
  )
  // Its folder is replaced by a file, so that nothing can be written to it.
  rmSync(spool, { recursive: true, force: true })
  writeFileSync(spool, '')
  await team.chat(key)
  const [failed] = await problemsOf(url, ['usage_spool_failed'], headers)
  assert.equal(failed?.text, 'Usage cannot be spooled to disk while the database is unavailable')
  rmSync(spool)
  await postgres.start()
  await over(url, ['database_away', 'usage_spool_failed'], headers)
  await team.chat(key)
  await over(url, ['budget_store_away'], headers)
})

test('usage that a slow database does not accept in time is a problem', async (t) => {
  const database = sqliteUrl(t)
  const spool = sqliteUrl(t).replace(/^sqlite:(.*)\/[^/]*$/, '$1')
  const team = await openTeam(t, database, { LLM_ROUTER_USAGE_SPOOL: spool })
  const key = await team.newKey('alice')
  const locking = new DatabaseSync(database.slice('sqlite:'.length))
  t.after(() => locking.close())
  locking.exec('begin immediate')
  assert.equal((await team.chat(key)).status, 200)
  const headers = bearerOf(adminKey)
  const [waits] = await problemsOf(team.router.url, ['usage_waits'], headers)
  assert.match(waits?.text ?? '', /^\d+ KB of usage are spooled to disk/)
  locking.exec('rollback')
  await over(team.router.url, ['usage_waits'], headers)
})

test('an unwritable log file, an overload and the shutdown of the router are problems', async (t) => {
  const single = await startRouterProcess({
    env: {
      LLM_ROUTER_EXTENSIONS: './test/fixtures/extensions/blocking.ts',
      LLM_ROUTER_SHED_DELAY: '0.3',
      LLM_ROUTER_DRAIN_ACCEPT: '20',
      LLM_ROUTER_LOG_FILENAME: join(import.meta.filename, 'router.log'),
    },
    models: one,
  })
  t.after(() => single.stop())
  const [unwritten] = await problemsOf(single.url, ['log_file_failed'], {})
  assert.deepEqual(unwritten?.subject, { type: 'router' })
  const blocking = fetch(`${single.url}/test/block?ms=5000`)
  await single.logged(({ msg }) => msg === 'blocked')
  assert.equal((await post(`${single.url}/v1/chat/completions`, chat('one'))).status, 503)
  await blocking
  const [overloaded] = await problemsOf(single.url, ['overloaded'], {})
  assert.match(overloaded?.text ?? '', /^A process of the router was overloaded/)
  single.child.kill('SIGTERM')
  await single.logged(({ msg }) => msg === 'stopping')
  // Live events have ended by now.
  const { problems } = await read<{ problems: Problem[] }>(single.url, '/problems', {})
  assert.equal(problems.find(({ code }) => code === 'draining')?.severity, 'info')
})
