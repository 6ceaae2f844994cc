import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { nodeError, nodeFloors } from '../../src/runtime/node-floor.js'
import { certificate } from '../helpers/certificates/certificate.ts'
import { childEnv } from '../helpers/child-env.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { errorsIn, modelFile, targetOf } from '../helpers/models-file.ts'
import { startRouter } from '../helpers/router.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'

const root = join(import.meta.dirname, '../..')

test('S19 the configuration is data: only what is meant for it is executed, read or expanded', () => {
  const texts = [
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that it stays unexpanded is the claim
    '${HOME}',
    '$(id)',
    '`id`',
    '{{constructor}}',
    'file:///etc/passwd',
    '#{1+1}',
    '<%= 1 %>',
    '!!js/function',
  ]
  for (const text of texts) {
    assert.equal(targetOf({ model_path: text }, { env: { HOME: '/canary' } }).upstreamModel, text)
  }
  for (const host of [
    'file:///etc/passwd',
    'javascript:alert(1)',
    'data:,x',
    'unix:/run/x.sock',
    'ftp://h',
    'h:8000',
  ]) {
    const [error = ''] = errorsIn(modelFile({ api_type: 'openai', api_host: host }))
    assert.match(error, /is not an http:\/\/ or https:\/\/ address/, host)
  }
  assert.match(
    errorsIn(modelFile({ api_type: 'openai', api_host: 'http://user:pw@h' }))[0] ?? '',
    /user name/,
  )
  const polluted =
    '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"active_models":{}}'
  errorsIn(polluted)
  assert.equal('polluted' in {}, false)
})

test('S27 an upstream with an untrusted certificate or outdated TLS gets no request', async (t) => {
  let received = 0
  const start = async (options: object): Promise<TlsServer> => {
    const server = createTlsServer({ ...certificate, ...options }, () => received++).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    return server
  }
  const servers = [await start({}), await start({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })]
  const providers = servers.map((server, index): [string, object[]] => {
    const { port } = server.address() as AddressInfo // it listens on a port
    return [`m${index}`, [{ id: `t${index}`, api_type: 'vllm', api_host: `https://localhost:${port}` }]]
  })
  const own = await startRouter({ models: modelsConfig(Object.fromEntries(providers)) })
  t.after(() => own.close())
  for (const [model] of providers) {
    const answer = await post(`${own.url}/v1/chat/completions`, {
      model,
      messages,
    })
    assert.equal(answer.status, 502, answer.text)
    // The error is named, the server is not.
    assert.match(answer.text, /TLS/)
    assert.doesNotMatch(answer.text, /localhost|127\.0\.0\.1|:\d{4}/i)
  }
  const causes = own.logs.filter(({ msg }) => msg === 'request').map((line) => line.error_cause)
  assert.deepEqual(causes, ['TLS_SELF_SIGNED', 'TLS_HANDSHAKE'])
  assert.equal(received, 0)
})

interface Lock {
  packages: Record<
    string,
    { version?: string; integrity?: string; hasInstallScript?: boolean; link?: boolean }
  >
}

function lockedPackages(): [name: string, about: Lock['packages'][string]][] {
  const lock: Lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  return Object.entries(lock.packages).filter(([path]) => path !== '')
}

test('S30 every package is locked to its content, and none runs a script when installed', () => {
  const packages = lockedPackages()
  assert.ok(packages.length > 50)
  for (const [path, { integrity, link }] of packages) {
    assert.ok(!link, `${path} is a link`)
    assert.match(integrity ?? '', /^sha512-/, path)
  }
  const npmrc = readFileSync(join(root, '.npmrc'), 'utf8')
  assert.match(npmrc, /^ignore-scripts=true$/m)
  const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
  assert.match(dockerfile, /npm ci\b/)
  assert.doesNotMatch(dockerfile, /npm (?:install|i)\b/)
})

/** The first versions without the vulnerabilities that matter for a gateway, one for each maintained line. */
const floors: Readonly<Record<string, readonly string[]>> = {
  fastify: ['5.12.3'],
  undici: ['6.28.0', '7.29.0', '8.9.0'],
  'find-my-way': ['9.7.0'],
  'fast-uri': ['3.1.7', '4.1.4'],
}

test('S31 no package is older than the first version without known vulnerabilities', () => {
  for (const [name, known] of Object.entries(floors)) {
    const versions = lockedPackages().filter(([path]) => path.endsWith(`node_modules/${name}`))
    assert.ok(versions.length > 0, name)
    for (const [path, { version }] of versions)
      assert.ok(isAbove(version ?? '0', known), `${path} ${version}`)
  }
  assert.ok(!isAbove('3.1.6', ['3.1.7', '4.1.4']) && isAbove('3.1.10', ['3.1.7', '4.1.4']))
  assert.ok(!isAbove('4.0.0', ['3.1.7', '4.1.4']) && isAbove('5.0.0', ['3.1.7', '4.1.4']))
})

test('S31 a Node that misreads JSON is rejected with a message that names a suitable version', () => {
  for (const version of ['24.22.2', '24.21.0', '24.9.5', '24.0.0', '22.23.3', '20.20.2'])
    assert.match(nodeError(version) ?? '', /needs Node\.js 24\.22\.3 or newer .*this is \d/, version)
  for (const version of ['25.9.9', '26.12.0', '26.0.0'])
    assert.match(nodeError(version) ?? '', /26\.12\.1 on the 26 line/, version)
  for (const version of ['24.22.3', '24.30.0', '26.12.1', '27.0.0', '28.1.0-nightly'])
    assert.equal(nodeError(version), undefined, version)
  assert.equal(nodeError(process.versions.node), undefined)
})

