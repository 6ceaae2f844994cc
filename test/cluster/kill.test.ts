import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Status } from '../../src/sdk/console/status.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { answer, connectTo, converse, type Send } from './conversation.ts'

const workersCount = 2
const path = '/v1/chat/completions'

let folder: string
let router: RouterProcess
let upstream: ScriptedUpstream

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'llm-router-kill-'))
  const extension = join(folder, 'kill.ts')
  writeFileSync(
    extension,
    `export default async (app) => {
  app.post('/kill', { config: { surface: 'text' } }, (request) => {
    app.gateway.clientRequest('openai', request)
    process.kill(process.pid, 'SIGKILL')
    for (;;);
  })
}
`,
  )
  upstream = await startUpstream(openaiText('Hi'))
  router = await startRouterProcess({
    models: modelOn(upstream.url),
    env: {
      LLM_ROUTER_SERVER_TYPE: 'cluster',
      LLM_ROUTER_SERVER_WORKERS_COUNT: `${workersCount}`,
      LLM_ROUTER_EXTENSIONS: extension,
      LLM_ROUTER_CONFIG_POLL: '0',
    },
  })
  await router.listening(workersCount)
})
after(async () => {
  await router.stop()
  await upstream.close()
  rmSync(folder, { recursive: true })
})

function modelOn(url: string, model = 'm'): Record<string, unknown> {
  return modelsConfig({
    [model]: [{ id: 'target', api_type: 'vllm', api_host: url }],
    mock: [{ id: 'mock', api_type: 'mock' }],
  })
}

interface Answer {
  status: number
  text: string
  headers: IncomingHttpHeaders
}

/** All requests of one agent use one connection, so they reach one worker. Rejects when the connection breaks. */
function send(agent: Agent, method: string, to: string, body = '', headers = {}): Promise<Answer> {
  const { hostname: host, port } = new URL(router.url)
  return new Promise((resolve, reject) => {
    const options = { host, port, method, path: to, agent }
    const sent = request(
      { ...options, headers: { 'content-type': 'application/json', ...headers } },
      async (response) => {
        let text = ''
        try {
          for await (const chunk of response.setEncoding('utf8')) text += chunk
          resolve({ status: response.statusCode ?? 0, text, headers: response.headers })
        } catch (error) {
          reject(error)
        }
      },
    )
    sent.once('error', reject)
    sent.end(body)
  })
}

function connection(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 })
}

function question(content: string): string {
  return JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] })
}

async function statusBy(agent: Agent): Promise<Status> {
  return JSON.parse((await send(agent, 'GET', '/api/status')).text)
}

/** The status once it lists all processes, and no others. */
async function statusOfAll(agent: Agent): Promise<Status> {
  for (;;) {
    const status = await statusBy(agent)
    if (status.workers.length === workersCount) return status
    await pause(20)
  }
}

/** The log line about the end of a process, once it is written. */
async function endOf(pid: number): Promise<Record<string, unknown>> {
  return await router.logged((line) => line.worker_pid === pid && isEnd(line))
}

function isEnd({ msg }: Record<string, unknown>): boolean {
  return String(msg).startsWith('worker exited')
}

test('a worker killed under load leaves no connection hanging and does not affect the rest of the router', async (t) => {
  const clients = Array.from({ length: 16 }, connection)
  let stopped = false
  /** Between two requests of a client: keeps some in flight, and gives new workers time to start. */
  let pauseMs = 10
  const counts = { answered: 0, broken: 0 }
  const load = Promise.all(
    clients.map(async (agent) => {
      while (!stopped) {
        await pause(pauseMs)
        try {
          assert.equal((await send(agent, 'POST', path, question('x'))).status, 200)
          counts.answered++
        } catch (error) {
          assert.ok(error instanceof Error && 'code' in error, String(error))
          counts.broken++ // it used the connection of the killed worker
        }
      }
    }),
  )
  const killed: number[] = []
  for (let round = 0; round < 2; round++) {
    pauseMs = 300
    const pids = await router.listening(workersCount + round)
    const asked = counts.answered
    pauseMs = 10
    while (counts.answered < asked + 100) await pause(20)
    const victim = pids.find((pid) => !killed.includes(pid)) ?? assert.fail('all are dead')
    process.kill(victim, 'SIGKILL')
    killed.push(victim)
    await endOf(victim)
  }
  pauseMs = 300
  await router.listening(workersCount + killed.length)
  stopped = true
  // A hanging connection would block its client here forever.
  await load
  for (const agent of clients) agent.destroy()
  assert.ok(counts.answered > counts.broken, JSON.stringify(counts))

  await t.test('killed workers are no longer on the status page', async () => {
    const agent = connection()
    const status = await statusOfAll(agent)
    for (const { pid, state } of status.workers) {
      assert.ok(!killed.includes(pid))
      assert.notEqual(state, 'silent')
    }
  })

  await t.test('the result of a later reload is reported once', async () => {
    writeFileSync(router.file, JSON.stringify(modelOn(upstream.url, 'other')))
    router.child.kill('SIGHUP')
    const line = await router.logged(({ msg }) => String(msg).includes('reloaded'))
    assert.equal(line.models, 2)
    writeFileSync(router.file, JSON.stringify(modelOn(upstream.url)))
    router.child.kill('SIGHUP')
    await router.logged((each) => String(each.msg).includes('reloaded') && each !== line)
    assert.equal(router.logs.filter(({ msg }) => String(msg).includes('reloaded')).length, 2)
  })
})

