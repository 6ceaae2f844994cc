import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { proxyRule } from '../../src/config/proxy-rule.ts'
import { runCli, runCliProcess } from '../cli/run-cli.ts'
import { serverPair, testCa } from '../helpers/certificates/test-ca.ts'
import { closedPort, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { type ConnectProxyOptions, startConnectProxy } from '../helpers/proxies/connect-proxy.ts'
import { startRouter } from '../helpers/router.ts'

import { openaiServer, openaiText } from '../helpers/scripted-upstream.ts'
import { startRouterFor, startUpstreamFor } from './upstream-setup.ts'

const folder = mkdtempSync(join(tmpdir(), 'llm-router-proxy-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const caFile = join(folder, 'ca.pem')
writeFileSync(caFile, testCa)

async function proxyOf(t: TestContext, options?: ConnectProxyOptions) {
  const proxy = await startConnectProxy(options)
  t.after(() => proxy.close())
  return proxy
}

const portOf = (url: string): number => Number(new URL(url).port)

test('proxy: http and https servers are reached by CONNECT, with the configured credentials, which are never logged', async (t) => {
  const proxy = await proxyOf(t, { credentials: 'me:p@ss/w:rd%' })
  const plain = await startUpstreamFor(t, openaiText('Hi'))
  const secure = await startUpstreamFor(t, openaiServer('Hi'), { tls: serverPair })
  const through = { api_type: 'vllm', proxy: `http://me:\${PROXY_PASSWORD}@127.0.0.1:${proxy.port}` }
  const router = await startRouterFor(
    t,
    {
      plain: [{ id: 'plain', api_host: plain.url, ...through }],
      secure: [{ id: 'secure', api_host: secure.url, ca_file: caFile, ...through }],
    },
    { PROXY_PASSWORD: 'p@ss/w:rd%' },
  )
  for (const model of ['plain', 'secure', 'plain', 'secure'])
    assert.equal((await router.ask(model)).status, 200)
  assert.deepEqual(
    proxy.tunnels.map(({ to }) => to),
    [`127.0.0.1:${portOf(plain.url)}`, `localhost:${portOf(secure.url)}`],
    'a tunnel is kept open',
  )
  assert.equal(proxy.others, 0)
  assert.deepEqual([plain.requests.length, secure.requests.length], [2, 2])
  assert.equal(plain.requests[0]?.headers['proxy-authorization'], undefined)
  assert.doesNotMatch(JSON.stringify(router.logs), /p@ss|p%40ss|bWU6/)
})

test('proxy: a proxy with an https:// address is reached over TLS', async (t) => {
  const proxy = await proxyOf(t, { tls: serverPair })
  const upstream = await startUpstreamFor(t, openaiText('Hi'))
  const secure = await startUpstreamFor(t, openaiServer('Hi'), { tls: serverPair })
  const router = await startRouterFor(t, {
    plain: [{ id: 'plain', api_type: 'vllm', api_host: upstream.url, proxy: proxy.url, ca_file: caFile }],
    secure: [{ id: 'secure', api_type: 'vllm', api_host: secure.url, proxy: proxy.url, ca_file: caFile }],
    wary: [{ id: 'wary', api_type: 'vllm', api_host: upstream.url, proxy: proxy.url }],
  })
  assert.equal((await router.ask('plain')).status, 200)
  assert.equal((await router.ask('secure')).status, 200)
  const { error } = JSON.parse((await router.ask('wary')).text)
  assert.match(error.message, /the proxy cannot be trusted: its TLS certificate is signed by an unknown CA/)
  assert.equal(error.debug.cause, 'PROXY_TLS')
})

test('proxy: a failure at a proxy is reported as a proxy failure, and the target counts as unreachable', async (t) => {
  const good = await startUpstreamFor(t, openaiText('Hi'))
  const dead = await closedPort()
  const wants = await proxyOf(t, { credentials: 'me:secret-of-proxy' })
  const forbids = await proxyOf(t, { refuses: 'HTTP/1.1 403 Forbidden\r\n\r\n' })
  const babbles = await proxyOf(t, { refuses: 'hello\r\n\r\n' })
  const closes = await proxyOf(t, { refuses: '' })
  const works = await proxyOf(t)
  const cases: [proxy: string, host: string, code: string, words: RegExp][] = [
    [dead, good.url, 'PROXY_UNREACHABLE', /the proxy cannot be reached/],
    [wants.url, good.url, 'PROXY_AUTH', /the proxy refused its credentials \(407\)/],
    [`http://me:secret-and-wrong@127.0.0.1:${wants.port}`, good.url, 'PROXY_AUTH', /407/],
    [forbids.url, good.url, 'PROXY_HTTP_403', /the proxy did not connect to it \(403\)/],
    [works.url, dead, 'PROXY_HTTP_502', /the proxy did not connect to it \(502\)/],
    [babbles.url, good.url, 'PROXY_ANSWER', /the proxy sent a response that cannot be read/],
    [closes.url, good.url, 'PROXY_CLOSED', /the proxy closed the connection/],
  ]
  const models = cases.map(([proxy, api_host], index): [string, object[]] => [
    `m${index}`,
    [{ id: `t${index}`, api_type: 'vllm', api_host, proxy }],
  ])
  const router = await startRouterFor(t, Object.fromEntries(models))
  for (const [index, [, , code, words]] of cases.entries()) {
    const { status, text } = await router.ask(`m${index}`)
    const { error } = JSON.parse(text)
    assert.deepEqual([status, error.code, error.debug.cause], [502, 'upstream_unreachable', code])
    assert.match(error.message, words)
    assert.doesNotMatch(text, /127\.0\.0\.1/)
  }
  assert.equal(good.requests.length, 0)
  assert.doesNotMatch(JSON.stringify(router.logs), /secret|c2VjcmV0|bWU6/)
})

test('proxy: a stale tunnel is replaced without a failure', async (t) => {
  const proxy = await proxyOf(t)
  const upstream = await startUpstreamFor(t, openaiText('Hi'))
  const router = await startRouterFor(t, {
    m: [{ id: 'm', api_type: 'vllm', api_host: upstream.url, proxy: proxy.url }],
  })
  assert.equal((await router.ask('m')).status, 200)
  upstream.rescript([{ kind: 'reset' }, openaiText('Hi')])
  assert.equal((await router.ask('m')).status, 200)
  assert.equal(proxy.tunnels.length, 2)
  upstream.rescript({ kind: 'reset' })
  await post(`${router.url}/v1/chat/completions`, { model: 'm', messages })
  const { status } = await router.ask('m')
  assert.equal(status, 502, 'a fresh tunnel that is reset is a failure of its target')
})

test('LLM_ROUTER_UPSTREAM_PROXY applies to addresses outside the local network, and a provider\'s "" disables it', async (t) => {
  const upstream = await startUpstreamFor(t, openaiText('Hi'))
  const proxy = await proxyOf(t, { leadsTo: portOf(upstream.url) })
  const other = await proxyOf(t, { leadsTo: portOf(upstream.url) })
  const of = (api_host: string, more: object = {}) => [{ id: api_host, api_type: 'vllm', api_host, ...more }]
  const router = await startRouterFor(
    t,
    {
      outside: of('http://gpu.example.com:8000'),
      own: of('http://own.example.com:8000', { proxy: other.url }),
      exempt: of('http://gpu.corp.invalid:8000'),
      off: of('http://off.example.invalid:8000', { proxy: '' }),
      local: of(upstream.url),
    },
    { LLM_ROUTER_UPSTREAM_PROXY: proxy.url, LLM_ROUTER_UPSTREAM_NO_PROXY: '.corp.invalid, 10.0.0.0/8' },
  )
  assert.equal((await router.ask('outside')).status, 200)
  assert.equal((await router.ask('own')).status, 200)
  assert.equal((await router.ask('local')).status, 200)
  assert.equal((await router.ask('exempt')).status, 502)
  assert.equal((await router.ask('off')).status, 502)
  assert.deepEqual(
    proxy.tunnels.map(({ to }) => to),
    ['gpu.example.com:8000'],
  )
  assert.deepEqual(
    other.tunnels.map(({ to }) => to),
    ['own.example.com:8000'],
  )
})

test('health checks, discover and check use the same proxy', async (t) => {
  const list = { object: 'list', data: [{ id: 'm', owned_by: 'vllm', max_model_len: 1024 }] }
  const upstream = await startUpstreamFor(t, ({ url }) =>
    url === '/v1/models' || url === '/health'
      ? { kind: 'reply', body: list }
      : { kind: 'reply', status: 404, body: {} },
  )
  const proxy = await proxyOf(t, { leadsTo: portOf(upstream.url) })
  const env = { LLM_ROUTER_UPSTREAM_PROXY: proxy.url }
  await startRouterFor(
    t,
    { m: [{ id: 'm', api_type: 'vllm', api_host: 'http://gpu.example.com:8000' }] },
    { ...env, LLM_ROUTER_HEALTH_INTERVAL: '0.05' },
  )
  await upstream.requestReceived(0)
  assert.equal(upstream.requests[0]?.url, '/health')
  assert.equal(proxy.tunnels[0]?.to, 'gpu.example.com:8000')

  const found = await runCli(['discover', 'http://other.example.com:8001'], env)
  assert.equal(found.code, 0, found.stderr)
  assert.match(found.stdout, /"api_host": "http:\/\/other\.example\.com:8001"/)
  assert.ok(proxy.tunnels.some(({ to }) => to === 'other.example.com:8001'))

  const refusing = await proxyOf(t, { refuses: 'HTTP/1.1 407 No\r\n\r\n' })
  const models = join(folder, 'models.json')
  const provider = { id: 'm', api_type: 'vllm', api_host: 'http://third.example.com:8000' }
  writeFileSync(models, JSON.stringify(modelsConfig({ m: [provider] })))
  const good = await runCli(['check', models], env)
  assert.match(good.stdout, /no errors, 0 warnings\n$/)
  assert.ok(proxy.tunnels.some(({ to }) => to === 'third.example.com:8000'))
  const bad = await runCli(['check', models], { LLM_ROUTER_UPSTREAM_PROXY: refusing.url })
  assert.match(bad.stdout, /warning: test_models\["m"\]\.providers\[0\].*the proxy refused its credentials/)
  assert.equal(bad.code, 0)
})

test('discover and check report what is wrong with the certificate of a server', async (t) => {
  const secure = await startUpstreamFor(t, openaiServer('Hi'), { tls: serverPair })
  const found = await runCli(['discover', secure.url])
  assert.match(found.stderr, /signed by an unknown CA/)
  const models = join(folder, 'secure.json')
  const provider = { id: 'm', api_type: 'vllm', api_host: secure.url }
  const parts = [provider, { ...provider, id: 'trusted', ca_file: caFile }]
  writeFileSync(models, JSON.stringify(modelsConfig({ m: parts })))
  const { stdout } = await runCli(['check', models])
  assert.match(
    stdout,
    /:1:\d+: warning: test_models\["m"\]\.providers\[0\]\.api_host: .*signed by an unknown CA/,
  )
  assert.match(stdout, /no errors, 1 warning\n$/)
})

test('LLM_ROUTER_UPSTREAM_PROXY applies to public hosts except those in LLM_ROUTER_UPSTREAM_NO_PROXY', () => {
  const used = (origin: string, upstreamNoProxy: string[] = []): boolean =>
    proxyRule({ upstreamProxy: 'http://p:1', upstreamNoProxy, allowLinkLocal: false })(origin) !== undefined
  for (const host of [
    'gpu.example.com',
    '8.8.8.8',
    '172.32.0.1',
    '[2001:db8::1]',
    'local.example.com',
    'svc.example.com',
    '169.253.1.1',
    '11.0.0.1',
    'mylocal.net',
    '100.63.255.255',
  ])
    assert.ok(used(`https://${host}`), host)
  for (const host of [
    'localhost',
    'gpu1',
    '127.0.0.1',
    '127.9.9.9',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.1.1',
    '[::1]',
    '[fe80::1]',
    '[fd12::1]',
    '[::ffff:10.0.0.1]',
    'vllm.models.svc',
    'mac.local',
    'vllm.models.svc.cluster.local',
    'GPU1',
    '2130706433',
    'gpu1.',
    'a.svc.',
    '100.64.0.1',
  ])
    assert.ok(!used(`http://${host}:8000`), host)
  const exempt: [origin: string, entry: string][] = [
    ['https://gpu.example.com', '*'],
    ['https://gpu.example.com', 'gpu.example.com'],
    ['https://gpu.example.com', 'example.com'],
    ['https://gpu.example.com', '.example.com'],
    ['https://gpu.example.com', '*.Example.com'],
    ['https://gpu.example.com:8443', 'gpu.example.com:8443'],
    ['https://8.8.8.8', '8.8.8.0/24'],
    ['https://8.8.8.8', '8.8.8.8'],
    ['https://[2001:db8::1]', '2001:db8::/32'],
  ]
  for (const [origin, entry] of exempt) assert.ok(!used(origin, [entry]), `${origin} ${entry}`)
  assert.ok(
    used('https://gpu.example.com', ['ample.com', 'other.example.com', 'gpu.example.com:1', '8.0.0.0/8']),
  )
})

test('an invalid proxy or entry of LLM_ROUTER_UPSTREAM_NO_PROXY prevents startup without showing a secret', async () => {
  const start = await runCliProcess([], { LLM_ROUTER_UPSTREAM_PROXY: 'socks5://me:hunter2@h:1' })
  assert.equal(start.code, 2)
  assert.match(start.stderr, /^LLM_ROUTER_UPSTREAM_PROXY: /)
  assert.doesNotMatch(start.stderr, /hunter2/)
  for (const proxy of [
    'socks5://h:1',
    'proxy:3128',
    'http://me:hunter2@',
    'http://h:1/path',
    'http://169.254.169.254:80',
  ]) {
    const { code, stderr } = await runCli(['check'], { LLM_ROUTER_UPSTREAM_PROXY: proxy })
    assert.equal(code, 2, proxy)
    assert.match(stderr, /^LLM_ROUTER_UPSTREAM_PROXY: /)
    assert.doesNotMatch(stderr, /hunter2/)
    const provider = { id: 'm', api_type: 'vllm', api_host: 'http://h', proxy }
    await assert.rejects(startRouter({ models: modelsConfig({ m: [provider] }) }), (error) => {
      assert.match(String(error), /test_models\["m"\]\.providers\[0\]\.proxy: /)
      assert.doesNotMatch(String(error), /hunter2/)
      return true
    })
  }
  const { stderr } = await runCli(['check'], { LLM_ROUTER_UPSTREAM_NO_PROXY: 'a.example.com, 10.0.0.0/99' })
  assert.match(stderr, /LLM_ROUTER_UPSTREAM_NO_PROXY: "10\.0\.0\.0\/99" is not/)
})
