import assert from 'node:assert/strict'
import { Agent, type IncomingMessage, request } from 'node:http'
import { test } from 'node:test'
import { FormatRegistry } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { type Status, StatusSchema } from '../../src/sdk/console/status.ts'
import { eventually } from '../helpers/eventually.ts'
import { closedPort } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import {
  openaiChunk,
  openaiDone,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'
import { everything, type Topic } from './workers.ts'

FormatRegistry.Set('date-time', (text) => new Date(text).toISOString() === text)

/** The status of all workers. Its numbers need a cluster that has had no requests. */
export function status(): Topic {
  let upstream: ScriptedUpstream
  const finish = Promise.withResolvers<void>()
  return {
    async models() {
      upstream = await startUpstream(() => {
        const pieces = [openaiChunk({ content: 'Hi' }), finish.promise, openaiChunk({}, 'stop'), openaiDone]
        return { kind: 'stream', pieces }
      })
      const provider = (id: string, api_host: string) => ({ providers: [{ id, api_type: 'vllm', api_host }] })
      return { good: provider('box', upstream.url), bad: provider('dead', await closedPort()) }
    },
    close: () => upstream.close(),
    tests: (cluster) => statusTests(cluster, () => finish.resolve()),
  }
}

function statusTests(cluster: Parameters<Topic['tests']>[0], finish: () => void): void {
  /** All requests of one agent use one connection, so they reach one worker. */
  function send(agent: Agent, method: string, path: string, body = ''): Promise<IncomingMessage> {
    const { hostname: host, port } = new URL(cluster.router.url)
    return new Promise((resolve, reject) => {
      const sent = request({ host, port, method, path, agent, headers: everything }, resolve)
      sent.once('error', reject)
      sent.end(body)
    })
  }

  async function statusBy(agent: Agent): Promise<Status> {
    const status: unknown = JSON.parse(await textOf(await send(agent, 'GET', '/api/status')))
    assert.deepEqual([...Value.Errors(StatusSchema, status)], [])
    return status as Status // validated above
  }

  /** The status from any worker, once it satisfies the condition. */
  async function statusThat(isSo: (status: Status) => boolean, by = new Agent()): Promise<Status> {
    return await eventually(async () => {
      const status = await statusBy(by).catch(() => undefined) // the connection was to a worker that had just died
      return status !== undefined && isSo(status) && status
    })
  }

  /** An agent for each of the two workers. */
  async function agents(): Promise<[Agent, Agent]> {
    const found = new Map<number, Agent>()
    const signal = AbortSignal.timeout(20_000)
    while (found.size < 2) {
      signal.throwIfAborted()
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const { worker } = await statusBy(agent)
      if (!found.has(worker)) found.set(worker, agent)
    }
    return [...found.values()] as [Agent, Agent] // the loop has found two
  }

  function ask(agent: Agent, model: string, stream: boolean): Promise<IncomingMessage> {
    const body = { model, stream, messages }
    return send(agent, 'POST', '/v1/chat/completions', JSON.stringify(body))
  }

  test('any process of a cluster returns the status of all', { timeout: 60_000 }, async (t) => {
    const workers = await agents()
    const [first, second] = workers

    await t.test('requests in flight and uses are summed', async () => {
      const streams = await Promise.all([...workers, new Agent()].map((agent) => ask(agent, 'good', true)))
      const asking = new Agent()
      const status = await statusThat((each) => targetIn(each, 'box').in_flight === 3, asking)
      assert.equal(targetIn(status, 'box').uses, 3)
      assert.equal(status.workers.length, 2)
      assert.deepEqual(status.workers.map(({ in_flight }) => in_flight).toSorted(), [1, 2])
      assert.equal(status.state, 'ready')
      finish()
      await Promise.all(streams.map(textOf))
      const after = await statusThat(({ requests }) => requests.finished === 3)
      assert.deepEqual([targetIn(after, 'box').in_flight, targetIn(after, 'box').requests_per_minute], [0, 3])
    })

    await t.test(
      'failures of both processes are listed, newest first, and a target has its worst state',
      async () => {
        for (const agent of [first, second, first, first, first, first])
          await textOf(await ask(agent, 'bad', false))
        const status = await statusThat(({ requests }) => requests.failed === 6)
        const times = status.failures.map(({ at }) => at)
        assert.deepEqual(times, times.toSorted().reverse())
        assert.equal(times.length, 6)
        // Failed connections have opened the breaker in one process; the other has had a single failure.
        const { state, breaker, last_errors: errors } = targetIn(status, 'dead')
        assert.deepEqual([state, breaker, errors.length], ['open', 'open', 3])
        assert.equal(status.state, 'degraded')
        assert.deepEqual(status.workers.map((worker) => worker.state).toSorted(), ['degraded', 'ready'])
      },
    )

    await t.test('live events cover all processes', async () => {
      const events = await send(new Agent(), 'GET', '/api/status/events')
      let text = ''
      for await (const chunk of events.setEncoding('utf8')) {
        text += chunk
        if (/data: .*\n\n/.test(text)) break
      }
      const status: Status = JSON.parse(/data: (.*)\n\n/.exec(text)?.[1] ?? '')
      assert.deepEqual([status.workers.length, status.requests.finished], [2, 9])
    })

    await t.test('a process that hangs is shown as silent, with its last known values', async () => {
      const { workers: rows, worker: own } = await statusBy(first)
      const hanging = rows.find(({ worker }) => worker !== own) ?? assert.fail('one row')
      process.kill(hanging.pid, 'SIGSTOP')
      const status = await statusBy(first)
      process.kill(hanging.pid, 'SIGCONT')
      assert.equal(status.workers.find(({ pid }) => pid === hanging.pid)?.state, 'silent')
      assert.deepEqual([status.state, status.requests.finished], ['degraded', 9])
      await statusThat(({ workers: now }) => now.every(({ state }) => state !== 'silent'))
    })

    await t.test('a killed process is removed, and its replacement is added', async () => {
      const { workers: rows, worker: own } = await statusBy(first)
      const victim = rows.find(({ worker }) => worker !== own) ?? assert.fail('one row')
      process.kill(victim.pid, 'SIGKILL')
      const gone = await statusThat(({ workers: now }) => !now.some(({ pid }) => pid === victim.pid), first)
      assert.ok(gone.workers.some(({ worker }) => worker === own))
      await statusThat(({ workers: now }) => now.length === 2, first)
    })
  })
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of answer.setEncoding('utf8')) text += chunk
  return text
}

function targetIn(status: Status, id: string) {
  const target = status.models.flatMap(({ targets }) => targets).find((each) => each.id === id)
  return target ?? assert.fail(`no target ${id}`)
}