test('the log names the request that killed a worker immediately, with model and size, and no ended request', async () => {
  const agent = connection()
  await send(agent, 'POST', path, question('before'), { 'x-request-id': 'ended' })
  const ends = router.logs.filter(isEnd)
  const body = question('kill')
  await assert.rejects(send(agent, 'POST', '/kill', body, { 'x-request-id': 'poison' }))
  const { requests, running_requests: count } = await router.logged(
    (line) => isEnd(line) && !ends.includes(line),
  )
  assert.equal(count, 1)
  const [{ started_at: at, ...named }] = requests as [Record<string, unknown>]
  assert.deepEqual(named, { request_id: 'poison', model: 'm', request_bytes: body.length })
  assert.ok(!Number.isNaN(Date.parse(String(at))))
  assert.doesNotMatch(JSON.stringify(requests), /"content"/)
})

test('SIGUSR1 is logged by the primary and by a worker, and opens no debugger', async () => {
  const { workers } = await statusBy(connection())
  for (const pid of [router.child.pid ?? 0, workers[0]?.pid ?? 0]) {
    process.kill(pid, 'SIGUSR1')
    await router.logged(
      (line) => line.pid === pid && line.msg === 'SIGUSR1 has no effect; SIGUSR2 reopens the log file',
    )
  }
})

test('connections that are all on one worker are redistributed, and none breaks', async () => {
  const { worker: own, workers } = await statusOfAll(connection())
  const frozen = workers.find(({ worker }) => worker !== own) ?? assert.fail('one row')
  // It accepts no connections meanwhile.
  process.kill(frozen.pid, 'SIGSTOP')
  const clients = Array.from({ length: 24 }, connection)
  try {
    await Promise.all(clients.map((agent) => send(agent, 'GET', '/ping')))
  } finally {
    process.kill(frozen.pid, 'SIGCONT')
  }
  let closes = 0
  for (;;) {
    const by: number[] = []
    // Sequentially: of simultaneous connections, the worker that is awake accepts all.
    for (const agent of clients) {
      // Every response is complete, even one that closes its connection.
      const { status, headers } = await send(agent, 'GET', '/ping')
      assert.equal(status, 200)
      if (headers.connection === 'close') closes++
      by.push((await statusBy(agent)).worker)
    }
    const most = Math.max(...[own, frozen.worker].map((one) => by.filter((each) => each === one).length))
    if (closes > 0 && most <= 18) break
    await pause(20)
  }
})

test('stored responses are available to all workers, even when the worker that created them has died', async () => {
  const found = new Map<number, Send>()
  const signal = AbortSignal.timeout(20_000)
  while (found.size < 2) {
    signal.throwIfAborted()
    const one = connectTo(router)
    // A worker that the last test has killed may still have accepted the connection.
    const sent = await one('GET', '/api/status').catch(() => undefined)
    if (sent === undefined) continue
    const { worker, workers }: Status = JSON.parse(sent.text)
    const pid = workers.find((row) => row.worker === worker)?.pid
    if (pid !== undefined && !found.has(pid)) found.set(pid, one)
  }
  const [[firstPid, one], [, two]] = [...found] as [[number, Send], [number, Send]] // the loop has found two
  await converse(one, two)
  const { id } = await answer(one, 'the last one')
  process.kill(firstPid, 'SIGKILL')
  await answer(two, 'and then', id)
})
