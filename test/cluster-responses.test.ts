import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { childEnv, root } from './helpers/child-env.ts'
import { type RedisServer, startRedis } from './stores/redis-server.ts'

let folder: string
let redis: RedisServer

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'llm-router-responses-'))
  writeFileSync(
    join(folder, 'pid.ts'),
    `export default async (app) => { app.get('/pid', () => ({ pid: process.pid })) }\n`,
  )
  const m = { providers: [{ api_type: 'mock' }] }
  writeFileSync(join(folder, 'models.json'), JSON.stringify({ g: { m }, active_models: { g: ['m'] } }))
  redis = await startRedis()
})
after(async () => {
  await redis.stop()
  rmSync(folder, { recursive: true })
})

/** A router as a process of its own; fulfilled with its port when it listens. */
async function startProcess(t: TestContext, env: Record<string, string>): Promise<number> {
  const child = spawn(process.execPath, ['src/server.ts'], {
    cwd: root,
    env: childEnv({
      LLM_ROUTER_SERVER_HOST: '127.0.0.1',
      LLM_ROUTER_SERVER_PORT: '0',
      LLM_ROUTER_LOG_FILENAME: '',
      LLM_ROUTER_MODELS_CONFIG: join(folder, 'models.json'),
      LLM_ROUTER_EXTENSIONS: join(folder, 'pid.ts'),
      ...env,
    }),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exit = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await exit
  })
  let output = ''
  const port = Promise.withResolvers<number>()
  child.stderr.on('data', (chunk) => {
    output += chunk
    const match = /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(output)
    if (match) port.resolve(Number(match[1]))
  })
  exit.then(() => port.reject(new Error(`the router ended: ${output}`))).catch(() => undefined)
  return port.promise
}

type Send = (method: string, path: string, body?: object) => Promise<{ status: number; text: string }>

/** All requests go over one connection, so to one worker. */
function connectTo(port: number): Send {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' }
      const sent = request({ host: '127.0.0.1', port, method, path, agent, headers }, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve({ status: response.statusCode ?? 0, text })
      })
      sent.once('error', reject)
      sent.end(body && JSON.stringify(body))
    })
}

async function connectToEachWorker(port: number, count: number): Promise<Map<number, Send>> {
  const found = new Map<number, Send>()
  const signal = AbortSignal.timeout(10_000)
  while (found.size < count) {
    signal.throwIfAborted()
    const send = connectTo(port)
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
    const port = await startProcess(t, cluster)
    const workers = await connectToEachWorker(port, 2)
    const [[firstPid, one], [, two]] = [...workers] as [[number, Send], [number, Send]] // as many as asked for
    await converse(one, two)
    const { id } = await answer(one, 'the last one')
    process.kill(firstPid, 'SIGKILL')
    await answer(two, 'and then', id)
  })

  test('are known to all routers with one Redis, and to those that start later', async (t) => {
    const env = { LLM_ROUTER_REDIS_HOST: '127.0.0.1', LLM_ROUTER_REDIS_PORT: `${redis.port}` }
    const ports = await Promise.all([startProcess(t, env), startProcess(t, env)])
    const [one, two] = ports.map(connectTo)
    assert.ok(one && two)
    await converse(one, two)
    const { id } = await answer(one, 'the last one')
    const later = connectTo(await startProcess(t, env))
    await answer(later, 'and then', id)
  })
})