const versions = [
  ...nodeFloors,
  '24.22.2',
  '24.21.0',
  '25.9.9',
  '26.12.0',
  '27.0.0',
  '22.23.3',
  '20.20.2',
  '24.100.0',
]

test('S31 every way to start the router rejects an older Node in one sentence', async () => {
  // Node 20 cannot strip types: it rejects a .ts file before running it.
  const older = { '24.21.0': [], '26.12.0': [], '20.20.2': ['--no-strip-types'] }
  for (const file of ['src/server.ts', 'src/cli.ts', 'bin/llm-router.js']) {
    for (const [version, options] of Object.entries(older)) {
      const other = `Object.defineProperty(process.versions, 'node', { value: '${version}' })`
      const args = [...options, '--import', `data:text/javascript,${encodeURIComponent(other)}`, file]
      const child = spawn(process.execPath, args, { cwd: root, env: childEnv() })
      const [out, errors, [code]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'exit'),
      ])
      assert.deepEqual([out, errors, code], ['', `${nodeError(version)}\n`, 1], file)
    }
  }
})

test('S31 the scripts accept the same Node versions as the router, package.json and the image', () => {
  const isNew = (version: string): boolean =>
    spawnSync('bash', ['-c', '. scripts/prepare.sh; is_new_enough "$1"', 'bash', version], { cwd: root })
      .status === 0
  for (const version of versions) assert.equal(isNew(version), nodeError(version) === undefined, version)
  const [first = '', last = ''] = nodeFloors
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  assert.equal(engines.node, `^${first} || >=${last}`)
  const images = [...readFileSync(join(root, 'Dockerfile'), 'utf8').matchAll(/^FROM node:([\d.]+)/gm)]
  assert.equal(images.length, 2)
  for (const [, version = ''] of images) assert.equal(nodeError(version), undefined, version)
  const bundled = lockedPackages().filter(([path]) => path.startsWith('node_modules/node-linux-'))
  assert.equal(bundled.length, 2)
  for (const [path, { version = '' }] of bundled) assert.equal(nodeError(version), undefined, path)
})

test('S31 a system Node that misreads JSON is skipped in favour of the one from npm', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-nodes-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const chosen = (version: string): string => {
    writeFileSync(join(folder, 'node'), `#!/bin/sh\necho v${version}\n`, { mode: 0o755 })
    const script = '. scripts/prepare.sh; choose_node && echo "$NODE"'
    const env = { PATH: `${folder}:${process.env.PATH}` }
    return spawnSync('bash', ['-c', script], { cwd: root, env, encoding: 'utf8' }).stdout.trim()
  }
  assert.equal(chosen('24.22.3'), 'node')
  assert.notEqual(chosen('24.21.0'), 'node')
  assert.notEqual(chosen('26.12.0'), 'node')
})

test('a router without any permission that it does not need', async (t) => {
  const upstream = await startUpstream(openaiText('Hi'))
  const proxy = await startUpstream(openaiText('canary'))
  t.after(() => Promise.all([upstream.close(), proxy.close()]))
  const router = await startRouterProcess({
    args: ['--disable-proto=delete', 'src/server.ts'],
    models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
    env: {
      // https://nodejs.org/api/permissions.html: no --allow-fs-write, so every write fails; also no processes, no workers.
      NODE_OPTIONS: '--permission --allow-fs-read=*',
      LLM_ROUTER_USE_PROMETHEUS: '1',
      HTTP_PROXY: proxy.url,
      http_proxy: proxy.url,
      ALL_PROXY: proxy.url,
      NO_PROXY: '',
    },
  })
  t.after(() => router.stop())
  const chat = (content: string, more: object = {}) =>
    post(`${router.url}/v1/chat/completions`, {
      model: 'one',
      messages: [{ role: 'user', content }],
      ...more,
    })

  await t.test(
    'S2, S29 the router runs without __proto__, and sends no request through a proxy of the environment',
    async () => {
      const { status, text } = await chat('x')
      assert.equal(status, 200, text)
      assert.match(text, /"content":"Hi"/)
      assert.equal(upstream.requests.length, 1)
      assert.equal(proxy.requests.length, 0)
    },
  )

  await t.test('S29 the router starts and answers without permission to write files', async () => {
    for (const stream of [false, true]) {
      const { status, text } = await chat('x'.repeat(1_000_000), { stream })
      assert.equal(status, 200, text)
    }
    for (const path of ['/metrics', '/ui', '/api/status', '/readyz', '/api/prompts'])
      assert.equal((await fetch(router.url + path)).status, 200, path)
    assert.ok(!router.logs.some(({ msg }) => msg === 'internal error'))
    router.child.kill('SIGTERM')
    assert.equal(await router.exit, 0)
  })
})

function isAbove(version: string, floors: readonly string[]): boolean {
  const major = Number.parseInt(version, 10)
  const floor = floors.find((one) => Number.parseInt(one, 10) === major)
  if (floor !== undefined) return version.localeCompare(floor, 'en', { numeric: true }) >= 0
  return floors.every((one) => Number.parseInt(one, 10) < major)
}
