import assert from 'node:assert/strict'
import dns, { type LookupAddress } from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { type TestContext, test } from 'node:test'
import { hostError } from '../../src/config/targets/target-url.ts'
import { type AllLookup, checkedLookup } from '../../src/relay/upstream/checked-lookup.ts'
import { createHttpTransport } from '../../src/relay/upstream/http-transport.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { errorsIn, modelFile } from '../helpers/models-file.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'

const refused = [
  'http://169.254.169.254',
  'http://169.254.169.254./latest/meta-data',
  'https://169.254.0.1:8000/v1',
  'http://2852039166', // decimal
  'http://0xA9FEA9FE', // hexadecimal
  'http://0251.0376.0251.0376', // octal
  'http://169.254.43518', // the last part covers two bytes
  'http://0xa9.254.0251.254', // mixed
  'http://１６９.254.169.254', // full-width digits
  'http://169%2e254%2e169%2e254',
  'http://[::ffff:169.254.169.254]',
  'http://[::ffff:a9fe:a9fe]',
  'http://[0:0:0:0:0:ffff:a9fe:a9fe]:80',
  'http://[64:ff9b::169.254.169.254]',
  'http://[2002:a9fe:a9fe::1]',
  'http://[fe80::1]',
  'http://[febf:ffff::1]',
  'http://[fd00:ec2::254]',
  'http://[fd00:0ec2:0:0::254]',
  'http://[fd20:ce::254]',
  'http://100.100.100.200',
  'http://1684301000',
  'http://[::ffff:100.100.100.200]',
  'http://168.63.129.16',
  'http://192.0.0.192',
]

const allowed = [
  'http://127.0.0.1:8000',
  'http://[::1]:11434',
  'http://localhost',
  'http://10.0.0.1',
  'http://192.168.1.2',
  'http://172.16.0.1',
  'http://100.100.100.201', // Tailscale assigns carrier-grade NAT addresses to machines
  'http://169.253.255.255',
  'http://169.255.0.0',
  'http://[fec0::1]',
  'http://[fd12:3456::1]',
  'http://[::ffff:10.0.0.1]',
  'https://api.example.com',
]

test('S5 a link-local or metadata address is a configuration error, in every notation', () => {
  for (const host of refused) assert.match(hostError(host) ?? '', /link-local or cloud metadata/, host)
  for (const host of allowed) assert.equal(hostError(host), undefined, host)
  const [error = ''] = errorsIn(modelFile({ api_type: 'openai', api_host: 'http://169.254.169.254' }))
  assert.match(error, /api_host: is a link-local.*LLM_ROUTER_ALLOW_LINK_LOCAL/)
  assert.doesNotMatch(error, /169/)
})

test('S5 the router does not start with a link-local or metadata address unless that is allowed', async () => {
  const models = modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: 'http://169.254.1.1' }] })
  await assert.rejects(startRouter({ models }), /LLM_ROUTER_ALLOW_LINK_LOCAL/)
  const router = await startRouter({ models, env: { LLM_ROUTER_ALLOW_LINK_LOCAL: '1' } })
  await router.close()
})

/** A name server that returns these answers in turn. */
function rebinding(...answers: LookupAddress[][]): AllLookup {
  let turn = 0
  return (_name, _options, done) => done(null, answers[Math.min(turn++, answers.length - 1)] ?? [])
}

const loopback = { address: '127.0.0.1', family: 4 }
const metadata = { address: '169.254.169.254', family: 4 }

