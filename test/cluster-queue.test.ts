import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { after, before, test } from 'node:test'
import type { Status } from '../src/sdk/status.ts'
import { type CountingUpstream, startCounting } from './helpers/counting-upstream.ts'
import { type RouterProcess, startRouterProcess } from './helpers/router-process.ts'

const workersCount = 2
const places = 3
let router: RouterProcess
let box: CountingUpstream
const agents: Agent[] = []

before(async () => {
  box = await startCounting()
  const provider = { id: 'box', api_type: 'vllm', api_host: box.upstream.url, max_in_flight: places }
  router = await startRouterProcess({
    models: {
      test_models: { m: { providers: [provider], strategy: 'least_busy' } },
      active_models: { test_models: ['m'] },
    },
    env: { LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: `${workersCount}` },
  })
  await router.listening(workersCount)
})
after(async () => {
  box.open()
  await router.stop()
  for (const agent of agents) agent.destroy()
  await box.upstream.close()
})

const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x' }] })

/** Over a connection of its own, so that the workers get about the same number. */
function ask(): { status: Promise<number>; leave(): void } {
  const agent = new Agent()
  agents.push(agent)
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const asked = request(`${router.url}/v1/chat/completions`, {
    agent,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  })
  asked.on('error', reject)
  asked.on('response', (response) => {
    response.resume()
    response.on('end', () => resolve(response.statusCode ?? 0))
  })
  asked.end(body)
  promise.catch(() => undefined) // of one that leaves
  return { status: promise, leave: () => asked.destroy() }
}

async function status(): Promise<Status> {
  return (await fetch(`${router.url}/api/status`)).json() as Promise<Status>
}

async function until(isSo: () => boolean): Promise<void> {
  const signal = AbortSignal.timeout(20_000)
  while (!isSo()) {
    signal.throwIfAborted()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function untilWaiting(count: number): Promise<Status> {
  const signal = AbortSignal.timeout(20_000)
  for (;;) {
    // A connection to a worker that dies is lost.
    const now = await status().catch(() => undefined)
    if (now?.models[0]?.waiting === count) return now
    signal.throwIfAborted()
  }
}

test('the workers of a cluster share the places of a target, also when one of them dies', async () => {
  const asked = Array.from({ length: 20 }, ask)
  const { workers } = await untilWaiting(20 - places)
  await until(() => box.running === places)
  const leaver = ask()
  await untilWaiting(21 - places)
  leaver.leave()
  await untilWaiting(20 - places)

  const dead = workers.find(({ in_flight }) => in_flight > 0) ?? assert.fail('nobody works')
  process.kill(dead.pid, 'SIGKILL')
  const gone = dead.in_flight + dead.waiting
  await untilWaiting(Math.max(0, 20 - gone - places))
  box.open()
  const results = await Promise.allSettled(asked.map((each) => each.status))
  const answered = results.filter((result) => result.status === 'fulfilled' && result.value === 200)
  assert.equal(answered.length, 20 - gone)
  assert.ok(box.most <= places, `${box.most}`)
  assert.equal((await untilWaiting(0)).models[0]?.targets[0]?.in_flight, 0)
})

test('all places are used again after that', async () => {
  const asked = Array.from({ length: 10 }, ask)
  assert.deepEqual(new Set(await Promise.all(asked.map((each) => each.status))), new Set([200]))
  assert.equal(box.most, places)
})
