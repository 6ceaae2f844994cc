import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
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
import { scrape } from '../helpers/metrics.ts'
import { startRouter, type TestRouter, type TestRouterOptions } from '../helpers/router.ts'

interface Server {
  port: number
  /** `Host` of each request, with the TLS server name. */
  hosts: string[]
  /** What the next requests wait for. */
  hold: Promise<void> | undefined
}

/** An OpenAI server at one of the loopback addresses. */
async function modelServer(t: TestContext, address: string, { port = 0, tls = false } = {}): Promise<Server> {
  const state: Server = { port, hosts: [], hold: undefined }
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const servername = 'servername' in request.socket ? ` ${request.socket.servername}` : ''
    request.resume()
    await once(request, 'end')
    if (request.url === '/v1/models') {
      response.end(JSON.stringify({ data: [{ id: `at-${address}` }, { id: 'both' }] }))
      return
    }
    state.hosts.push(`${request.headers.host}${servername}`)
    await state.hold
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({
        choices: [{ index: 0, message: { role: 'assistant', content: address }, finish_reason: 'stop' }],
      }),
    )
  }
  const server = tls ? createSecureServer(serverPair, answer) : createServer(answer)
  server.listen(port, address)
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  state.port = (server.address() as AddressInfo).port // it listens on a port
  return state
}

/** Names that resolve to a list of addresses which the test changes. */
function names(addresses: { [name: string]: string[] }): NonNullable<TestRouterOptions['lookup']> {
  return (hostname, _options, done) => {
    const found = addresses[hostname]
    if (found?.length)
      done(
        null,
        found.map((address) => ({ address, family: 4 })),
      )
    else done(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), [])
  }
}

async function router(t: TestContext, options: TestRouterOptions): Promise<TestRouter> {
  const started = await startRouter({
    ...options,
    env: { LLM_ROUTER_DNS_INTERVAL: '0.2', ...options.env },
  })
  t.after(() => started.close())
  return started
}

function id(address: string): string {
  return `gpus/${createHash('sha256').update(address).digest('hex').slice(0, 8)}`
}

function config(port: number, more: object = {}): object {
  return {
    servers: [
      { id: 'gpus', api_type: 'vllm', api_host: `http://gpus.test:${port}`, addresses: 'all', ...more },
    ],
    g: { m: { providers: [{ server: 'gpus' }] } },
    active_models: { g: ['m'] },
  }
}

const ask = { model: 'm', messages }

function targets({ app }: TestRouter, model = 'm'): string[] {
  return app.models.find(model)?.targets.map((target) => target.id) ?? []
}

function changed({ logged }: TestRouter, kind: 'added' | 'removed', address: string): Promise<unknown> {
  return logged(({ [kind]: ids }) => Array.isArray(ids) && ids.includes(id(address)))
}

async function answers({ url }: TestRouter, count: number): Promise<Set<string>> {
  const contents = new Set<string>()
  for (let asked = 0; asked < count; asked++) {
    const { status, text } = await post(`${url}/v1/chat/completions`, ask)
    assert.equal(status, 200, text)
    contents.add(JSON.parse(text).choices[0].message.content)
  }
  return contents
}

test('each address of a host name is a target, and requests keep the host name', async (t) => {
  const one = await modelServer(t, '127.0.0.2')
  const two = await modelServer(t, '127.0.0.3', { port: one.port })
  const started = await router(t, {
    models: config(one.port),
    lookup: names({ 'gpus.test': ['127.0.0.3', '127.0.0.2'] }),
  })
  assert.deepEqual(targets(started), [id('127.0.0.2'), id('127.0.0.3')])
  assert.deepEqual(await answers(started, 4), new Set(['127.0.0.2', '127.0.0.3']))
  assert.deepEqual(new Set([...one.hosts, ...two.hosts]), new Set([`gpus.test:${one.port}`]))
})