test('S5 a name that now resolves to a metadata address is not connected to, and kept connections stay', async (t) => {
  const upstream = await startUpstream(openaiText('Hi'))
  const seen: string[] = []
  const lookup = checkedLookup({
    onRefused: (name) => seen.push(name),
    lookup: rebinding([loopback], [metadata]),
  })
  const transport = createHttpTransport({ connectTimeoutMs: 2_000, lookup })
  t.after(() => transport.close())
  t.after(() => upstream.close())
  const origin = `http://models.example:${new URL(upstream.url).port}`
  const ask = (freshSocket: boolean) =>
    new Promise<string>((resolve) => {
      const request = { origin, path: '/v1/x', method: 'POST', headers: {}, body: Buffer.from('{}') } as const
      transport.open(
        { ...request, freshSocket },
        {
          onHeaders: () => undefined,
          onData: () => undefined,
          onEnd: () => resolve('answered'),
          onError: (error) => resolve('code' in error ? String(error.code) : error.message),
        },
      )
    })
  assert.equal(await ask(false), 'answered')
  // undici reuses a connection only some iterations of the event loop after the response.
  for (let turns = 0; turns < 20; turns++) await new Promise(setImmediate)
  assert.equal(await ask(false), 'answered', 'over the same connection, without a DNS query')
  assert.equal(await ask(true), 'LINK_LOCAL_ADDRESS')
  assert.deepEqual([seen, upstream.requests.length], [['models.example'], 2])
})

test('S5 if a name has several addresses, the allowed ones are used', async () => {
  const both = rebinding([metadata, { address: 'fe80::1%eth0', family: 6 }, loopback])
  const lookup = checkedLookup({ onRefused: () => assert.fail('one is allowed'), lookup: both })
  const all = new Promise((resolve) => lookup('h', { all: true }, (_error, found) => resolve(found)))
  assert.deepEqual(await all, [loopback])
  const one = new Promise((resolve) =>
    lookup('h', {}, (_error, address, family) => resolve([address, family])),
  )
  assert.deepEqual(await one, ['127.0.0.1', 4])
})

/** The name resolves to this address for this process, from now to the end of the test. */
function rebind(t: TestContext, hostname: string, address: LookupAddress): void {
  const real = dns.lookup
  const all: AllLookup = (name, options, done) =>
    name === hostname ? done(null, [address]) : real(name, options, done)
  const mocked = t.mock.method(dns, 'lookup', all)
  syncBuiltinESMExports()
  t.after(() => {
    mocked.mock.restore()
    syncBuiltinESMExports()
  })
}

test('S5 the router treats a name that resolves to a metadata address as unreachable, and logs it once', async (t) => {
  const upstream = await startUpstream(openaiText('Hi'))
  t.after(() => upstream.close())
  const { port } = new URL(upstream.url)
  rebind(t, 'rebound.example', metadata)
  const models = modelsConfig({
    bad: [{ id: 'bad', api_type: 'vllm', api_host: `http://rebound.example:${port}` }],
    two: [
      { id: 'bad2', api_type: 'vllm', api_host: `http://rebound.example:${port}` },
      { id: 'good', api_type: 'vllm', api_host: upstream.url },
    ],
  })
  const router = await startRouter({ models })
  t.after(() => router.close())
  const messages = [{ role: 'user', content: 'x' }]
  for (const _again of [1, 2]) {
    const logged = router.requestLogged()
    const { status, text } = await post(`${router.url}/v1/chat/completions`, { model: 'bad', messages })
    assert.deepEqual([status, JSON.parse(text).error.code], [502, 'upstream_unreachable'])
    assert.doesNotMatch(text, /169\.|rebound/)
    assert.equal((await logged).error_cause, 'LINK_LOCAL_ADDRESS')
  }
  const { status } = await post(`${router.url}/v1/chat/completions`, { model: 'two', messages })
  assert.equal(status, 200)
  const lines = router.logs.filter(({ msg }) => String(msg).includes('link-local'))
  assert.equal(lines.length, 1)
  assert.deepEqual(lines[0]?.targets, ['bad', 'bad2'])
  assert.doesNotMatch(JSON.stringify(router.logs), /rebound\.example/)
})

test('S5 with LLM_ROUTER_ALLOW_LINK_LOCAL, names are resolved without the check', async (t) => {
  const upstream = await startUpstream(openaiText('Hi'))
  t.after(() => upstream.close())
  const { port } = new URL(upstream.url)
  const models = modelsConfig({
    one: [{ id: 'one', api_type: 'vllm', api_host: `http://localhost:${port}` }],
  })
  const router = await startRouter({ models, env: { LLM_ROUTER_ALLOW_LINK_LOCAL: '1' } })
  t.after(() => router.close())
  const messages = [{ role: 'user', content: 'x' }]
  const { status } = await post(`${router.url}/v1/chat/completions`, { model: 'one', messages })
  assert.equal(status, 200)
})
