import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { after, before, describe, type TestContext, test } from 'node:test'
import { openRequest } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { repeats } from '../helpers/repeats.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import {
  openaiChunk,
  openaiDone,
  openaiStream,
  openaiText,
  type Script,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'

async function startOne(t: TestContext, upstream: ScriptedUpstream, port = 0): Promise<RouterProcess> {
  const router = await startRouterProcess({
    env: { LLM_ROUTER_SERVER_PORT: `${port}` },
    models: modelsConfig({ m: [{ api_type: 'vllm', api_host: upstream.url }] }),
  })
  t.after(() => router.stop())
  return router
}

async function upstreamFor(t: TestContext, script: Script): Promise<ScriptedUpstream> {
  const upstream = await startUpstream(script)
  t.after(() => upstream.close())
  return upstream
}

test('SIGTERM lets 50 running streams come to their end, and then ends the process with 0', async (t) => {
  const go = Promise.withResolvers<void>()
  const upstream = await upstreamFor(t, () => ({
    kind: 'stream',
    pieces: [openaiChunk({ content: 'Hi' }), go.promise, openaiChunk({}, 'stop'), openaiDone],
  }))
  const router = await startOne(t, upstream)
  const streams = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const response = await fetch(router.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'm', stream: true, messages }),
      })
      return response
    }),
  )
  router.child.kill('SIGTERM')
  await router.logged(({ msg }) => msg === 'stopping')
  go.resolve()
  for (const response of streams) assert.match(await response.text(), /Hi[\s\S]*\[DONE\]\n\n$/)
  assert.equal(await router.exit, 0)
  const lines = await router.requestsLogged(50)
  assert.ok(lines.length === 50 && lines.every(({ outcome }) => outcome === 'success'))
})

test('a second SIGTERM ends the process at once, whatever runs', async (t) => {
  const upstream = await upstreamFor(t, {
    kind: 'stream',
    pieces: [openaiChunk({ content: 'Hi' })],
    ending: 'hang',
  })
  const router = await startOne(t, upstream)
  const socket = await openRequest(router.url, path, { model: 'm', stream: true, messages })
  socket.on('error', () => undefined) // the end of the process may be a reset
  await once(socket, 'data')
  router.child.kill('SIGTERM')
  await router.logged(({ msg }) => msg === 'stopping')
  router.child.kill('SIGTERM')
  assert.equal(await router.exit, 1)
  socket.destroy()
  await upstream.requestClosed(0)
})

/** One of the routers behind the pool. */
interface Member {
  router: RouterProcess
  port: number
  agent: Agent
  ready: boolean
}

/** What a load balancer does: requests in turn to those that say they are ready, over kept-alive connections. */
class Pool {
  readonly members: Member[]
  #turn = 0

  constructor(routers: readonly RouterProcess[]) {
    this.members = routers.map((router) => ({
      router,
      port: Number(new URL(router.url).port),
      agent: new Agent({ keepAlive: true }),
      ready: true,
    }))
  }

  /** The text of an answer. A connection that is refused costs nothing: the next member gets the request. */
  async ask(stream: boolean): Promise<string> {
    for (;;) {
      const ready = this.members.filter((member) => member.ready)
      const member = ready[this.#turn++ % ready.length]
      assert.ok(member, 'no router is ready')
      try {
        return await send(member, stream)
      } catch (error) {
        const refused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
        if (!refused) throw error
        member.ready = false
      }
    }
  }

  async look(): Promise<void> {
    for (const member of this.members) {
      const answer = await fetch(`http://127.0.0.1:${member.port}/readyz`, {
        headers: { connection: 'close' },
      }).catch(() => undefined)
      member.ready = answer?.status === 200
    }
  }

  close(): void {
    for (const { agent } of this.members) agent.destroy()
  }
}

async function send({ port, agent }: Member, stream: boolean): Promise<string> {
  const headers = { 'content-type': 'application/json' }
  const sent = request({ host: '127.0.0.1', port, path, method: 'POST', agent, headers })
  sent.end(JSON.stringify({ model: 'm', stream, messages }))
  const [response] = (await once(sent, 'response')) as [IncomingMessage] // by the documentation of the event
  let text = ''
  for await (const piece of response) text += piece
  assert.equal(response.statusCode, 200, text)
  return text
}

/** Calls back at even times until it is stopped; gives how often. */
function everyMs(ms: number, act: () => void): () => number {
  const from = performance.now()
  let done = 0
  const timer = setInterval(() => {
    for (const due = (performance.now() - from) / ms; done < due; done++) act()
  }, ms)
  return () => {
    clearInterval(timer)
    return done
  }
}

describe('a rolling restart', () => {
  let upstream: ScriptedUpstream
  before(async () => {
    upstream = await startUpstream(async ({ body }) => {
      await new Promise((resolve) => setImmediate(resolve))
      return (body as { stream?: boolean }).stream === true ? openaiStream(['Hi', '!']) : openaiText('Hi!')
    })
  })
  after(() => upstream.close())

  test('of two routers at 200 requests a second loses none', async (t) => {
    const pool = new Pool([await startOne(t, upstream), await startOne(t, upstream)])
    t.after(() => pool.close())
    const lost: unknown[] = []
    const running = new Set<Promise<void>>()
    let count = 0
    let answered = 0
    const stopAsking = everyMs(5, () => {
      const stream = count++ % 2 === 0
      const one = pool
        .ask(stream)
        .then((text) => assert.match(text, stream ? /Hi[\s\S]*!"[\s\S]*\[DONE\]\n\n$/ : /"Hi!"/))
        .catch((error: unknown) => {
          lost.push(error)
        })
        .finally(() => {
          answered++
          running.delete(one)
        })
      running.add(one)
    })
    const looks = new Set<Promise<void>>()
    const stopLooking = everyMs(100, () => {
      const look = pool.look().finally(() => looks.delete(look))
      looks.add(look)
    })
    // A router that nobody uses may end at once.
    while (answered < 100) await new Promise((resolve) => setImmediate(resolve))
    for (let round = 0; round < repeats(1, 20); round++) {
      for (const member of pool.members) {
        member.router.child.kill('SIGTERM')
        assert.equal(await member.router.exit, 0)
        member.router = await startOne(t, upstream, member.port)
        while (!member.ready) await pool.look()
      }
    }
    const asked = stopAsking()
    stopLooking()
    await Promise.all([...running, ...looks])
    assert.deepEqual(lost, [])
    assert.ok(asked > 300, `${asked} requests`)
  })
})
