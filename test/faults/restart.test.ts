import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../helpers/eventually.ts'
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
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'

let upstream: ScriptedUpstream
/** Both ask the upstream above. */
let pool: Pool

before(async () => {
  upstream = await startUpstream(async ({ body }) => {
    await new Promise((resolve) => setImmediate(resolve))
    return (body as { stream?: boolean }).stream === true ? openaiStream(['Hi', '!']) : openaiText('Hi!')
  })
  pool = new Pool(await Promise.all([startOne(), startOne()]))
})
after(async () => {
  pool.close()
  for (const { router } of pool.members) await router.stop()
  await upstream.close()
})

async function startOne(port = 0): Promise<RouterProcess> {
  return await startRouterProcess({
    env: { LLM_ROUTER_SERVER_PORT: `${port}` },
    models: modelsConfig({ m: [{ api_type: 'vllm', api_host: upstream.url }] }),
  })
}

/** One of the routers behind the pool. */
interface Member {
  router: RouterProcess
  port: number
  agent: Agent
  ready: boolean
}

/** Acts as a load balancer: sends requests in turn to the members that report ready, over kept-alive connections. */
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

  /** Returns the text of an answer. After a refused connection, the next member gets the request. */
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
  const [response] = (await once(sent, 'response')) as [IncomingMessage] // typed as the event is documented
  let text = ''
  for await (const piece of response) text += piece
  assert.equal(response.statusCode, 200, text)
  return text
}

/** Maximum concurrent requests: a busy machine should restart routers, not work off a backlog. */
const mostRunning = 40

/** Asks the pool 200 times a second, or 20 times; less often if it is slow. */
class Clients {
  readonly failed: unknown[] = []
  asked = 0
  answered = 0
  /** While a router starts, only the other one is asked, so no request can fail on the way to the first. */
  isSlow = false
  readonly #pool: Pool
  readonly #running = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout
  #ticks = 0

  constructor(pool: Pool) {
    this.#pool = pool
    this.#timer = setInterval(() => {
      if (this.#ticks++ % (this.isSlow ? 10 : 1) === 0 && this.#running.size < mostRunning) this.#ask()
    }, 5)
  }

  #ask(): void {
    const stream = this.asked++ % 2 === 0
    const one = this.#pool
      .ask(stream)
      .then((text) => assert.match(text, stream ? /Hi[\s\S]*!"[\s\S]*\[DONE\]\n\n$/ : /"Hi!"/))
      .catch((error: unknown) => {
        this.failed.push(error)
      })
      .finally(() => {
        this.answered++
        this.#running.delete(one)
      })
    this.#running.add(one)
  }

  /** Fulfilled when this many more requests have been answered. */
  async more(count: number): Promise<void> {
    const wanted = this.answered + count
    await eventually(() => this.answered >= wanted)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#running)
  }
}

test('a rolling restart of two routers at 200 requests a second fails no request', async (t) => {
  const clients = new Clients(pool)
  let isLooking = true
  t.after(() => {
    isLooking = false
  })
  const looks = (async () => {
    for (; isLooking; await pause(100)) await pool.look()
  })()
  // A router without clients may exit immediately.
  await clients.more(100)
  for (let round = 0; round < repeats(1, 20); round++) {
    for (const member of pool.members) {
      member.router.child.kill('SIGTERM')
      assert.equal(await member.router.exit, 0)
      await clients.more(20)
      clients.isSlow = true
      const { router, port } = member
      member.router = await startOne(port)
      await router.stop()
      clients.isSlow = false
      await eventually(() => member.ready)
      await clients.more(100)
    }
  }
  isLooking = false
  await clients.stop()
  await looks
  assert.deepEqual(clients.failed, [])
  assert.ok(clients.asked > 300, `${clients.asked} requests`)
})

// The last of these two routers: each test stops one.
test('SIGTERM lets 50 running streams finish, and then the process exits with 0', async () => {
  const [{ router }] = pool.members as [Member, Member] // two were started
  const go = Promise.withResolvers<void>()
  upstream.rescript(() => ({
    kind: 'stream',
    pieces: [openaiChunk({ content: 'Hi' }), go.promise, openaiChunk({}, 'stop'), openaiDone],
  }))
  const streams = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const response = await fetch(router.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-request-id': `running-${index}` },
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
  const lines = router.logs.filter(
    ({ msg, request_id: id }) => msg === 'request' && String(id).startsWith('running-'),
  )
  assert.ok(lines.length === 50 && lines.every(({ outcome }) => outcome === 'success'))
})

test('a second SIGTERM ends the process immediately, whatever is running', async () => {
  const [, { router }] = pool.members as [Member, Member] // two were started
  upstream.rescript({ kind: 'stream', pieces: [openaiChunk({ content: 'Hi' })], ending: 'hang' })
  const asked = upstream.requests.length
  const socket = await openRequest(router.url, path, { model: 'm', stream: true, messages })
  socket.on('error', () => undefined) // the end of the process may arrive as a reset
  await once(socket, 'data')
  router.child.kill('SIGTERM')
  await router.logged(({ msg }) => msg === 'stopping')
  router.child.kill('SIGTERM')
  assert.equal(await router.exit, 1)
  socket.destroy()
  await upstream.requestClosed(asked)
})
