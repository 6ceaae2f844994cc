import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { modelsConfig } from '../helpers/models-config.ts'
import { type RedisServer, startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'

let folder: string
let extension: string
let redis: RedisServer

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'llm-router-responses-'))
  extension = join(folder, 'pid.ts')
  writeFileSync(
    extension,
    `export default async (app) => { app.get('/pid', () => ({ pid: process.pid })) }\n`,
  )
  redis = await startRedis()
})
after(async () => {
  await redis.stop()
  rmSync(folder, { recursive: true })
})

async function start(t: TestContext, env: Record<string, string>): Promise<RouterProcess> {
  const router = await startRouterProcess({
    models: modelsConfig({ m: [{ api_type: 'mock' }] }),
    env: { LLM_ROUTER_EXTENSIONS: extension, ...env },
  })
  t.after(() => router.stop())
  return router
}

/** In this process. */
async function startHere(t: TestContext, env: Record<string, string>): Promise<TestRouter> {
  const router = await startRouter({ models: modelsConfig({ m: [{ api_type: 'mock' }] }), env })
  t.after(() => router.close())
  return router
}

type Send = (method: string, path: string, body?: object) => Promise<{ status: number; text: string }>

/** All requests go over one connection, so to one worker. */
function connectTo({ url }: { readonly url: string }): Send {
  const { hostname: host, port } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' }
      const sent = request({ host, port, method, path, agent, headers }, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve({ status: response.statusCode ?? 0, text })
      })
      sent.once('error', reject)
      sent.end(body && JSON.stringify(body))
    })
}

async function connectToEachWorker(router: RouterProcess, count: number): Promise<Map<number, Send>> {
  await router.listening(count)
  const found = new Map<number, Send>()
  const signal = AbortSignal.timeout(10_000)
  while (found.size < count) {
    signal.throwIfAborted()
    const send = connectTo(router)
    const { pid }: { pid: number } = JSON.parse((await send('GET', '/pid')).text)
    if (!found.has(pid)) found.set(pid, send)
  }
  return found
}

async function answer(send: Send, input: string, previous?: string): Promise<{ id: string; text: string }> {
  const body = { model: 'm', input, ...(previous ? { previous_response_id: previous } : {}) }
  const { status, text } = await send('POST', '/v1/responses', body)
  assert.equal(status, 200, text)
  return { id: JSON.parse(text).id, text }
}

/** A conversation whose turns go to two processes by turns, and whose last answer is deleted by the other one. */
async function converse(one: Send, two: Send): Promise<void> {
  let previous: string | undefined
  for (const [turn, send] of [one, two, one, two].entries()) {
    previous = (await answer(send, `turn ${turn}`, previous)).id
  }
  assert.equal((await one('GET', `/v1/responses/${previous}`)).status, 200)
  assert.equal((await one('DELETE', `/v1/responses/${previous}`)).status, 200)
  assert.equal((await two('GET', `/v1/responses/${previous}`)).status, 404)
}

const cluster = { LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: '2' }

describe('answers that requests go on from', { concurrency: 2 }, () => {
  test('are known to all workers of a machine, also when the one that gave them has died', async (t) => {
    const router = await start(t, cluster)
    const workers = await connectToEachWorker(router, 2)
    const [[firstPid, one], [, two]] = [...workers] as [[number, Send], [number, Send]] // as many as asked for
    await converse(one, two)
    const { id } = await answer(one, 'the last one')
    process.kill(firstPid, 'SIGKILL')
    await answer(two, 'and then', id)
  })

  test('are known to all routers with one Redis, and to those that start later', async (t) => {
    const env = { LLM_ROUTER_REDIS_HOST: '127.0.0.1', LLM_ROUTER_REDIS_PORT: `${redis.port}` }
    const routers = [await startHere(t, env), await startHere(t, env)]
    const [one, two] = routers.map(connectTo)
    assert.ok(one && two)
    await converse(one, two)
    const { id } = await answer(one, 'the last one')
    const later = connectTo(await startHere(t, env))
    await answer(later, 'and then', id)
  })
})
