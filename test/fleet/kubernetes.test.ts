import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { serverPair, testCa } from '../helpers/certificates/test-ca.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { startRouterProcess } from '../helpers/router-process.ts'

type Slice = { metadata: { name: string; resourceVersion?: string } } & Record<string, unknown>

const slicesPath = '/apis/discovery.k8s.io/v1/namespaces/models/endpointslices'

/** An API server with the EndpointSlices of one Service: paginated lists, watches from a version, bookmarks, expiry. */
class FakeApi {
  readonly slices = new Map<string, Slice>()
  readonly lists: URL[] = []
  readonly watches: URL[] = []
  readonly tokens: (string | undefined)[] = []
  port = 0
  /** Status returned for every request. */
  status: number | undefined
  pageSize = 500
  #version = 100
  /** Watches from before this version are rejected. */
  #oldest = 0
  readonly #events: { version: number; line: string }[] = []
  readonly #open = new Set<ServerResponse>()
  readonly #waiting: { wanted: () => boolean; resolve: () => void }[] = []
  readonly #server = createSecureServer(serverPair, (request, response) => this.#answer(request, response))

  async start(t: TestContext): Promise<void> {
    this.#server.listen(this.port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port // it listens on a port
    t.after(() => this.stop())
  }

  stop(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  put(slice: Slice): void {
    const type = this.slices.has(slice.metadata.name) ? 'MODIFIED' : 'ADDED'
    const version = ++this.#version
    const object = { ...slice, metadata: { ...slice.metadata, resourceVersion: `${version}` } }
    this.slices.set(slice.metadata.name, object)
    this.#emit(version, { type, object })
  }

  remove(name: string): void {
    const version = ++this.#version
    const object = { ...this.slices.get(name), metadata: { name, resourceVersion: `${version}` } }
    this.slices.delete(name)
    this.#emit(version, { type: 'DELETED', object })
  }

  bookmark(): void {
    this.#emit(++this.#version, {
      type: 'BOOKMARK',
      object: { kind: 'EndpointSlice', metadata: { resourceVersion: `${this.#version}` } },
    })
  }

  /** No watch may continue from a version before this moment; open watches get the error. */
  expire(): void {
    this.#oldest = ++this.#version
    for (const response of this.#open)
      response.end(
        `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } })}\n`,
      )
  }

  /** Ends the open watches, as their timeout does. */
  endWatches(): void {
    // After the second piece of the last event.
    setImmediate(() =>
      setImmediate(() => {
        for (const response of this.#open) response.end()
      }),
    )
  }

  until(wanted: () => boolean): Promise<void> {
    if (wanted()) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ wanted, resolve }))
  }

  #emit(version: number, event: object): void {
    const line = `${JSON.stringify(event)}\n`
    this.#events.push({ version, line })
    // In two pieces: a line need not arrive whole.
    for (const response of this.#open) {
      response.write(line.slice(0, 20))
      setImmediate(() => response.write(line.slice(20)))
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', 'https://api')
    this.tokens.push(request.headers.authorization)
    response.setHeader('content-type', 'application/json')
    const isWatch = url.searchParams.get('watch') === '1'
    ;(isWatch ? this.watches : this.lists).push(url)
    if (this.status !== undefined) response.writeHead(this.status).end('{}')
    else if (
      url.pathname !== slicesPath ||
      url.searchParams.get('labelSelector') !== 'kubernetes.io/service-name=vllm'
    )
      response.writeHead(404).end('{}')
    else if (isWatch) this.#watch(url, response)
    else this.#list(url, response)
    for (const { wanted, resolve } of this.#waiting) if (wanted()) resolve()
  }

  #list(url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get('continue') ?? 0)
    const all = [...this.slices.values()]
    const next = from + this.pageSize
    response.end(
      JSON.stringify({
        kind: 'EndpointSliceList',
        metadata: {
          resourceVersion: `${this.#version}`,
          ...(next < all.length ? { continue: `${next}` } : {}),
        },
        items: all.slice(from, next),
      }),
    )
  }

  #watch(url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get('resourceVersion'))
    if (from < this.#oldest) {
      response.writeHead(410).end(JSON.stringify({ kind: 'Status', code: 410, reason: 'Expired' }))
      return
    }
    response.flushHeaders()
    for (const { version, line } of this.#events) if (version > from) response.write(line)
    this.#open.add(response)
    response.once('close', () => this.#open.delete(response))
  }
}

