import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { after, before, test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { startEmbeddings } from '../auto/rig.ts'
import { completion } from '../cache/cache-setup.ts'
import { runCli } from '../cli/run-cli.ts'
import { post, type RawAnswer } from '../helpers/http.ts'
import { bearer, type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { scrape } from '../helpers/metrics.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { lastText, startEcho } from '../processors/echo-upstream.ts'
import { type Folder, tempFolder, writeIndex } from '../retrieval/rig.ts'

const path = '/v1/chat/completions'
const adminKey = 'sk-admin-0123456789abcdef'
const keyOf = (id: string): string => `sk-0123456789abcdef-${id}`
const headersOf = (id: string) => ({ 'content-type': 'application/json', ...bearer(keyOf(id)) })

/** A response with its cache header. */
interface Sent {
  cache: string
  text: string
}
type Send = (method: string, path: string, body?: object) => Promise<Sent>

let folder: Folder
let keys: KeysFile
/** The server of each model. */
let plain: ScriptedUpstream
let numbered: ScriptedUpstream
let echo: ScriptedUpstream
let embeddings: ScriptedUpstream
let router: RouterProcess
/** A connection to each worker. */
let workers: Send[]

before(async () => {
  folder = tempFolder()
  folder.write('pid.ts', `export default async (app) => { app.get('/pid', () => ({ pid: process.pid })) }\n`)
  writeIndex(folder.path, 'docs', ['A holiday takes 20 days.', 'A poem rhymes.'])
  keys = keysFile([
    { id: 'all', key: keyOf('all'), surfaces: ['openai', 'operator'], role: 'admin' },
    { id: 'alice', key: keyOf('alice') },
    { id: 'five', key: keyOf('five'), requests_per_minute: 5 },
    { id: 'tokens', key: keyOf('tokens'), tokens_per_minute: 6_000 },
  ])
  plain = await startUpstream(openaiText('Hi'))
  numbered = await startUpstream((_request, index) => ({
    kind: 'reply',
    body: completion(`Answer ${index}`),
  }))
  echo = await startEcho({ say: () => ({ text: 'Fine.' }) })
  embeddings = await startEmbeddings()
  const model = (name: string, { url }: ScriptedUpstream) => ({
    providers: [{ api_type: 'vllm', api_host: url, model_path: `up-${name}` }],
  })
  const retrieval = { type: 'retrieval', index: 'docs', embedding_model: 'e', clients: ['*'], limit: 1 }
  const mock = { tokens_per_second: 4, reply: 'one two three four' }
  const g = {
    plain: model('plain', plain),
    cached: model('cached', numbered),
    small: model('small', echo),
    large: model('large', echo),
    e: model('e', embeddings),
    slow: { providers: [{ id: 'slow', api_type: 'mock', mock }] },
  }
  router = await startRouterProcess({
    models: {
      auto_model: {
        models: ['small', 'large'],
        embedding_model: 'e',
        examples: { large: ['Some code'], small: ['A poem'] },
      },
      processors: [
        { type: 'cache', models: ['cached'] },
        { ...retrieval, models: ['small', 'large'] },
      ],
      g,
      active_models: { g: Object.keys(g) },
    },
    env: {
      ...keys.env,
      LLM_ROUTER_EXTENSIONS: `${folder.path}/pid.ts`,
      LLM_ROUTER_INDEX_DIR: folder.path,
      LLM_ROUTER_SERVER_TYPE: 'cluster',
      LLM_ROUTER_SERVER_WORKERS_COUNT: '2',
      LLM_ROUTER_ADMIN_KEY: adminKey,
      LLM_ROUTER_DATABASE_URL: databaseUrl(),
      LLM_ROUTER_USE_PROMETHEUS: '1',
    },
  })
  await router.listening(2)
  const found = new Map<number, Send>()
  const signal = AbortSignal.timeout(10_000)
  while (found.size < 2) {
    signal.throwIfAborted()
    const send = connect()
    const { pid }: { pid: number } = JSON.parse((await send('GET', '/pid')).text)
    if (!found.has(pid)) found.set(pid, send)
  }
  workers = [...found.values()]
})
after(async () => {
  await router.stop()
  for (const server of [plain, numbered, echo, embeddings]) await server.close()
  keys.remove()
  folder.remove()
})

const databaseUrl = (): string => `sqlite:${folder.path}/router.db`

/** All requests use one connection, so they go to one worker. */
function connect(): Send {
  const { hostname: host, port } = new URL(router.url)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return (method, to, body) =>
    new Promise((resolve, reject) => {
      const options = { host, port, method, path: to, agent, headers: headersOf('all') }
      const sent = request(options, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve({ cache: String(response.headers['x-llm-router-cache']), text })
      })
      sent.once('error', reject)
      sent.end(body && JSON.stringify(body))
    })
}

const ask = (id: string): Promise<RawAnswer> =>
  post(router.url + path, { model: 'plain', messages }, headersOf(id))

const served = (answers: readonly RawAnswer[]): RawAnswer[] => answers.filter(({ status }) => status === 200)

test('S28 the processes of a cluster share the limits of a key, and the key has its metrics', async () => {
  const failures = async (): Promise<number> => {
    const series = await scrape(router.url, bearer(keyOf('all')))
    return series.sum('llm_router_login_failures_total', { reason: 'missing' })
  }
  const before = await failures()
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask('five')))
  assert.equal(served(answers).length, 5)
  assert.equal((await post(router.url + path, { model: 'plain', messages })).status, 401)
  for (const { headers } of served(answers))
    await router.logged(({ msg, request_id: id }) => msg === 'request' && id === headers.get('x-request-id'))
  const series = await scrape(router.url, bearer(keyOf('all')))
  const sum = (name: string, labels: Record<string, string>) => series.sum(`llm_router_${name}`, labels)
  assert.equal(sum('client_requests_total', { client: 'five', outcome: 'success' }), 5)
  assert.equal(sum('client_refusals_total', { client: 'five', reason: 'requests' }), 35)
  assert.equal(sum('login_failures_total', { reason: 'missing' }), before + 1)
})

