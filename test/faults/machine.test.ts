import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { RawClient } from '../helpers/raw-client.ts'
import { repeats } from '../helpers/repeats.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const mebibyte = 1024 * 1024
const path = '/v1/chat/completions'
const question = { model: 'one', messages }

let upstream: ScriptedUpstream
/** With a budget for bodies, which only its own test comes near. */
let router: RouterProcess

before(async () => {
  upstream = await startUpstream(openaiText('Hi'))
  router = await start({ LLM_ROUTER_BODY_BUDGET: `${256 * mebibyte}` })
})
after(async () => {
  await router.stop()
  await upstream.close()
})

async function start(env: Record<string, string>): Promise<RouterProcess> {
  const models = modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] })
  return await startRouterProcess({ env, models })
}

/** How many files a process has open, and how many it may open. */
function filesOf(pid: number): { open: number; allowed: number } {
  const allowed = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1]
  return { open: readdirSync(`/proc/${pid}/fd`).length, allowed: Number(allowed) }
}

/** Silent connections, including those that the router closes immediately. */
async function silent(url: string, count: number): Promise<Socket[]> {
  const { hostname, port } = new URL(url)
  const opened = Array.from({ length: count }, () => {
    const socket = connect(Number(port), hostname)
    // A reset is one way to be rejected.
    socket.on('error', () => undefined)
    return new Promise<Socket>((resolve) => {
      socket.once('connect', () => resolve(socket))
      socket.once('close', () => resolve(socket))
    })
  })
  return await Promise.all(opened)
}