interface Pod {
  name: string
  address: string
  conditions?: object
}

function slice(name: string, port: number, ...pods: Pod[]): Slice {
  return {
    metadata: { name },
    addressType: 'IPv4',
    ports: [
      { name: 'metrics', port: 9 },
      { name: 'http', port },
    ],
    endpoints: pods.map(({ name: pod, address, conditions = { ready: true } }) => ({
      addresses: [address],
      conditions,
      targetRef: { kind: 'Pod', name: pod },
    })),
  }
}

/** A model server at an address, on the port that all pods have. */
async function pod(t: TestContext, address: string, port = 0): Promise<number> {
  const server = createServer(async (request, response) => {
    request.resume()
    await once(request, 'end')
    response.setHeader('content-type', 'application/json')
    if (request.url === '/v1/models') {
      response.end(JSON.stringify({ data: [{ id: 'llama' }] }))
      return
    }
    const message = { role: 'assistant', content: `${address} ${request.headers.host}` }
    response.end(JSON.stringify({ choices: [{ index: 0, message, finish_reason: 'stop' }] }))
  })
  server.listen(port, address)
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port // it listens on a port
}

interface Account {
  env: Record<string, string>
  token: string
}

function account(t: TestContext, { port }: FakeApi): Account {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-account-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const token = join(folder, 'token')
  writeFileSync(token, 'token-1\n')
  writeFileSync(join(folder, 'ca.crt'), testCa)
  return {
    token,
    env: {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: `${port}`,
      LLM_ROUTER_KUBERNETES_ACCOUNT_DIR: folder,
    },
  }
}

const models = {
  servers: [
    { id: 'k', api_type: 'vllm', kubernetes: { namespace: 'models', service: 'vllm', port: 'http' } },
  ],
  g: { m: { providers: [{ server: 'k' }] } },
  active_models: { g: ['m'] },
}

async function started(t: TestContext, api: FakeApi, config: object = models): Promise<TestRouter & Account> {
  const service = account(t, api)
  const router = await startRouter({ models: config, env: service.env })
  t.after(() => router.close())
  return { ...router, ...service }
}

function targets({ app }: Pick<TestRouter, 'app'>, model = 'm'): string[] {
  return app.models.find(model)?.targets.map(({ id }) => id) ?? []
}

function changed(
  { logged }: Pick<TestRouter, 'logged'>,
  kind: 'added' | 'removed',
  id: string,
): Promise<unknown> {
  return logged(({ [kind]: ids }) => Array.isArray(ids) && ids.includes(id))
}

const ask = { model: 'm', messages }

async function content({ url }: Pick<TestRouter, 'url'>, model = 'm'): Promise<string> {
  const { status, text } = await post(`${url}/v1/chat/completions`, { ...ask, model })
  assert.equal(status, 200, text)
  return JSON.parse(text).choices[0].message.content
}

async function api(t: TestContext): Promise<FakeApi> {
  const fake = new FakeApi()
  await fake.start(t)
  return fake
}

test('the ready pods of all slices of a Service are targets, reached at the named port', async (t) => {
  const fake = await api(t)
  fake.pageSize = 1
  const port = await pod(t, '127.0.0.2')
  fake.put(
    slice(
      'one',
      port,
      { name: 'pod-a', address: '127.0.0.2', conditions: {} },
      { name: 'pod-b', address: '127.0.0.3', conditions: { ready: false } },
      { name: 'pod-c', address: '127.0.0.4', conditions: { ready: true, serving: true, terminating: true } },
    ),
  )
  fake.put(
    slice(
      'two',
      port,
      { name: 'pod-d', address: '127.0.0.5', conditions: { ready: null } },
      { name: 'pod-a', address: '127.0.0.2' },
    ),
  )
  fake.put({ ...slice('v6', port, { name: 'pod-a', address: '::1' }), addressType: 'IPv6' })
  const router = await started(t, fake)
  assert.deepEqual(targets(router), ['k/pod-a', 'k/pod-d'])
  assert.equal(await content(router), '127.0.0.2 vllm.models.svc')
  assert.deepEqual(fake.tokens[0], 'Bearer token-1')
  assert.equal(fake.lists.length, 3)
})