// test/security/token-limits.test.ts covers one process, and processes with the same Redis.
test('S28 the processes of a cluster share token reservations', async () => {
  const opened = Promise.withResolvers<void>()
  plain.rescript(async () => {
    await opened.promise
    const usage = { prompt_tokens: 100, completion_tokens: 500, total_tokens: 600 }
    return { kind: 'reply', body: { ...completion('Hi'), usage } }
  })
  let refused = 0
  const answers = await Promise.all(
    Array.from({ length: 60 }, async () => {
      const answer = await ask('tokens')
      if (answer.status === 429 && ++refused === 50) opened.resolve()
      return answer
    }),
  )
  plain.rescript(openaiText('Hi'))
  const count = served(answers).length
  assert.ok(count >= 8 && count <= 10, `${count}`)
})

test('workers share cached responses and remove them together', async () => {
  const [one, other] = workers
  assert.ok(one && other)
  const question = { model: 'cached', messages: [{ role: 'user', content: 'What is it?' }] }
  const askFor = (send: Send) => send('POST', path, question)
  assert.equal((await askFor(one)).cache, 'miss')
  assert.equal((await askFor(one)).cache, 'hit')
  const signal = AbortSignal.timeout(10_000)
  // The primary may receive the response after the next request.
  while ((await askFor(other)).cache !== 'hit') signal.throwIfAborted()
  assert.ok(numbered.requests.length <= 2)
  const metrics = await scrape(router.url, bearer(keyOf('all')))
  assert.equal(metrics.sum('llm_router_cache_answers'), 1)
  assert.ok(metrics.sum('llm_router_cache_requests_total', { model: 'cached', outcome: 'hit' }) >= 2)
  assert.deepEqual(JSON.parse((await other('DELETE', '/api/cache?model=cached')).text), { removed: 1 })
  assert.equal((await askFor(one)).cache, 'miss')
})

test('in a cluster a session is valid in each process, and signing out ends it in each', async () => {
  const address = `${router.url}/api/session`
  const signedIn = await fetch(address, { method: 'POST', headers: bearer(adminKey) })
  assert.equal(signedIn.status, 200, await signedIn.text())
  const cookie = (signedIn.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
  const status = async (init: RequestInit): Promise<number> => {
    const response = await fetch(address, init)
    await response.text()
    return response.status
  }
  // Each request has its own connection, which either process may accept.
  const statuses = async (): Promise<number[]> => {
    const all: number[] = []
    for (let count = 0; count < 20; count++)
      all.push(await status({ headers: { cookie, connection: 'close' } }))
    return [...new Set(all)]
  }
  assert.deepEqual(await statuses(), [200])
  assert.equal(await status({ method: 'DELETE', headers: { cookie, origin: router.url } }), 204)
  assert.deepEqual(await statuses(), [401])
})

test('each worker of a cluster routes auto, finds passages and uses a new index without a restart', async () => {
  const sent = () => {
    const { body } = echo.requests.at(-1) ?? assert.fail('no chat request reached the upstream')
    return { model: isObject(body) ? body.model : undefined, text: lastText(body) }
  }
  const asks = workers.map((send) => async (content: string) => {
    const { text } = await send('POST', path, { model: 'auto', messages: [{ role: 'user', content }] })
    return text
  })
  for (const about of asks) {
    assert.match(await about('Which code has a holiday?'), /"sources":\[\{"number":1,"retrieval":"retrieval"/)
    assert.equal(sent().model, 'up-large')
    assert.match(sent().text, /A holiday takes 20 days\./)
    await about('Write a poem')
    assert.equal(sent().model, 'up-small')
    assert.match(sent().text, /A poem rhymes\./)
  }
  writeIndex(folder.path, 'docs', ['A holiday takes 26 days.'])
  for (const about of asks) {
    await about('How long is a holiday?')
    assert.match(sent().text, /A holiday takes 26 days\./)
  }
  // An index made with another embedding model is not used.
  writeIndex(folder.path, 'docs', ['A holiday takes 0 days.'], 'other')
  for (const about of asks) {
    await about('How long is a holiday?')
    assert.match(sent().text, /A holiday takes 26 days\./)
  }
  await router.logged(({ msg }) => /updated index rejected/.test(String(msg)))
})

// The last test: it ends the cluster. test/teams/usage.test.ts covers a single process.
test('SIGTERM loses no usage, including that of running requests, with 2 worker(s)', async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask('alice')))
  assert.equal(served(answers).length, 10)
  const running = await Promise.all(
    Array.from({ length: 10 }, () =>
      fetch(router.url + path, {
        method: 'POST',
        headers: headersOf('alice'),
        body: JSON.stringify({ model: 'slow', stream: true, messages }),
      }),
    ),
  )
  router.child.kill('SIGTERM')
  for (const answer of running) assert.match(await answer.text(), /\[DONE\]/)
  assert.equal(await router.exit, 0)
  const { stdout } = await runCli(['usage', 'by=client,model'], { LLM_ROUTER_DATABASE_URL: databaseUrl() })
  assert.deepEqual(
    JSON.parse(stdout)
      .filter(({ client }: Record<string, unknown>) => client === 'alice')
      .map(({ model, requests }: Record<string, unknown>) => [model, requests]),
    [
      ['plain', 10],
      ['slow', 10],
    ],
  )
})
