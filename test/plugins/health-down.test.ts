import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  openaiStream,
  openaiText,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const body = { model: 'm', messages }
const chats = '/v1/chat/completions'

/** A model server that can die, freeze and come back on the same port. */
class ModelServer {
  url = ''
  /** Requests for chats that have arrived. */
  chats = 0
  /** The status of its health checks; frozen: no response. */
  health: number | 'frozen' = 200
  /** Whether it responds to chats. */
  answers = true
  #upstream: ScriptedUpstream | undefined
  #port = 0

  static async start(t: TestContext): Promise<ModelServer> {
    const modelServer = new ModelServer()
    await modelServer.listen()
    t.after(() => modelServer.die())
    return modelServer
  }

  async listen(): Promise<void> {
    this.#upstream = await startUpstream((request) => this.#answer(request), { port: this.#port })
    this.url = this.#upstream.url
    this.#port = Number(new URL(this.url).port)
  }

  /** Stops accepting connections; open ones stay. */
  refuse(): void {
    this.#upstream?.refuseConnections()
  }

  async die(): Promise<void> {
    const dying = this.#upstream
    this.#upstream = undefined
    await dying?.close()
  }

  #answer({ method, url, body: asked }: RecordedRequest): Behaviour {
    if (method === 'GET') {
      if (this.health === 'frozen') return { kind: 'hang' }
      return { kind: 'reply', status: url === '/health' ? this.health : 404, body: '' }
    }
    this.chats++
    if (!this.answers) return { kind: 'hang' }
    return Object(asked).stream === true ? openaiStream(['Hi']) : openaiText('Hi')
  }

  async chatsArrived(count: number): Promise<void> {
    await eventually(() => this.chats >= count)
  }
}

async function open(
  t: TestContext,
  servers: ModelServer[],
  env: Record<string, string> = {},
): Promise<TestRouter> {
  const providers = servers.map(({ url }, index) => ({ id: `box${index}`, api_type: 'vllm', api_host: url }))
  const router = await startRouter({
    env: { LLM_ROUTER_HEALTH_INTERVAL: '0.05', LLM_ROUTER_USE_PROMETHEUS: '1', ...env },
    models: modelsConfig({ m: providers, other: [{ id: 'demo', api_type: 'mock' }] }),
  })
  t.after(() => router.close())
  return router
}

function becomes(router: TestRouter, state: string, target = 'box0') {
  return router.logged(
    (line) => line.msg === 'health check' && line.target === target && line.state === state,
  )
}

async function json(
  router: TestRouter,
  path: string,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(router.url + path)
  return { status: answer.status, body: Object(await answer.json()) }
}

