import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { openRequest, post, type RawAnswer } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import type { TestRouter } from '../helpers/router.ts'
import {
  openaiText,
  type Script,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'
import { SharedRouter } from '../helpers/shared-router.ts'

const body = { model: 'm', messages }
const path = '/v1/chat/completions'

const shared = new SharedRouter({ LLM_ROUTER_BALANCE_STRATEGY: 'first_available' })
after(() => shared.close())

interface Setting {
  servers: ScriptedUpstream[]
  router: TestRouter
  ask(): Promise<RawAnswer>
}

interface Options {
  scripts: Script[]
  standby?: Script[]
  env?: Record<string, string>
}

async function setUp(
  t: { after(fn: () => Promise<void>): void },
  { scripts, standby = [], env = {} }: Options,
): Promise<Setting> {
  const servers: ScriptedUpstream[] = []
  for (const script of [...scripts, ...standby]) servers.push(await startUpstream(script))
  const providers = servers.map(({ url }, index) => ({ id: `box${index}`, api_type: 'vllm', api_host: url }))
  const awake = providers.slice(0, scripts.length)
  const config = modelsConfig({ m: awake })
  const models = {
    ...config,
    test_models: { m: { providers: awake, providers_sleep: providers.slice(scripts.length) } },
  }
  const router = await shared.with(models, env)
  t.after(async () => {
    await Promise.all(servers.map((server) => server.close()))
    await router.close()
  })
  return { servers, router, ask: () => post(`${router.url}${path}`, body) }
}

/** A model server that responds when its gate is opened. */
function gate(): { script: Script; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return {
    script: async () => {
      await promise
      return openaiText('Hi')
    },
    open: resolve,
  }
}

function waiting(router: TestRouter): number {
  const model = router.app.models.find('m') ?? assert.fail('no model')
  return router.app.balancer.waiting(model)
}

/** Requests arrive over sockets: no event says that one is in the queue. */
async function untilWaiting(router: TestRouter, count: number): Promise<void> {
  await eventually(() => waiting(router) === count)
}

const statusOf = ({ status }: RawAnswer): number => status

test('the first free target in the configuration is chosen, and is exclusive until its request ends', async (t) => {
  const [one, two] = [gate(), gate()]
  const { servers, ask, router } = await setUp(t, { scripts: [one.script, two.script] })
  const first = ask()
  await servers[0]?.requestReceived(0)
  const second = ask()
  await servers[1]?.requestReceived(0)
  const third = ask()
  await untilWaiting(router, 1)
  one.open()
  assert.equal((await first).status, 200)
  assert.equal((await third).status, 200)
  assert.equal(servers[0]?.requests.length, 2)
  two.open()
  assert.equal((await second).status, 200)
  assert.equal(servers[1]?.requests.length, 1)
})

test('a target never has two requests at the same time, and every request is answered', async (t) => {
  const open = [0, 0]
  let most = 0
  const script = (server: number) => async () => {
    open[server] = (open[server] ?? 0) + 1
    most = Math.max(most, ...open)
    await new Promise((resolve) => setImmediate(resolve))
    open[server]--
    return openaiText('Hi')
  }
  const { ask } = await setUp(t, { scripts: [script(0), script(1)] })
  const answers = await Promise.all(Array.from({ length: 60 }, ask))
  assert.deepEqual(new Set(answers.map(statusOf)), new Set([200]))
  assert.equal(most, 1)
})

test('a full queue rejects a request with 503, the code queue_full and Retry-After', async (t) => {
  const server = gate()
  const { ask, servers, router } = await setUp(t, {
    scripts: [server.script],
    env: { LLM_ROUTER_QUEUE_SIZE: '1' },
  })
  const held = ask()
  await servers[0]?.requestReceived(0)
  const queued = ask()
  await untilWaiting(router, 1)
  const refused = await ask()
  assert.equal(refused.status, 503)
  assert.equal(JSON.parse(refused.text).error.code, 'queue_full')
  assert.match(refused.headers.get('retry-after') ?? '', /^\d+$/)
  server.open()
  assert.deepEqual((await Promise.all([held, queued])).map(statusOf), [200, 200])
})

test('a request that waits too long is rejected with 503, the code queue_timeout and Retry-After', async (t) => {
  const server = gate()
  const { ask, servers } = await setUp(t, {
    scripts: [server.script],
    env: { LLM_ROUTER_QUEUE_TIMEOUT: '0.1' },
  })
  const held = ask()
  await servers[0]?.requestReceived(0)
  const refused = await ask()
  assert.equal(refused.status, 503)
  assert.equal(JSON.parse(refused.text).error.code, 'queue_timeout')
  assert.match(refused.headers.get('retry-after') ?? '', /^\d+$/)
  server.open()
  assert.equal((await held).status, 200)
})

test('a client that disconnects while it waits is removed from the queue, and nothing is sent for it', async (t) => {
  const server = gate()
  const { ask, servers, router } = await setUp(t, { scripts: [server.script] })
  const held = ask()
  await servers[0]?.requestReceived(0)
  const abandoned = await openRequest(router.url, path, body)
  await untilWaiting(router, 1)
  abandoned.destroy()
  await untilWaiting(router, 0)
  const next = ask()
  await untilWaiting(router, 1)
  server.open()
  assert.deepEqual((await Promise.all([held, next])).map(statusOf), [200, 200])
  assert.equal(servers[0]?.requests.length, 2)
})

test('a client that disconnects during its response frees the target for the next request', async (t) => {
  const { ask, servers, router } = await setUp(t, { scripts: [[{ kind: 'hang' }, openaiText('Hi')]] })
  const abandoned = await openRequest(router.url, path, body)
  await servers[0]?.requestReceived(0)
  const next = ask()
  await untilWaiting(router, 1)
  abandoned.destroy()
  await once(abandoned, 'close')
  assert.equal((await next).status, 200)
})

test('a target that fails is free again, and the request is sent to another one', async (t) => {
  const broken: Script = { kind: 'reset' }
  const { ask, servers } = await setUp(t, { scripts: [broken, openaiText('Hi')] })
  assert.equal((await ask()).status, 200)
  servers[0]?.rescript(openaiText('Hi'))
  assert.equal((await ask()).status, 200)
  assert.equal(servers[0]?.requests.length, 2)
})

test('standby targets get no requests unless they are enabled as a fallback', async (t) => {
  const broken: Script = { kind: 'reset' }
  const { ask, servers } = await setUp(t, { scripts: [broken], standby: [openaiText('Hi')] })
  assert.equal((await ask()).status, 502)
  assert.equal(servers[1]?.requests.length, 0)
})

test('standby targets are used when all others have failed, under any strategy', async (t) => {
  const broken: Script = { kind: 'reset' }
  for (const strategy of ['balanced', 'first_available']) {
    const env = { LLM_ROUTER_USE_SLEEPING: 'fallback', LLM_ROUTER_BALANCE_STRATEGY: strategy }
    const { ask, servers } = await setUp(t, { scripts: [broken], standby: [openaiText('Hi')], env })
    assert.equal((await ask()).status, 200)
    assert.deepEqual(
      servers.map(({ requests }) => requests.length),
      [1, 1],
      strategy,
    )
  }
})

test('a standby target is used while the other target is busy', async (t) => {
  const server = gate()
  const { ask, servers } = await setUp(t, {
    scripts: [server.script],
    standby: [openaiText('Hi')],
    env: { LLM_ROUTER_USE_SLEEPING: 'fallback' },
  })
  const held = ask()
  await servers[0]?.requestReceived(0)
  assert.equal((await ask()).status, 200)
  assert.equal(servers[1]?.requests.length, 1)
  server.open()
  await held
})

test('the signals of a target include its uses, requests in flight, latency and failures', async (t) => {
  const server = gate()
  const { ask, servers, router } = await setUp(t, {
    scripts: [server.script],
    env: { LLM_ROUTER_BALANCE_STRATEGY: 'balanced' },
  })
  const model = router.app.models.find('m') ?? assert.fail('no model')
  const signals = () => router.app.balancer.signals(model)[0] ?? assert.fail('no target')
  const asked = ask()
  await servers[0]?.requestReceived(0)
  assert.deepEqual([signals().uses, signals().inFlight], [1, 1])
  assert.equal(signals().firstContentMs, undefined)
  server.open()
  await asked
  assert.deepEqual([signals().uses, signals().inFlight, signals().failureRate], [1, 0, 0])
  assert.ok((signals().firstContentMs ?? 0) > 0)
  servers[0]?.rescript({ kind: 'reset' })
  await ask()
  assert.ok(signals().failureRate > 0)
})

test('the length of the queue is in the metrics', async (t) => {
  const server = gate()
  const { ask, servers, router } = await setUp(t, {
    scripts: [server.script],
    env: { LLM_ROUTER_USE_PROMETHEUS: '1' },
  })
  const held = ask()
  await servers[0]?.requestReceived(0)
  const queued = ask()
  await untilWaiting(router, 1)
  const metrics = await (await fetch(`${router.url}/metrics`)).text()
  assert.match(metrics, /^llm_router_queue_length\{model_name="m"\} 1$/m)
  assert.match(metrics, /^llm_router_leases_local_total 0$/m)
  assert.match(metrics, /^llm_router_leases_lost_total 0$/m)
  server.open()
  await Promise.all([held, queued])
})
