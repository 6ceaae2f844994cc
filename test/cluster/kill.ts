import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../helpers/eventually.ts'
import type { RouterProcess } from '../helpers/router-process.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { answer, connectTo, converse, type Send } from './conversation.ts'
import { connections, endOf, everything, isEnd, runningWorkers, statusOfAll, type Topic } from './workers.ts'

const path = '/v1/chat/completions'

/** The extension that adds `POST /kill`, which kills the worker that serves it. */
export const killExtension = `export default async (app) => {
  app.post('/kill', { config: { surface: 'text' } }, (request) => {
    app.gateway.clientRequest('openai', request)
    process.kill(process.pid, 'SIGKILL')
    for (;;);
  })
}
`

/** Workers that are killed. */
export function kill(): Topic {
  let upstream: ScriptedUpstream
  return {
    async models() {
      upstream = await startUpstream(openaiText('Hi'))
      return {
        m: { providers: [{ id: 'target', api_type: 'vllm', api_host: upstream.url }] },
        mock: { providers: [{ id: 'mock', api_type: 'mock' }] },
      }
    },
    close: () => upstream.close(),
    tests: killTests,
  }
}

interface Question {
  method: string
  to: string
  body?: string
  headers?: Record<string, string>
}

interface Answer {
  status: number
  text: string
  headers: IncomingHttpHeaders
}

/** All requests of one agent use one connection, so they reach one worker. Rejects when the connection breaks. */
function sendTo(
  { url }: RouterProcess,
  agent: Agent,
  { method, to, body = '', headers = {} }: Question,
): Promise<Answer> {
  const { hostname: host, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const options = { host, port, method, path: to, agent }
    const sent = request({ ...options, headers: { ...everything, ...headers } }, async (response) => {
      let text = ''
      try {
        for await (const chunk of response.setEncoding('utf8')) text += chunk
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers })
      } catch (error) {
        reject(error)
      }
    })
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

/** Of the models, not of the client keys. */
const isReload = (msg: unknown): boolean => /^models-config.json reloaded/.test(String(msg))

function killTests(cluster: Parameters<Topic['tests']>[0]): void {
  const send = (agent: Agent, method: string, to: string, body = '', headers = {}): Promise<Answer> =>
    sendTo(cluster.router, agent, { method, to, body, headers })

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
    const first = await runningWorkers(cluster.router)
    for (let round = 0; round < 2; round++) {
      pauseMs = 300
      const pids = await runningWorkers(cluster.router)
      const asked = counts.answered
      pauseMs = 10
      await eventually(() => counts.answered >= asked + 100)
      const victim = pids.find((pid) => first.includes(pid)) ?? assert.fail('all are dead')
      process.kill(victim, 'SIGKILL')
      killed.push(victim)
      await endOf(cluster.router, victim)
    }
    pauseMs = 300
    await runningWorkers(cluster.router)
    stopped = true
    // A hanging connection would block its client here forever.
    await load
    for (const agent of clients) agent.destroy()
    assert.ok(counts.answered > counts.broken, JSON.stringify(counts))

    await t.test('killed workers are no longer on the status page', async () => {
      const status = await statusOfAll(connectTo(cluster.router, everything))
      for (const { pid, state } of status.workers) {
        assert.ok(!killed.includes(pid))
        assert.notEqual(state, 'silent')
      }
    })

    await t.test('the result of a later reload is reported once', async () => {
      const { test_models: group, active_models: active } = cluster.config()
      const fewer = { test_models: group, active_models: { test_models: active.test_models.slice(1) } }
      const from = cluster.router.logs.length
      const reloads = () => cluster.router.logs.slice(from).filter(({ msg }) => isReload(msg))
      const reloaded = cluster.router.next(({ msg }) => isReload(msg))
      writeFileSync(cluster.router.file, JSON.stringify(fewer))
      assert.equal((await reloaded).models, active.test_models.length - 1)
      const again = cluster.router.next(({ msg }) => isReload(msg))
      writeFileSync(cluster.router.file, JSON.stringify(cluster.config()))
      await again
      assert.equal(reloads().length, 2)
    })
  })

  test('the log names the request that killed a worker immediately, with model and size, and no ended request', async () => {
    const agent = connection()
    await send(agent, 'POST', path, question('before'), { 'x-request-id': 'ended' })
    const ends = cluster.router.logs.filter(isEnd)
    const body = question('kill')
    await assert.rejects(send(agent, 'POST', '/kill', body, { 'x-request-id': 'poison' }))
    const { requests, running_requests: count } = await cluster.router.logged(
      (line) => isEnd(line) && !ends.includes(line),
    )
    assert.equal(count, 1)
    const [{ started_at: at, ...named }] = requests as [Record<string, unknown>]
    assert.deepEqual(named, { request_id: 'poison', model: 'm', request_bytes: body.length })
    assert.ok(!Number.isNaN(Date.parse(String(at))))
    assert.doesNotMatch(JSON.stringify(requests), /"content"/)
  })

  test('SIGUSR1 is logged by the primary and by a worker, and opens no debugger', async () => {
    const { workers } = await statusOfAll(connectTo(cluster.router, everything))
    for (const pid of [cluster.router.child.pid ?? 0, workers[0]?.pid ?? 0]) {
      process.kill(pid, 'SIGUSR1')
      await cluster.router.logged(
        (line) => line.pid === pid && line.msg === 'SIGUSR1 has no effect; SIGUSR2 reopens the log file',
      )
    }
  })

  test('connections that are all on one worker are redistributed, and none breaks', async () => {
    const { worker: own, workers } = await statusOfAll(connectTo(cluster.router, everything))
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
    await eventually(async () => {
      const by: number[] = []
      // Sequentially: of simultaneous connections, the worker that is awake accepts all.
      for (const agent of clients) {
        // Every response is complete, even one that closes its connection.
        const { status, headers } = await send(agent, 'GET', '/ping')
        assert.equal(status, 200)
        if (headers.connection === 'close') closes++
        by.push(JSON.parse((await send(agent, 'GET', '/api/status')).text).worker)
      }
      const most = Math.max(...[own, frozen.worker].map((one) => by.filter((each) => each === one).length))
      return closes > 0 && most <= 18
    })
  })

  test('stored responses are available to all workers, even when the worker that created them has died', async () => {
    const found = await connections(cluster.router)
    const [[firstPid, one], [, two]] = [...found] as [[number, Send], [number, Send]] // as many as there are workers
    await converse(one, two)
    const { id } = await answer(one, 'the last one')
    process.kill(firstPid, 'SIGKILL')
    await endOf(cluster.router, firstPid)
    await answer(two, 'and then', id)
  })
}
