import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadConfig } from '../../src/config/settings/settings.ts'
import { ConfigError } from '../../src/sdk/errors.ts'
import { runCliProcess } from '../cli/run-cli.ts'
import { certificate } from '../helpers/certificates/certificate.ts'
import {
  clientPair,
  expiredPair,
  otherNamePair,
  serverPair,
  testCa,
} from '../helpers/certificates/test-ca.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'

import { openaiServer, openaiText } from '../helpers/scripted-upstream.ts'
import { startRouterFor, startUpstreamFor } from './upstream-setup.ts'

const folder = mkdtempSync(join(tmpdir(), 'llm-router-tls-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}
const caFile = file('ca.pem', testCa)
const certFile = file('client.pem', clientPair.cert)
const keyFile = file('client.key', clientPair.key)
const bothFile = file('client-and-key.pem', clientPair.cert + clientPair.key)

const errors: [
  what: string,
  pair: { key: string; cert: string },
  provider: object,
  code: string,
  words: RegExp,
][] = [
  ['an unknown CA', serverPair, {}, 'TLS_UNKNOWN_CA', /unknown CA/],
  ['a self-signed certificate', certificate, {}, 'TLS_SELF_SIGNED', /self-signed/],
  ['a certificate that has expired', expiredPair, { ca_file: caFile }, 'TLS_CERT_EXPIRED', /has expired/],
  ['a certificate for another name', otherNamePair, { ca_file: caFile }, 'TLS_WRONG_NAME', /wrong name/],
]

for (const [what, pair, provider, code, words] of errors) {
  test(`${what} is reported to the client and in the log, and the target counts as unreachable`, async (t) => {
    const bad = await startUpstreamFor(t, openaiServer('Hi'), { tls: pair })
    const good = await startUpstreamFor(t, openaiText('Hi'))
    const secure = { id: 'bad', api_type: 'vllm', api_host: bad.url, ...provider }
    const router = await startRouterFor(t, {
      alone: [{ ...secure, id: 'alone' }],
      two: [secure, { id: 'good', api_type: 'vllm', api_host: good.url }],
    })
    const { status, text } = await router.ask('alone')
    assert.equal(status, 502)
    const { error } = JSON.parse(text)
    assert.match(error.message, words)
    assert.equal(error.code, 'upstream_unreachable')
    assert.equal(error.debug.cause, code)
    assert.doesNotMatch(text, /localhost|127\.0\.0\.1/)
    const line = await router.logged(({ msg }) => msg === 'request')
    assert.equal(line.error_cause, code)
    assert.match(String(line.error), words)
    const warning = await router.logged(({ msg }) => String(msg).startsWith('cannot connect to a server'))
    assert.match(String(warning.msg), words)
    assert.deepEqual(warning.targets, ['alone', 'bad'])
    assert.equal((await router.ask('two')).status, 200)
    const failover = await router.logged(({ msg }) => msg === 'failover')
    assert.equal(failover.error_cause, code)
    assert.equal(bad.requests.length, 0)
  })
}

test('a failed handshake is reported with its cause: no TLS, no common version, or a closed connection', async (t) => {
  const plain = await startUpstreamFor(t, openaiText('Hi'))
  const old = await startUpstreamFor(t, openaiServer('Hi'), {
    tls: { ...serverPair, maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
  })
  const leaving = createServer((socket) => socket.once('data', () => socket.end()))
  leaving.listen(0, '127.0.0.1')
  await once(leaving, 'listening')
  const { port } = leaving.address() as AddressInfo
  t.after(() => leaving.close())
  const router = await startRouterFor(t, {
    plain: [{ id: 'plain', api_type: 'vllm', api_host: plain.url.replace('http:', 'https:') }],
    old: [{ id: 'old', api_type: 'vllm', api_host: old.url, ca_file: caFile }],
    leaving: [{ id: 'leaving', api_type: 'vllm', api_host: `https://127.0.0.1:${port}` }],
  })
  const words: [model: string, words: RegExp][] = [
    ['plain', /TLS handshake failed: the server (?:does not speak TLS on this port|closed the connection)/],
    ['old', /TLS handshake failed: no common TLS version/],
    ['leaving', /TLS handshake failed: the server closed the connection/],
  ]
  for (const [model, expected] of words) {
    const { error } = JSON.parse((await router.ask(model)).text)
    assert.match(error.message, expected)
    assert.deepEqual([error.code, error.debug.cause], ['upstream_unreachable', 'TLS_HANDSHAKE'])
  }
})

test('ca_file trusts a server with a private CA, for requests and for health checks', async (t) => {
  const upstream = await startUpstreamFor(t, openaiServer('Hi'), { tls: serverPair })
  const router = await startRouterFor(
    t,
    { m: [{ id: 'm', api_type: 'vllm', api_host: upstream.url, ca_file: caFile, health_check: '/alive' }] },
    { LLM_ROUTER_HEALTH_INTERVAL: '0.05' },
  )
  assert.equal((await router.ask('m')).status, 200)
  while (!upstream.requests.some(({ url }) => url === '/alive')) await router.ask('m')
  assert.ok(router.logs.every(({ msg }) => msg !== 'health check'))
})

for (const [what, files] of [
  ['client_cert_file and client_key_file', { client_cert_file: certFile, client_key_file: keyFile }],
  ['client_cert_file with the key in it', { client_cert_file: bothFile }],
] as const) {
  test(`${what}: the router presents its certificate to a server that requests one`, async (t) => {
    const upstream = await startUpstreamFor(t, openaiServer('Hi'), {
      tls: { ...serverPair, ca: testCa, requestCert: true, rejectUnauthorized: true },
    })
    const secure = { api_type: 'vllm', api_host: upstream.url, ca_file: caFile }
    const router = await startRouterFor(t, {
      shown: [{ id: 'shown', ...secure, ...files }],
      hidden: [{ id: 'hidden', ...secure }],
    })
    assert.equal((await router.ask('shown')).status, 200)
    // TLS 1.3: the server rejects the missing certificate after the handshake is complete for the router.
    const { error } = JSON.parse((await router.ask('hidden')).text)
    assert.match(error.message, /TLS handshake failed: the server may want a client certificate/)
    assert.deepEqual([error.code, error.debug.cause], ['upstream_unreachable', 'TLS_HANDSHAKE'])
    const line = await router.logged(({ msg }) => String(msg).startsWith('cannot connect to a server'))
    assert.deepEqual(line.targets, ['hidden'], 'a target with other credentials was named')
    assert.equal(upstream.requests.length, 1, 'a connection of one target was used for the other')
  })
}

test('a TLS file that is missing, empty, invalid, cut, or not matching prevents startup with its path in the error', async () => {
  const otherKey = file('other.key', serverPair.key)
  const cut = file('cut.pem', testCa.slice(0, 200))
  const odd = file('odd.pem', testCa.replace(/MII.{40}/, 'MIIAAAA'))
  const wrong: [provider: object, pattern: RegExp][] = [
    [{ ca_file: 'missing.pem' }, /\.ca_file: cannot read "missing\.pem": no such file \(ENOENT\)/],
    [{ ca_file: file('empty.pem', ' ') }, /\.ca_file: .*is empty/],
    [{ ca_file: file('text.pem', 'hello') }, /\.ca_file: contains no certificate in PEM format/],
    [{ ca_file: cut }, /\.ca_file: contains an incomplete certificate/],
    [{ ca_file: odd }, /\.ca_file: certificate 1 of 1 cannot be read/],
    [{ client_cert_file: certFile }, /\.client_key_file: missing; client_cert_file needs it/],
    [{ client_key_file: keyFile }, /\.client_cert_file: missing; client_key_file needs it/],
    [
      { client_cert_file: certFile, client_key_file: otherKey },
      /\.client_key_file: is not the key of the certificate/,
    ],
    [{ client_cert_file: certFile, client_key_file: caFile }, /\.client_key_file: contains no private key/],
  ]
  for (const [provider, pattern] of wrong) {
    const secure = { id: 'm', api_type: 'vllm', api_host: 'https://localhost', ...provider }
    await assert.rejects(startRouter({ models: modelsConfig({ m: [secure] }) }), (error) => {
      assert.ok(error instanceof ConfigError, String(error))
      assert.match(error.errors.join('\n'), pattern)
      assert.match(error.errors.join('\n'), /models.*\.json:1:\d+: test_models\["m"\]\.providers\[0\]\./)
      assert.doesNotMatch(error.errors.join('\n'), /PRIVATE|MII/)
      return true
    })
  }
})

test('a changed ca_file applies from the next request on, and an invalid one changes nothing', async (t) => {
  const upstream = await startUpstreamFor(t, openaiServer('Hi'), { tls: serverPair })
  const own = file('reloaded.pem', certificate.cert)
  const router = await startRouterFor(t, {
    m: [{ id: 'm', api_type: 'vllm', api_host: upstream.url, ca_file: own }],
  })
  assert.equal((await router.ask('m')).status, 502)
  writeFileSync(own, 'nonsense')
  const refused = await router.logged(({ msg }) => String(msg).includes('the models in use stay in effect'))
  assert.match(String(refused.msg), /providers\[0\]\.ca_file: contains no certificate/)
  writeFileSync(own, testCa)
  await router.logged(({ msg }) => msg === 'models-config.json reloaded')
  assert.equal((await router.ask('m')).status, 200)
})

test('NODE_TLS_REJECT_UNAUTHORIZED=0 is rejected at startup and by check', async () => {
  assert.throws(
    () => loadConfig({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }),
    /NODE_TLS_REJECT_UNAUTHORIZED=0 .*ca_file/,
  )
  for (const command of [[], ['check']]) {
    const { code, stdout, stderr } = await runCliProcess(command, { NODE_TLS_REJECT_UNAUTHORIZED: '0' })
    assert.equal(code, 2)
    const lines = (stdout + stderr).split('\n').filter((line) => line.includes('REJECT_UNAUTHORIZED=0 would'))
    assert.equal(lines.length, 1, stdout + stderr)
  }
  loadConfig({ NODE_TLS_REJECT_UNAUTHORIZED: '1' })
})
