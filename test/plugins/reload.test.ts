import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Status, TargetStatus } from '../../src/sdk/console/status.ts'
import type { Target } from '../../src/sdk/target.ts'
import { eventually } from '../helpers/eventually.ts'
import { collectGarbage } from '../helpers/garbage.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { scrape } from '../helpers/metrics.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { repeats } from '../helpers/repeats.ts'
import { startRouter, type TestRouter, type TestRouterOptions } from '../helpers/router.ts'
import {
  openaiChunk,
  openaiDone,
  openaiText,
  type Script,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'
const body = { model: 'm', messages }

async function upstream(t: TestContext, script: Script = openaiText('Hi')): Promise<ScriptedUpstream> {
  const server = await startUpstream(script)
  t.after(() => server.close())
  return server
}

async function router(t: TestContext, options: TestRouterOptions): Promise<TestRouter> {
  const started = await startRouter({
    ...options,
    env: { LLM_ROUTER_USE_PROMETHEUS: '1', LLM_ROUTER_CONFIG_POLL: '0', ...options.env },
  })
  t.after(() => started.close())
  return started
}

function provider(id: string, { url }: { url: string }, more: object = {}): object {
  return { id, api_type: 'vllm', api_host: url, ...more }
}

function write(file: string, config: unknown): void {
  writeFileSync(file, JSON.stringify(config))
}

/** Fulfilled when the router uses a configuration that has this target, and did not before. */
function takenOn({ logged }: TestRouter, id: string): Promise<unknown> {
  return logged(({ added }) => Array.isArray(added) && added.includes(id))
}

async function targetOf({ url }: TestRouter, id: string): Promise<TargetStatus> {
  const status = (await (await fetch(`${url}/api/status`)).json()) as Status // the router's own schema
  const found = status.models.flatMap(({ targets }) => targets).find((target) => target.id === id)
  return found ?? assert.fail(`no target ${id}`)
}

test('a target that is added to the file serves the next request', async (t) => {
  const [first, second] = [await upstream(t), await upstream(t)]
  const gateway = await router(t, { models: modelsConfig({ m: [provider('first', first)] }) })
  write(gateway.file, modelsConfig({ m: [provider('second', second)] }))
  await takenOn(gateway, 'second')
  assert.equal((await post(`${gateway.url}${path}`, body)).status, 200)
  assert.deepEqual([first.requests.length, second.requests.length], [0, 1])
})

test('a changed file with comments and trailing commas is loaded, with the key file that it names', async (t) => {
  const server = await upstream(t)
  const gateway = await router(t, { models: modelsConfig({ m: [provider('first', server)] }) })
  const key = join(dirname(gateway.file), 'key')
  writeFileSync(key, 'secret-of-the-server')
  const { origin } = new URL(server.url)
  const second = `{ "id": "second", "api_type": "openai", "api_host": "${origin}", "api_token_file": "key", }`
  writeFileSync(
    gateway.file,
    `// ours\n{"g": {"m": {"providers": [${second}]}}, "active_models": {"g": ["m",]},}`,
  )
  await takenOn(gateway, 'second')
  assert.equal((await post(`${gateway.url}${path}`, body)).status, 200)
  assert.equal(server.requests.at(-1)?.headers.authorization, 'Bearer secret-of-the-server')
})

test('added and removed models appear in and disappear from the lists', async (t) => {
  const server = await upstream(t)
  const gateway = await router(t, {
    models: modelsConfig({ m: [provider('a', server)], n: [provider('b', server)] }),
  })
  write(gateway.file, modelsConfig({ o: [provider('c', server)], m: [provider('a', server)] }))
  await takenOn(gateway, 'c')
  const listed = (await (await fetch(`${gateway.url}/v1/models`)).json()) as { data: { id: string }[] } // the router's own schema
  assert.deepEqual(
    listed.data.map(({ id }) => id),
    ['o', 'm'],
  )
  assert.equal((await post(`${gateway.url}${path}`, { ...body, model: 'n' })).status, 404)
})

test('every swap of a Kubernetes volume is loaded', async (t) => {
  const server = await upstream(t)
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-volume-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const swap = (id: string): void => {
    mkdirSync(join(folder, `..${id}`))
    write(join(folder, `..${id}`, 'models.json'), modelsConfig({ m: [provider(id, server)] }))
    symlinkSync(`..${id}`, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  swap('one')
  symlinkSync('..data/models.json', join(folder, 'models.json'))
  const gateway = await router(t, {
    models: {},
    env: { LLM_ROUTER_MODELS_CONFIG: join(folder, 'models.json') },
  })
  for (const id of ['two', 'three']) {
    swap(id)
    await takenOn(gateway, id)
  }
  assert.equal(gateway.app.models.all()[0]?.targets[0]?.id, 'three')
})

test('an invalid file changes nothing; its position is logged, counted and shown until it is fixed', async (t) => {
  const server = await upstream(t)
  const gateway = await router(t, { models: modelsConfig({ m: [provider('a', server)] }) })
  const reasons = async (): Promise<unknown> =>
    Reflect.get(Object(await (await fetch(`${gateway.url}/healthz`)).json()), 'reasons')
  writeFileSync(gateway.file, '{\n  "g": {,}\n}')
  const line = await gateway.logged(({ level }) => level === 50)
  assert.equal(
    line.msg,
    `${gateway.file}:2:9: not valid JSON from here on: expected a value; the models in use stay in effect`,
  )
  assert.equal((await post(`${gateway.url}${path}`, body)).status, 200)
  assert.equal((await fetch(`${gateway.url}/readyz`)).status, 200)
  assert.deepEqual(await reasons(), ['the last reload of LLM_ROUTER_MODELS_CONFIG failed'])
  const { config } = (await (await fetch(`${gateway.url}/api/status`)).json()) as Status // the router's own schema
  assert.deepEqual(
    config.failed.map(({ setting, errors }) => [setting, errors]),
    [['LLM_ROUTER_MODELS_CONFIG', 1]],
  )
  const reloads = 'llm_router_config_reloads_total'
  assert.equal((await scrape(gateway.url)).sum(reloads, { result: 'failure' }), 1)

  write(gateway.file, modelsConfig({ m: [provider('a', server), provider('b', server)] }))
  await takenOn(gateway, 'b')
  assert.deepEqual(await reasons(), [])
  assert.equal((await scrape(gateway.url)).sum(reloads, { result: 'success' }), 1)
})

test('a file that is nested too deeply or too large changes nothing', async (t) => {
  const server = await upstream(t)
  const gateway = await router(t, { models: modelsConfig({ m: [provider('a', server)] }) })
  for (const [text, reason] of [
    [`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, ':1:133: not valid JSON from here on'],
    [`{}${' '.repeat(17 * 1024 * 1024)}`, 'EFBIG'],
  ] as const) {
    writeFileSync(gateway.file, text)
    await gateway.logged(({ level, msg }) => level === 50 && String(msg).includes(reason))
    assert.equal((await post(`${gateway.url}${path}`, body)).status, 200)
  }
})

test('of a file with thousands of invalid values, the log lists the first hundred and counts the others', async (t) => {
  const server = await upstream(t)
  const gateway = await router(t, { models: modelsConfig({ m: [provider('a', server)] }) })
  const invalid = Array.from({ length: 5_000 }, (_, index) => [
    `m${index}`,
    [{ api_type: 'openai', api_host: 5 }],
  ])
  const from = process.cpuUsage()
  write(gateway.file, modelsConfig(Object.fromEntries(invalid)))
  const { errors, msg } = await gateway.logged(({ level }) => level === 50)
  const { user, system } = process.cpuUsage(from)
  assert.ok(Array.isArray(errors))
  assert.equal(errors.length, 100)
  assert.match(String(msg), /\(and 4999 more\)/)
  // Searching the file for the position of each error takes longer than the rest together.
  assert.ok(user + system < 1_500_000, `${(user + system) / 1000} ms`)
})

test('an invalid value is logged with its position in the file', async (t) => {
  const server = await upstream(t)
  const gateway = await router(t, { models: modelsConfig({ m: [provider('a', server)] }) })
  writeFileSync(
    gateway.file,
    '{"g": {"m": {"providers": [\n    {"api_type": "olama", "api_host": "http://h"}\n]}}, "active_models": {"g": ["m"]}}',
  )
  const { msg, errors } = await gateway.logged(({ level }) => level === 50)
  assert.ok(
    String(msg).startsWith(`${gateway.file}:2:18: g["m"].providers[0].api_type: "olama" is unknown`),
    String(msg),
  )
  assert.equal(Array.isArray(errors) && errors.length, 1)
})

test('a deleted file leaves the models as they were, and is loaded again when it is back', async (t) => {
  const server = await upstream(t)
  const gateway = await router(t, { models: modelsConfig({ m: [provider('a', server)] }) })
  rmSync(gateway.file)
  const { msg } = await gateway.logged(({ level }) => level === 50)
  assert.match(String(msg), /cannot read .*: no such file \(ENOENT\); the models in use stay in effect$/)
  assert.equal((await post(`${gateway.url}${path}`, body)).status, 200)
  write(gateway.file, modelsConfig({ m: [provider('b', server)] }))
  await takenOn(gateway, 'b')
})

test('a stream from a removed target continues to its end', async (t) => {
  const removed = Promise.withResolvers<void>()
  const old = await upstream(t, {
    kind: 'stream',
    pieces: [
      openaiChunk({ content: 'before ' }),
      removed.promise,
      openaiChunk({ content: 'after' }, 'stop'),
      openaiDone,
    ],
  })
  const next = await upstream(t)
  const gateway = await router(t, { models: modelsConfig({ m: [provider('old', old)] }) })
  const response = await fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': 'stream' },
    body: JSON.stringify({ ...body, stream: true }),
  })
  write(gateway.file, modelsConfig({ m: [provider('next', next)] }))
  await takenOn(gateway, 'next')
  assert.equal((await post(`${gateway.url}${path}`, body)).status, 200)
  assert.equal(next.requests.length, 1)
  removed.resolve()
  const text = await response.text()
  assert.match(text, /before .*after.*\[DONE\]/s)
  const line = await gateway.requestLogged('stream')
  assert.equal(line.outcome, 'success')
})

test('a target keeps its state, whatever changes around it', async (t) => {
  const held = Promise.withResolvers<void>()
  const busy = await upstream(t, async () => {
    await held.promise
    return openaiText('Hi')
  })
  const refusing = await upstream(t, { kind: 'reply', status: 401, body: { error: { message: 'no' } } })
  const other = await upstream(t)
  const both = [provider('busy', busy), provider('refusing', refusing)]
  const gateway = await router(t, {
    models: modelsConfig({ m: [both[0] ?? {}], n: [both[1] ?? {}] }),
  })
  await post(`${gateway.url}${path}`, { ...body, model: 'n' })
  assert.equal((await targetOf(gateway, 'refusing')).state, 'misconfigured')
  const running = post(`${gateway.url}${path}`, body)
  await busy.requestReceived(0)

  write(gateway.file, modelsConfig({ n: [provider('other', other), ...both.slice(1)], m: both.slice(0, 1) }))
  await takenOn(gateway, 'other')
  const { state, last_errors: errors } = await targetOf(gateway, 'refusing')
  assert.deepEqual([state, errors.length], ['misconfigured', 1])
  assert.equal((await targetOf(gateway, 'busy')).in_flight, 1)
  held.resolve()
  assert.equal((await running).status, 200)
  const { in_flight: inFlight, uses } = await targetOf(gateway, 'busy')
  assert.deepEqual([inFlight, uses], [0, 1])
})

test('a target with another key starts with a new state, one with another weight does not', async (t) => {
  const server = await upstream(t, { kind: 'reply', status: 401, body: { error: { message: 'no' } } })
  const gateway = await router(t, {
    models: modelsConfig({ m: [provider('a', server)], n: [provider('b', server)] }),
  })
  for (const model of ['m', 'n']) await post(`${gateway.url}${path}`, { ...body, model })
  write(
    gateway.file,
    modelsConfig({
      m: [provider('a', server, { api_token: 'k' })],
      n: [provider('b', server, { weight: 0.5 })],
    }),
  )
  await takenOn(gateway, 'a')
  const [a, b] = [await targetOf(gateway, 'a'), await targetOf(gateway, 'b')]
  assert.deepEqual([a.state, a.uses, b.state, b.uses, b.weight], ['up', 0, 'misconfigured', 1, 0.5])
})

test('a request that runs during a change of weight is released from the target with the new weight', async (t) => {
  const held = Promise.withResolvers<void>()
  const server = await upstream(t, async () => {
    await held.promise
    return openaiText('Hi')
  })
  const gateway = await router(t, { models: modelsConfig({ m: [provider('a', server)] }) })
  const running = post(`${gateway.url}${path}`, body)
  await server.requestReceived(0)
  write(gateway.file, modelsConfig({ m: [provider('a', server, { weight: 0.5 })] }))
  await takenOn(gateway, 'a')
  assert.equal((await targetOf(gateway, 'a')).in_flight, 1)
  held.resolve()
  await running
  assert.equal((await targetOf(gateway, 'a')).in_flight, 0)
})

test('a key in a separate file is read again when that file changes', async (t) => {
  const server = await upstream(t)
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-key-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const key = join(folder, 'key')
  writeFileSync(key, 'first\n')
  const gateway = await router(t, {
    models: modelsConfig({ m: [provider('a', server, { api_token_file: key })] }),
  })
  writeFileSync(join(folder, 'next'), 'second\n')
  renameSync(join(folder, 'next'), key)
  await takenOn(gateway, 'a')
  await post(`${gateway.url}${path}`, body)
  assert.equal(server.requests[0]?.headers.authorization, 'Bearer second')
  assert.ok(!JSON.stringify(gateway.logs).includes('second'))
})

test('a waiting request gets an added target, or 404 when its model is removed', async (t) => {
  const held = Promise.withResolvers<void>()
  const busy = await upstream(t, async () => {
    await held.promise
    return openaiText('busy')
  })
  const free = await upstream(t)
  const gateway = await router(t, {
    models: modelsConfig({ m: [provider('m1', busy)], n: [provider('n1', busy)] }),
    env: { LLM_ROUTER_BALANCE_STRATEGY: 'first_available' },
  })
  const running = ['m', 'n'].map((model) => post(`${gateway.url}${path}`, { ...body, model }))
  await busy.requestReceived(1)
  const [waits, leaves] = ['m', 'n'].map((model) => post(`${gateway.url}${path}`, { ...body, model }))
  const queued = async (): Promise<number> => (await scrape(gateway.url)).sum('llm_router_queue_length')
  await eventually(async () => (await queued()) === 2)
  write(gateway.file, modelsConfig({ m: [provider('m1', busy), provider('m2', free)] }))
  assert.equal((await waits)?.status, 200)
  assert.equal((await leaves)?.status, 404)
  assert.equal(free.requests.length, 1)
  held.resolve()
  assert.deepEqual(
    (await Promise.all(running)).map(({ status }) => status),
    [200, 200],
  )
})

test('a changed strategy applies from the next request on', async (t) => {
  const [one, two] = [await upstream(t), await upstream(t)]
  const providers = [provider('one', one), provider('two', two)]
  const config = (strategy: string): object => ({
    g: { m: { providers, strategy } },
    active_models: { g: ['m'] },
  })
  const gateway = await router(t, { models: config('balanced') })
  write(gateway.file, config('first_available'))
  await gateway.logged(({ msg }) => msg === 'models-config.json reloaded')
  for (let count = 0; count < 3; count++) await post(`${gateway.url}${path}`, body)
  assert.deepEqual([one.requests.length, two.requests.length], [3, 0])
})

test('a requested reload that changes nothing keeps every object and counts as a success', async (t) => {
  const server = await upstream(t)
  const gateway = await router(t, { models: modelsConfig({ m: [provider('a', server)] }) })
  const [model] = gateway.app.models.all()
  await gateway.app.reload.now()
  assert.equal(gateway.app.models.all()[0], model)
  assert.equal(gateway.app.models.loading().reloads.success, 1)
})

const reloads = repeats(60, 1000)

test(`after ${reloads} reloads no former target is left in memory`, async (t) => {
  const gateway = await router(t, {
    models: modelsConfig({ m: [{ id: 'mock-0', api_type: 'mock' }] }),
    env: { LLM_ROUTER_BALANCE_STRATEGY: 'dynamic_weighted', LLM_ROUTER_LOG_LEVEL: 'error' },
  })
  const { app, file } = gateway
  const resources = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'FSEventWrap').length
  const before = resources()
  const former: WeakRef<Target>[] = []
  for (let count = 1; count <= reloads; count++) {
    for (const { targets } of app.models.all()) former.push(...targets.map((target) => new WeakRef(target)))
    write(file, modelsConfig({ m: [{ id: `mock-${count}`, api_type: 'mock' }] }))
    await app.reload.now()
    if (count % 20 === 0)
      assert.equal((await app.inject({ method: 'POST', url: path, payload: body })).statusCode, 200)
  }
  assert.ok(before > 0)
  assert.equal(resources(), before)
  assert.equal(former.length, reloads)
  let alive = reloads
  // What a request or a reload leaves for a later moment can hold a target a little longer.
  for (let tries = 0; alive > 2 && tries < 50; tries++) {
    // The target of a WeakRef that was read stays alive to the end of this event loop iteration.
    await pause(tries * 10)
    collectGarbage()
    alive = former.filter((target) => target.deref() !== undefined).length
  }
  assert.ok(alive <= 2, `${alive} of ${reloads} are alive`)
})