test('a model whose only server refuses connections gets 503 with Retry-After immediately, and every status shows it', async (t) => {
  const modelServer = await ModelServer.start(t)
  const router = await open(t, [modelServer])
  await modelServer.die()
  await becomes(router, 'refused')

  const refused = await post(router.url + chats, body)
  assert.equal(refused.status, 503)
  assert.match(refused.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  assert.equal(JSON.parse(refused.text).error.code, 'no_healthy_provider')

  const health = await json(router, '/healthz')
  assert.equal(health.body.status, 'degraded')
  assert.deepEqual(health.body.down, [{ model: 'm', target: 'box0', state: 'down: it refuses connections' }])
  const ready = await json(router, '/readyz')
  assert.deepEqual([ready.status, ready.body.models_without_usable_target], [200, ['m']])
  const metrics = await (await fetch(`${router.url}/metrics`)).text()
  assert.match(metrics, /llm_router_target_usable\{model_name="m",target="box0"\} 0/)
  assert.match(metrics, /llm_router_target_down\{model_name="m",target="box0",reason="refused"\} 1/)
  const status = await json(router, '/api/status')
  const [model] = status.body.models as { targets: { state: string; down: string; breaker: string }[] }[] // StatusSchema
  assert.deepEqual(
    model?.targets.map(({ state, down, breaker }) => [state, down, breaker]),
    [['down', 'refused', 'closed']],
  )

  await modelServer.listen()
  await becomes(router, 'up')
  assert.equal((await post(router.url + chats, body)).status, 200)
  assert.equal((await json(router, '/healthz')).body.status, 'ok')
})

test('an idle server that is down stays unusable as long as its checks fail', async (t) => {
  const [dead, well] = [await ModelServer.start(t), await ModelServer.start(t)]
  const router = await open(t, [dead, well])
  await dead.die()
  await becomes(router, 'refused')
  const target = router.app.models.find('m')?.targets[0] ?? assert.fail('no target')
  const breaker = router.app.health.of(target).breaker
  assert.equal(breaker.state, 'closed', 'the breaker depends on requests only')
  for (let count = 0; count < 20; count++) assert.equal((await post(router.url + chats, body)).status, 200)
  assert.equal(well.chats, 20)
  assert.equal(router.app.health.isUsable(target), false)
  assert.ok(!router.logs.some(({ msg }) => msg === 'failover'), 'no request had to find out')
})

test('passed checks do not close a breaker that requests have opened', async (t) => {
  const modelServer = await ModelServer.start(t)
  const router = await open(t, [modelServer])
  const target = router.app.models.find('m')?.targets[0] ?? assert.fail('no target')
  const breaker = router.app.health.of(target).breaker
  for (let count = 0; count < 5; count++) breaker.fail(breaker.begin(), 'failure')
  modelServer.health = 503
  await becomes(router, 'failing')
  modelServer.health = 200
  await becomes(router, 'up')
  assert.equal(breaker.state, 'open')
  assert.equal(router.app.health.isUsable(target), false)
})

test('servers whose checks only time out are used when all servers are down, shown as panic mode', async (t) => {
  const [silent, dead] = [await ModelServer.start(t), await ModelServer.start(t)]
  const router = await open(t, [silent, dead])
  silent.health = 'frozen'
  await Promise.all([becomes(router, 'silent'), dead.die().then(() => becomes(router, 'refused', 'box1'))])
  const answers = await Promise.all(Array.from({ length: 6 }, () => post(router.url + chats, body)))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  assert.equal(silent.chats, 6)
  assert.equal((await json(router, '/readyz')).status, 200)
  const { reasons } = (await json(router, '/healthz')).body
  assert.ok(Array.isArray(reasons) && reasons.includes("all targets of 'm' are down and used anyway"))
  const metrics = await (await fetch(`${router.url}/metrics`)).text()
  assert.match(metrics, /llm_router_model_panic\{model_name="m"\} 1/)
  assert.match(metrics, /llm_router_target_usable\{model_name="m",target="box0"\} 0/)
})

test('a router without any usable server is not ready', async (t) => {
  const modelServer = await ModelServer.start(t)
  const router = await startRouter({
    env: { LLM_ROUTER_HEALTH_INTERVAL: '0.05' },
    models: modelsConfig({ m: [{ id: 'box0', api_type: 'vllm', api_host: modelServer.url }] }),
  })
  t.after(() => router.close())
  assert.equal((await json(router, '/readyz')).status, 200)
  await modelServer.die()
  await becomes(router, 'refused')
  const { status, body: said } = await json(router, '/readyz')
  assert.equal(status, 503)
  assert.deepEqual(said.models_without_usable_target, ['m'])
})

test('attempts at a server that starts to refuse connections move on to another server', async (t) => {
  const [dying, well] = [await ModelServer.start(t), await ModelServer.start(t)]
  const router = await open(t, [dying, well])
  dying.answers = false
  const answers = Array.from({ length: 4 }, (_each, index) =>
    post(router.url + chats, { ...body, stream: index % 2 === 0 }),
  )
  await dying.chatsArrived(2)
  dying.refuse()
  for (const { status, text } of await Promise.all(answers)) {
    assert.equal(status, 200)
    assert.match(text, /Hi/)
  }
  assert.equal(well.chats, 4)
})

test('attempts that wait at a server whose checks time out stay, and new requests are sent to other servers', async (t) => {
  const [slow, well] = [await ModelServer.start(t), await ModelServer.start(t)]
  const router = await open(t, [slow, well])
  slow.answers = false
  const held = Array.from({ length: 2 }, () => post(router.url + chats, body))
  await slow.chatsArrived(1)
  slow.health = 'frozen'
  await becomes(router, 'silent')
  for (let count = 0; count < 10; count++) assert.equal((await post(router.url + chats, body)).status, 200)
  assert.deepEqual([slow.chats, well.chats], [1, 11])
  // It was not retried: it ends with its server.
  await slow.die()
  for (const { status } of await Promise.all(held)) assert.equal(status, 200)
  assert.equal(well.chats, 12)
})

test('an engine that hangs although its checks pass is avoided once two streams have waited too long', async (t) => {
  const [hung, well] = [await ModelServer.start(t), await ModelServer.start(t)]
  const router = await open(t, [hung, well])
  const target = router.app.models.find('m')?.targets[0] ?? assert.fail('no target')
  const ask = () => post(router.url + chats, { ...body, stream: true })
  await Promise.all([ask(), ask()])
  hung.answers = false
  const waiting = Array.from({ length: 4 }, ask)
  await hung.chatsArrived(3)
  await eventually(() => router.app.health.isHung(target))
  const before = hung.chats
  const answers = await Promise.all(Array.from({ length: 30 }, ask))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  assert.equal(hung.chats, before)
  const { down } = (await json(router, '/healthz')).body
  assert.deepEqual(down, [{ model: 'm', target: 'box0', state: 'hung: it does not start to respond' }])
  const metrics = await (await fetch(`${router.url}/metrics`)).text()
  assert.match(metrics, /llm_router_target_usable\{model_name="m",target="box0"\} 0/)
  await hung.die()
  await Promise.all(waiting)
})

test('a probe of a frozen server delays its client by no more than a few times the usual response time', async (t) => {
  const [frozen, well] = [await ModelServer.start(t), await ModelServer.start(t)]
  const router = await open(t, [frozen, well])
  await Promise.all(Array.from({ length: 4 }, () => post(router.url + chats, body)))
  frozen.answers = false
  const target = router.app.models.find('m')?.targets[0] ?? assert.fail('no target')
  const breaker = router.app.health.of(target).breaker
  breaker.end(breaker.begin(), 'connect')
  breaker.end(breaker.begin(), 'connect')
  // Its ejection is over: the next request to it is the probe.
  breaker.onReachable()
  const before = frozen.chats
  const began = performance.now()
  const answers = await Promise.all(Array.from({ length: 4 }, () => post(router.url + chats, body)))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  assert.equal(frozen.chats, before + 1)
  assert.ok(performance.now() - began < 60_000, 'LLM_ROUTER_EXTERNAL_TIMEOUT is five minutes')
})
