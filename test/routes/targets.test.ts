import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import type { TargetStatus } from '../../src/sdk/console/status.ts'
import { runCli } from '../cli/run-cli.ts'
import { eventually } from '../helpers/eventually.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import {
  openaiError,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const key = 'operator-key-of-this-test'
const json = { 'content-type': 'application/json' }
const operator = { authorization: `Bearer ${key}` }

async function servers(t: TestContext): Promise<ScriptedUpstream[]> {
  const upstreams = [await startUpstream(openaiText('Hi')), await startUpstream(openaiText('Hi'))]
  t.after(async () => {
    for (const upstream of upstreams) await upstream.close()
  })
  return upstreams
}

function modelsOver(
  upstreams: readonly ScriptedUpstream[],
  strategy = 'weighted',
  more: object = {},
): object {
  const providers = upstreams.map(({ url }, index) => {
    return { id: index === 0 ? 'gpu-a' : 'rack/gpu-b', api_type: 'vllm', api_host: url }
  })
  return { g: { one: { strategy, providers, ...more } }, active_models: { g: ['one'] } }
}

async function started(
  t: TestContext,
  models: object,
  env: Record<string, string> = {},
): Promise<TestRouter> {
  const router = await startRouter({ env: { LLM_ROUTER_ADMIN_KEY: key, ...env }, models })
  t.after(() => router.close())
  return router
}

async function act(url: string, path: string): Promise<{ status: number; error?: string }> {
  const response = await fetch(`${url}/api/targets/${path}`, { method: 'POST', headers: operator })
  const { error } = JSON.parse(await response.text())
  return error ? { status: response.status, error } : { status: response.status }
}

test('a drain request with a content type does not need a body', async (t) => {
  const router = await started(t, modelsOver(await servers(t)))
  const response = await fetch(`${router.url}/api/targets/gpu-a/drain`, {
    method: 'POST',
    headers: { ...json, ...operator },
  })
  assert.equal(response.status, 200, await response.text())
  const [drained] = (await targetsOf(router.url)).filter(({ id }) => id === 'gpu-a')
  assert.equal(drained?.state, 'drained')
})