test('C17 many concurrent bodies of the largest size stay within the body budget, and the rest are rejected', async (t) => {
  router.forgetPeak()
  const before = router.memoryBytes()
  const opening = Buffer.from('{"model":"one","messages":[{"role":"user","content":"')
  const body = Buffer.concat([opening, Buffer.alloc(31 * mebibyte, 'x'), Buffer.from('"}]}')])
  const clients = await Promise.all(
    Array.from({ length: repeats(10, 200) }, () => RawClient.open(router.url)),
  )
  t.after(() => {
    for (const client of clients) client.close()
  })
  const statuses = await Promise.all(
    clients.map(async (client) => {
      client.send(
        `POST ${path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
      )
      const first = await client.answer()
      if (first.status !== 100) return first.status
      client.send(body)
      return (await client.answer()).status
    }),
  )
  const counts = new Map<number, number>()
  for (const status of statuses) counts.set(status, (counts.get(status) ?? 0) + 1)
  assert.deepEqual([...counts.keys()].toSorted(), [200, 503])
  assert.ok((counts.get(200) ?? 0) >= 6, 'at least as many as fit into the share of one client')
  const grown = router.peakBytes() - before
  assert.ok(grown < 1536 * mebibyte, `${Math.round(grown / mebibyte)} MiB more`)
})

test('P13 without a free file descriptor the process survives, ejects no server, and recovers', async (t) => {
  const pid = router.child.pid ?? 0
  assert.equal((await post(router.url + path, question)).status, 200)
  // A client that is already connected; its answer needs a second upstream connection.
  const client = await RawClient.open(router.url)
  t.after(() => client.close())
  const { open, allowed } = filesOf(pid)
  const limited = spawnSync('prlimit', ['--pid', `${pid}`, `--nofile=${open}:`])
  assert.equal(limited.status, 0, String(limited.stderr))
  t.after(() => spawnSync('prlimit', ['--pid', `${pid}`, `--nofile=${allowed}:`]))
  const refused = await silent(router.url, 20)
  const body = JSON.stringify(question)
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
  const running = Promise.withResolvers<void>()
  upstream.rescript(async () => {
    await running.promise
    return openaiText('Hi')
  })
  for (let asked = 0; asked < 6; asked++) client.send(head + body)
  running.resolve()
  for (let answered = 0; answered < 6; answered++) {
    const { status } = await client.answer()
    assert.ok(status === 200 || status === 503, `${status}`)
  }
  for (const socket of refused) socket.destroy()
  spawnSync('prlimit', ['--pid', `${pid}`, `--nofile=${allowed}:`])
  upstream.rescript(openaiText('Hi'))
  assert.equal((await post(router.url + path, question)).status, 200)
  assert.ok(!router.logs.some(({ msg }) => msg === 'internal error'))
})

test('an upload that cannot be stored temporarily is rejected with Retry-After, and other requests are answered', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-uploads-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const missing = join(folder, 'missing')
  const router = await start({ TMPDIR: missing })
  t.after(() => router.stop())
  const upload = (): Promise<Response> => {
    const body = new FormData()
    body.set('model', 'one')
    body.set('file', new Blob(['sound']), 'a.wav')
    return fetch(`${router.url}/v1/audio/transcriptions`, { method: 'POST', body })
  }
  const refused = await upload()
  assert.deepEqual([refused.status, Object(await refused.json()).error.code], [503, 'overloaded'])
  assert.ok(refused.headers.has('retry-after'))
  assert.equal((await post(router.url + path, question)).status, 200)
  mkdirSync(missing)
  assert.equal((await upload()).status, 200)
  assert.ok(!router.logs.some(({ msg }) => msg === 'internal error'))
})

test('a change that came while no file could be opened takes effect as soon as one can', async (t) => {
  const router = await start({ LLM_ROUTER_CONFIG_POLL: '0' })
  t.after(() => router.stop())
  const pid = router.child.pid ?? 0
  const { allowed } = filesOf(pid)
  spawnSync('prlimit', ['--pid', `${pid}`, '--nofile=10:'])
  const two = [{ id: 'two', api_type: 'vllm', api_host: upstream.url }]
  writeFileSync(router.file, JSON.stringify(modelsConfig({ two })))
  await router.logged(({ msg }) => String(msg).includes('EMFILE'))
  spawnSync('prlimit', ['--pid', `${pid}`, `--nofile=${allowed}:`])
  await router.logged(({ added }) => Array.isArray(added) && added.includes('two'))
  assert.equal((await post(router.url + path, { ...question, model: 'two' })).status, 200)
})

test('C5 silent connections do not slow down other clients, and are closed eventually', async (t) => {
  const pid = router.child.pid ?? 0
  const { allowed } = filesOf(pid)
  const count = Math.min(repeats(500, 10_000), Math.floor(allowed / 3) - 100)
  const alone = await p99(router.url, 200)
  const sockets: Socket[] = []
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  const { open } = filesOf(pid)
  while (sockets.length < count) {
    // More connections at a time than the listen backlog holds would be dropped.
    sockets.push(...(await silent(router.url, Math.min(250, count - sockets.length))))
    await eventually(() => filesOf(pid).open >= open + sockets.length - 5)
  }
  const among = await p99(router.url, 200)
  // The reference asks for 10 ms; a shared machine alone can take that long.
  assert.ok(among < alone + 50, `${alone} ms alone, ${among} ms among ${count}`)
  const closed = sockets.map(
    (socket) =>
      new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve()))),
  )
  for (const socket of sockets) socket.resume()
  await Promise.all(closed)
})

async function p99(url: string, count: number): Promise<number> {
  const times: number[] = []
  for (let asked = 0; asked < count; asked++) {
    const startedAt = performance.now()
    assert.equal((await fetch(`${url}/ping`)).status, 200)
    times.push(performance.now() - startedAt)
  }
  return times.toSorted((a, b) => a - b)[Math.floor(count * 0.99)] ?? 0
}

test('P14 a full disk is reported on stdout, in /healthz and by a metric, and like an unread log fails no request', async (t) => {
  const router = await start({ LLM_ROUTER_LOG_FILENAME: '/dev/full', LLM_ROUTER_USE_PROMETHEUS: '1' })
  t.after(() => router.stop())
  for (let asked = 0; asked < 30; asked++) assert.equal((await post(router.url + path, question)).status, 200)
  await router.requestsLogged(30)
  const reports = (): number =>
    router.logs.filter(({ msg }) => String(msg).includes('cannot write /dev/full (ENOSPC)')).length
  assert.equal(reports(), 1)
  const get = async (page: string) => (await fetch(router.url + page)).text()
  assert.match(await get('/healthz'), /"degraded".*the log file cannot be written \(ENOSPC\)/)
  assert.match(await get('/metrics'), /^llm_router_log_file_failed 1$/m)
  assert.equal(reports(), 1, 'reported once')
  router.child.stdout?.destroy()
  for (let asked = 0; asked < 30; asked++) assert.equal((await post(router.url + path, question)).status, 200)
  router.child.kill('SIGTERM')
  assert.equal(await router.exit, 0)
})