test('new addresses are used, removed ones finish their requests, and a failed lookup changes nothing', async (t) => {
  const one = await modelServer(t, '127.0.0.2')
  await modelServer(t, '127.0.0.3', { port: one.port })
  const addresses: { [name: string]: string[] } = { 'gpus.test': ['127.0.0.2'] }
  const started = await router(t, { models: config(one.port), lookup: names(addresses) })
  const release = Promise.withResolvers<void>()
  one.hold = release.promise
  const running = post(`${started.url}/v1/chat/completions`, ask)
  const target = started.app.models.find('m')?.targets[0]
  addresses['gpus.test'] = ['127.0.0.2', '127.0.0.3']
  await changed(started, 'added', '127.0.0.3')
  assert.equal(started.app.models.find('m')?.targets[0], target)
  addresses['gpus.test'] = ['127.0.0.3']
  await changed(started, 'removed', '127.0.0.2')
  assert.deepEqual(await answers(started, 3), new Set(['127.0.0.3']))
  release.resolve()
  assert.equal((await running).status, 200)
  let failed = 0
  addresses['gpus.test'] = []
  const { promise: twice, resolve } = Promise.withResolvers<void>()
  Object.defineProperty(addresses, 'gpus.test', {
    get: () => {
      if (++failed === 3) resolve()
      return []
    },
  })
  await twice
  assert.deepEqual(targets(started), [id('127.0.0.3')])
  assert.deepEqual(await answers(started, 1), new Set(['127.0.0.3']))
})

test('over TLS, the certificate is checked for the host name, which SNI carries', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-ca-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const caFile = join(folder, 'ca.pem')
  writeFileSync(caFile, testCa)
  const one = await modelServer(t, '127.0.0.2', { tls: true })
  const good = await router(t, {
    models: config(one.port, { api_host: `https://localhost:${one.port}`, ca_file: caFile }),
    lookup: names({ localhost: ['127.0.0.2'] }),
  })
  await answers(good, 1)
  assert.deepEqual(one.hosts, [`localhost:${one.port} localhost`])
  const wrong = await router(t, {
    models: config(one.port, { api_host: `https://gpus.test:${one.port}`, ca_file: caFile }),
    lookup: names({ 'gpus.test': ['127.0.0.2'] }),
    env: { LLM_ROUTER_IN_DEBUG: '1' },
  })
  const { status, text } = await post(`${wrong.url}/v1/chat/completions`, ask)
  assert.equal(status, 502)
  assert.equal(JSON.parse(text).error.debug.cause, 'TLS_WRONG_NAME')
})

test('each address is asked for its own models', async (t) => {
  const one = await modelServer(t, '127.0.0.2')
  await modelServer(t, '127.0.0.3', { port: one.port })
  const { servers } = config(one.port, { models: '*' }) as { servers: object[] }
  const started = await router(t, {
    models: { servers },
    lookup: names({ 'gpus.test': ['127.0.0.2', '127.0.0.3'] }),
  })
  assert.deepEqual(targets(started, 'at-127.0.0.2'), [id('127.0.0.2')])
  assert.deepEqual(targets(started, 'at-127.0.0.3'), [id('127.0.0.3')])
  assert.deepEqual(targets(started, 'both'), [id('127.0.0.2'), id('127.0.0.3')])
})

test('addresses are visible only to operators in the status, and absent from log and metrics', async (t) => {
  const one = await modelServer(t, '127.0.0.2')
  const started = await router(t, {
    models: config(one.port),
    lookup: names({ 'gpus.test': ['127.0.0.2'] }),
    env: { LLM_ROUTER_ADMIN_KEY: 'operator-key-0123456789', LLM_ROUTER_USE_PROMETHEUS: '1' },
  })
  await answers(started, 1)
  const read = async (headers: Record<string, string>): Promise<string> =>
    (await fetch(`${started.url}/api/status`, { headers })).text()
  assert.doesNotMatch(await read({}), /127\.0\.0\.2/)
  const status = JSON.parse(await read({ authorization: 'Bearer operator-key-0123456789' }))
  assert.equal(status.models[0].targets[0].address, '127.0.0.2')
  assert.doesNotMatch(JSON.stringify(started.logs), /127\.0\.0\.2/)
  assert.doesNotMatch((await scrape(started.url)).names.join(), /127\.0\.0\.2/)
})

test('metrics name 200 targets of a server; the rest are counted as other', async (t) => {
  const addresses = Array.from({ length: 230 }, (_, index) => `127.0.1.${index + 1}`)
  const started = await router(t, {
    models: config(9),
    lookup: names({ 'gpus.test': addresses }),
    env: { LLM_ROUTER_USE_PROMETHEUS: '1', LLM_ROUTER_DNS_INTERVAL: '60' },
  })
  const usable = (await scrape(started.url)).names.filter((name) =>
    name.startsWith('llm_router_target_usable{'),
  )
  assert.equal(usable.length, 201)
  assert.equal(usable.filter((name) => name.includes('target="other"')).length, 1)
})