async function setWeights(url: string, weights: object): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${url}/api/models/one/weights`, {
    method: 'PUT',
    headers: { ...json, ...operator },
    body: JSON.stringify(weights),
  })
  return { status: response.status, body: await response.json() }
}

/** How many of ten requests each server gets. */
async function shares(url: string, upstreams: readonly ScriptedUpstream[]): Promise<number[]> {
  const before = upstreams.map(({ requests }) => requests.length)
  for (let count = 0; count < 10; count++) {
    const body = { model: 'one', messages }
    const { status } = await post(`${url}/v1/chat/completions`, body, { ...json, connection: 'close' })
    assert.equal(status, 200)
  }
  return upstreams.map(({ requests }, index) => requests.length - (before[index] ?? 0))
}

async function targetsOf(url: string): Promise<TargetStatus[]> {
  const status = JSON.parse(await (await fetch(`${url}/api/status`)).text())
  return status.models[0].targets
}

test('a drained target gets nothing new and finishes its running requests, until it is resumed', async (t) => {
  const upstreams = await servers(t)
  const release = Promise.withResolvers<void>()
  const router = await started(t, modelsOver(upstreams))
  upstreams[0]?.rescript(async () => {
    await release.promise
    return openaiText('late')
  })
  upstreams[1]?.rescript(async () => {
    await release.promise
    return openaiText('late')
  })
  const body = { model: 'one', messages }
  const running = [1, 2].map(() => post(`${router.url}/v1/chat/completions`, body, json))
  await Promise.all(upstreams.map((upstream) => upstream.requestReceived(0)))
  assert.equal((await act(router.url, 'rack%2Fgpu-b/drain')).status, 200)
  assert.deepEqual(
    (await targetsOf(router.url)).map(({ id, state, in_flight: inFlight }) => [id, state, inFlight]),
    [
      ['gpu-a', 'up', 1],
      ['rack/gpu-b', 'drained', 1],
    ],
  )
  release.resolve()
  for (const { status } of await Promise.all(running)) assert.equal(status, 200)
  for (const upstream of upstreams) upstream.rescript(openaiText('Hi'))
  assert.deepEqual(await shares(router.url, upstreams), [10, 0])
  assert.ok(router.logs.some((line) => line.msg === 'target drained' && line.client === 'admin-key'))
  assert.equal((await act(router.url, 'rack/gpu-b/resume')).status, 200)
  assert.deepEqual(await shares(router.url, upstreams), [5, 5])
})

test('the last usable target of a model is drained only with ?force=true', async (t) => {
  const upstreams = await servers(t)
  const router = await started(t, modelsOver(upstreams))
  assert.equal((await act(router.url, 'gpu-a/drain')).status, 200)
  const refused = await act(router.url, 'rack/gpu-b/drain')
  assert.equal(refused.status, 409)
  assert.match(refused.error ?? '', /last usable target of the model 'one'.*\?force=true/)
  assert.deepEqual(await shares(router.url, upstreams), [0, 10])
  assert.equal((await act(router.url, 'rack/gpu-b/drain?force=true')).status, 200)
  const body = { model: 'one', messages }
  assert.equal((await post(`${router.url}/v1/chat/completions`, body, json)).status, 503)
  const unknown = await act(router.url, 'gpu-x/drain')
  assert.equal(unknown.status, 404)
  assert.match(unknown.error ?? '', /GET \/api\/status lists the targets/)
  assert.equal((await act(router.url, 'gpu-a/explode')).status, 404)
})

test('a target that is reset is as if it had never failed', async (t) => {
  const upstreams = await servers(t)
  const models = modelsOver(upstreams, 'balanced', {
    providers: [
      { id: 'gpu-a', api_type: 'vllm', api_host: upstreams[0]?.url },
      { id: 'rack/gpu-b', api_type: 'vllm', api_host: upstreams[1]?.url },
    ],
  })
  const router = await started(t, models)
  upstreams[0]?.rescript(openaiError(500, { message: 'no' }))
  for (let round = 0; round < 3; round++) await shares(router.url, upstreams)
  const [broken] = await targetsOf(router.url)
  assert.deepEqual([broken?.state, broken?.breaker], ['open', 'open'])
  upstreams[0]?.rescript(openaiText('Hi'))
  assert.equal((await act(router.url, 'gpu-a/reset')).status, 200)
  const [well] = await targetsOf(router.url)
  assert.deepEqual([well?.state, well?.breaker, well?.failure_rate], ['up', 'closed', 0])
  assert.deepEqual(await shares(router.url, upstreams), [5, 5])
})

for (const strategy of ['weighted', 'dynamic_weighted', 'least_busy', 'adaptive', 'cache_aware'])
  test(`${strategy}: weights can be changed at run time, survive a reload and can be reset`, async (t) => {
    const upstreams = await servers(t)
    const router = await started(t, modelsOver(upstreams, strategy))
    assert.deepEqual(await setWeights(router.url, { 'gpu-a': 0 }), {
      status: 200,
      body: { model: 'one', weights: { 'gpu-a': 0, 'rack/gpu-b': 1 } },
    })
    assert.deepEqual(await shares(router.url, upstreams), [0, 10])
    const reloaded = router.logged(({ msg }) => msg === 'models-config.json reloaded')
    writeFileSync(router.file, JSON.stringify(modelsOver(upstreams, strategy, { fallbacks: [] })))
    await reloaded
    assert.deepEqual(await shares(router.url, upstreams), [0, 10])
    const [target] = await targetsOf(router.url)
    assert.deepEqual([target?.weight, target?.configured_weight], [0, 1])
    assert.equal((await setWeights(router.url, { 'gpu-a': null, 'rack/gpu-b': 0 })).status, 200)
    assert.deepEqual(await shares(router.url, upstreams), [10, 0])
  })

test('invalid weights are rejected, and nothing changes', async (t) => {
  const router = await started(t, modelsOver(await servers(t)))
  for (const [weights, status] of [
    [{ 'gpu-a': 2 }, 400],
    [{ 'gpu-a': 'much' }, 400],
    [{}, 400],
    [{ 'gpu-a': 0, 'gpu-x': 1 }, 404],
  ] as const)
    assert.equal((await setWeights(router.url, weights)).status, status, JSON.stringify(weights))
  assert.equal((await targetsOf(router.url))[0]?.weight, 1)
  const exclusive = await started(t, modelsOver(await servers(t), 'first_available'))
  assert.equal((await setWeights(exclusive.url, { 'gpu-a': 0 })).status, 409)
})

test('only operators can change targets', async (t) => {
  const router = await started(t, modelsOver(await servers(t)))
  assert.equal((await fetch(`${router.url}/api/targets/gpu-a/drain`, { method: 'POST' })).status, 401)
  const put = await fetch(`${router.url}/api/models/one/weights`, {
    method: 'PUT',
    headers: json,
    body: '{}',
  })
  assert.equal(put.status, 401)
})

test('changes of targets apply to all workers of a cluster, including later ones', async (t) => {
  const upstreams = await servers(t)
  const router = await startRouterProcess({
    env: {
      LLM_ROUTER_SERVER_TYPE: 'cluster',
      LLM_ROUTER_SERVER_WORKERS_COUNT: '2',
      LLM_ROUTER_ADMIN_KEY: key,
    },
    models: modelsOver(upstreams),
  })
  t.after(() => router.stop())
  const [first = 0] = await router.listening(2)
  assert.equal((await act(router.url, 'rack/gpu-b/drain')).status, 200)
  assert.deepEqual(await shares(router.url, upstreams), [10, 0])
  process.kill(first, 'SIGKILL')
  await router.listening(3)
  assert.deepEqual(await shares(router.url, upstreams), [10, 0])
  assert.equal((await act(router.url, 'rack/gpu-b/resume')).status, 200)
  assert.equal((await setWeights(router.url, { 'gpu-a': 0 })).status, 200)
  assert.deepEqual(await shares(router.url, upstreams), [0, 10])
})

test('llm-router targets lists and changes the targets of a running router', async (t) => {
  const router = await started(t, modelsOver(await servers(t)))
  const env = { LLM_ROUTER_ADMIN_KEY: key }
  const cli = (...args: string[]) => runCli(['targets', ...args, '--url', router.url], env)
  assert.equal((await cli('drain', 'rack/gpu-b')).code, 0)
  const [refused, list, weight, wrong] = await Promise.all([
    cli('drain', 'gpu-a'),
    cli('list'),
    cli('weight', 'one', 'gpu-a', '0.5'),
    cli('weight', 'one', 'gpu-a', 'much'),
  ])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /last usable target.*; add --force to/)
  assert.match(list.stdout, /one +rack\/gpu-b +drained/)
  assert.deepEqual([weight.code, weight.stdout], [0, 'gpu-a  0.5\nrack/gpu-b  1\n'])
  assert.equal(wrong.code, 2)
})

test('a change by the operator of another router is logged once, with the key', async (t) => {
  const upstreams = await servers(t)
  const redis = await startRedis()
  t.after(() => redis.stop())
  const env = {
    LLM_ROUTER_REDIS_HOST: '127.0.0.1',
    LLM_ROUTER_REDIS_PORT: String(redis.port),
    LLM_ROUTER_LOG_LEVEL: 'info',
  }
  const models = modelsOver(upstreams)
  const one = await started(t, models, env)
  const cluster = await startRouterProcess({
    env: {
      ...env,
      LLM_ROUTER_SERVER_TYPE: 'cluster',
      LLM_ROUTER_SERVER_WORKERS_COUNT: '2',
      LLM_ROUTER_ADMIN_KEY: key,
    },
    models,
  })
  t.after(() => cluster.stop())
  await cluster.listening(2)
  const learned = (wanted: string) => cluster.logged(({ msg, from }) => msg === wanted && from !== undefined)
  await act(one.url, 'rack/gpu-b/drain')
  await learned('target drained')
  await setWeights(one.url, { 'gpu-a': 0.5 })
  await learned('weights set')
  await act(one.url, 'rack/gpu-b/resume')
  await learned('target resumed')
  const lines = cluster.logs.filter(({ from }) => from === 'another router')
  assert.deepEqual(
    lines.map(({ msg, target, model, weights, client }) => ({ msg, target, model, weights, client })),
    [
      {
        msg: 'target drained',
        target: 'rack/gpu-b',
        model: undefined,
        weights: undefined,
        client: 'admin-key',
      },
      { msg: 'weights set', target: undefined, model: 'one', weights: { 'gpu-a': 0.5 }, client: 'admin-key' },
      {
        msg: 'target resumed',
        target: 'rack/gpu-b',
        model: undefined,
        weights: undefined,
        client: 'admin-key',
      },
    ],
  )
  assert.deepEqual(
    one.logs.filter(({ from }) => from !== undefined),
    [],
    "its own changes are not another router's",
  )
})

test('with Redis changes reach all routers, also later ones, and those made during an outage of Redis', async (t) => {
  const upstreams = await servers(t)
  let redis = await startRedis()
  t.after(() => redis.stop())
  const env = { LLM_ROUTER_REDIS_HOST: '127.0.0.1', LLM_ROUTER_REDIS_PORT: String(redis.port) }
  const models = modelsOver(upstreams)
  const one = await started(t, models, env)
  const two = await started(t, models, env)
  const weightAt = async ({ url }: TestRouter) => (await targetsOf(url))[0]?.weight
  const stateAt = async ({ url }: TestRouter) => (await targetsOf(url))[1]?.state
  await setWeights(one.url, { 'gpu-a': 0.5 })
  await act(one.url, 'rack/gpu-b/drain')
  await eventually(async () => (await weightAt(two)) === 0.5 && (await stateAt(two)) === 'drained')
  const three = await started(t, models, env)
  assert.deepEqual([await weightAt(three), await stateAt(three)], [0.5, 'drained'])
  await redis.stop()
  await setWeights(two.url, { 'gpu-a': 0.25 })
  assert.deepEqual([await weightAt(two), await weightAt(one)], [0.25, 0.5])
  await setWeights(one.url, { 'gpu-a': 0.75 })
  redis = await startRedis(redis.port)
  await eventually(async () => {
    const weights = await Promise.all([one, two, three].map(weightAt))
    return weights.every((weight) => weight === 0.75)
  })
  assert.equal(await stateAt(two), 'drained')
})

test('of weights that two operators set at once through two routers, all of one operator apply', async (t) => {
  const upstreams = await servers(t)
  const redis = await startRedis()
  t.after(() => redis.stop())
  const env = { LLM_ROUTER_REDIS_HOST: '127.0.0.1', LLM_ROUTER_REDIS_PORT: String(redis.port) }
  const routers = [
    await started(t, modelsOver(upstreams), env),
    await started(t, modelsOver(upstreams), env),
  ] as const
  const weightsAt = async ({ url }: TestRouter) => (await targetsOf(url)).map(({ weight }) => weight)
  for (let round = 0; round < 20; round++) {
    await Promise.all([
      setWeights(routers[0].url, { 'gpu-a': 0, 'rack/gpu-b': 1 }),
      setWeights(routers[1].url, { 'gpu-a': 1, 'rack/gpu-b': 0 }),
    ])
    await eventually(async () => {
      const [one, two] = await Promise.all(routers.map(weightsAt))
      return JSON.stringify(one) === JSON.stringify(two)
    })
    assert.deepEqual((await weightsAt(routers[0])).toSorted(), [0, 1])
  }
})