test('pods are added and removed by watch events, and a new watch continues where the last one ended', async (t) => {
  const fake = await api(t)
  const port = await pod(t, '127.0.0.2')
  fake.put(slice('one', port, { name: 'pod-a', address: '127.0.0.2' }))
  const router = await started(t, fake)
  await fake.until(() => fake.watches.length === 1)
  assert.equal(fake.watches[0]?.searchParams.get('allowWatchBookmarks'), 'true')
  fake.put(slice('two', port, { name: 'pod-b', address: '127.0.0.3' }))
  await changed(router, 'added', 'k/pod-b')
  fake.remove('two')
  await changed(router, 'removed', 'k/pod-b')
  fake.bookmark()
  writeFileSync(router.token, 'token-2')
  fake.endWatches()
  await fake.until(() => fake.watches.length === 2)
  assert.equal(fake.watches[1]?.searchParams.get('resourceVersion'), '104')
  assert.equal(fake.tokens.at(-1), 'Bearer token-2')
  assert.equal(fake.lists.length, 1)
})

test('a watch that has expired starts again with a list', async (t) => {
  const fake = await api(t)
  const port = await pod(t, '127.0.0.2')
  fake.put(slice('one', port, { name: 'pod-a', address: '127.0.0.2' }))
  const router = await started(t, fake)
  await fake.until(() => fake.watches.length === 1)
  fake.expire()
  await fake.until(() => fake.watches.length === 2)
  assert.equal(fake.lists.length, 2)
  fake.put(slice('two', port, { name: 'pod-b', address: '127.0.0.3' }))
  await changed(router, 'added', 'k/pod-b')
})

test('the last known pods stay in use while the API server is unreachable, and changes are caught up afterwards', async (t) => {
  const fake = await api(t)
  const port = await pod(t, '127.0.0.2')
  fake.put(slice('one', port, { name: 'pod-a', address: '127.0.0.2' }))
  const router = await started(t, fake)
  await fake.until(() => fake.watches.length === 1)
  fake.stop()
  await router.logged(({ msg }) => String(msg).startsWith('the Kubernetes API cannot be watched'))
  assert.equal(await content(router), '127.0.0.2 vllm.models.svc')
  const back = new FakeApi()
  back.port = fake.port
  back.status = 503
  await back.start(t)
  await back.until(() => back.lists.length > 0)
  assert.deepEqual(targets(router), ['k/pod-a'])
  back.put(slice('one', port, { name: 'pod-b', address: '127.0.0.2' }))
  back.status = undefined
  await changed(router, 'added', 'k/pod-b')
  assert.deepEqual(targets(router), ['k/pod-b'])
})

test('without a ready pod, terminating pods that still serve are used', async (t) => {
  const fake = await api(t)
  const port = await pod(t, '127.0.0.2')
  const conditions = { ready: false, serving: true, terminating: true }
  fake.put(slice('one', port, { name: 'pod-a', address: '127.0.0.2', conditions }))
  const router = await started(t, fake)
  assert.deepEqual(targets(router), ['k/pod-a'])
})

test('missing watch permission of the service account is logged, and the router starts without pods', async (t) => {
  const fake = await api(t)
  fake.status = 403
  const router = await started(t, fake)
  const line = await router.logged(({ msg }) => String(msg).includes('does not let the service account'))
  assert.deepEqual([line.namespace, line.service, line.error_cause], ['models', 'vllm', 'HTTP_403'])
  const { status } = await post(`${router.url}/v1/chat/completions`, ask)
  assert.equal(status, 503)
})

test('in a cluster one process watches, and every worker has the pods', async (t) => {
  const fake = await api(t)
  const port = await pod(t, '127.0.0.2')
  fake.put(slice('one', port, { name: 'pod-a', address: '127.0.0.2' }))
  const { env } = account(t, fake)
  const router = await startRouterProcess({
    models: { servers: [{ ...models.servers[0], models: '*' }] },
    env: { ...env, LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: '2' },
  })
  t.after(() => router.stop())
  await router.listening(2)
  for (let count = 0; count < 4; count++)
    assert.equal(await content(router, 'llama'), '127.0.0.2 vllm.models.svc')
  assert.deepEqual([fake.lists.length, fake.watches.length], [1, 1])
})
