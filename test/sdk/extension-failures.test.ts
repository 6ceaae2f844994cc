import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ConfigError } from '../../src/sdk/errors.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'

const folder = mkdtempSync(join(tmpdir(), 'llm-router-failures-'))
after(() => rmSync(folder, { recursive: true }))
let files = 0

type Providers = NonNullable<Parameters<typeof modelsConfig>[0][string]>

/** Starts a router with an extension of this JavaScript, which gets the instance as `app`. */
function start(code: string, providers: Providers, strategy = ''): [file: string, Promise<TestRouter>] {
  const file = join(folder, `${files++}.mjs`)
  writeFileSync(file, `export default async function (app) {\n  ${code}\n}\n`)
  const env: Record<string, string> = { LLM_ROUTER_EXTENSIONS: file }
  if (strategy !== '') env.LLM_ROUTER_BALANCE_STRATEGY = strategy
  return [file, startRouter({ env, models: modelsConfig({ demo: providers }) })]
}

const mock = { api_type: 'mock' }
const chat = { model: 'demo', messages }

// First: a router that still closes would clear its real timers by the mocked function.
test('an onReady hook that never ends stops the start after a minute', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const waiting = new Promise((resolve) => process.once('extension-waits' as 'exit', resolve))
  const [file, started] = start(
    "app.addHook('onReady', () => new Promise(() => process.emit('extension-waits')))",
    [mock],
  )
  await waiting
  t.mock.timers.tick(60_000)
  await assert.rejects(started, {
    message: `LLM_ROUTER_EXTENSIONS: "${file}": 'onReady': it has not finished after 60 s`,
  })
})

test('an onReady hook that fails stops the start, and the error names the extension and the line', async () => {
  for (const hook of [
    "async () => { throw new Error('no database') }",
    "(done) => done(new Error('no database'))",
    "() => { throw new Error('no database') }",
  ]) {
    for (const code of [
      `app.addHook('onReady', ${hook})`,
      `app.register(async (child) => { child.addHook('onReady', ${hook}) })`,
    ]) {
      const [file, started] = start(code, [mock])
      await assert.rejects(started, (error) => {
        assert.ok(error instanceof ConfigError, String(error))
        assert.ok(
          error.message.startsWith(`LLM_ROUTER_EXTENSIONS: "${file}": 'onReady': no database (${file}:2:`),
        )
        return true
      })
    }
  }
})

const type =
  "name: 'x', dialect: 'openai', flavour: {}, needsHost: true, path: () => '/v1', authHeaders: () => ({})"

test('a provider type or strategy that fails for one model is an error of that model, at the start', async () => {
  const provider = { id: 'a', api_type: 'x', api_host: 'http://127.0.0.1:1', api_token: 'sk-1' }
  const fails: [code: string, strategy: string, providers: Providers, problem: RegExp][] = [
    [
      `app.providers.add({ ${type}, path(_, { model }) { if (model === 'demo') throw new Error('bug'); return '/v1' } })`,
      '',
      [provider],
      /providers\[0\]\.api_type: provider type "x": 'path' failed: bug \(.*\.mjs:2:\d+\)$/,
    ],
    [
      `app.providers.add({ ${type}, path: (_, { model }) => (model === 'demo' ? 5 : '/v1') })`,
      '',
      [provider],
      /providers\[0\]\.api_type: provider type "x": 'path' must return a string that starts with "\/"/,
    ],
    [
      `app.providers.add({ ${type}, authHeaders(key) { if (key === 'sk-1') throw new Error('bug'); return {} } })`,
      '',
      [provider],
      /providers\[0\]\.api_type: provider type "x": 'authHeaders' failed: bug \(.*\.mjs:2:\d+\)$/,
    ],
    [
      `let created = 0
  app.strategies.add({ name: 'y', create() { if (created++ > 0) throw new Error('bug'); return { pick: ([first]) => first } } })`,
      'y',
      [mock],
      /^LLM_ROUTER_BALANCE_STRATEGY: strategy "y": 'create' failed: bug \(.*\.mjs:3:\d+\)$/,
    ],
  ]
  for (const [code, strategy, providers, problem] of fails) {
    const [, started] = start(code, providers, strategy)
    await assert.rejects(started, (error) => {
      assert.ok(error instanceof ConfigError, String(error))
      assert.match(error.message, problem)
      return true
    })
  }
})

test('a reason that cannot be computed does not change the response', async () => {
  for (const reason of [
    "() => { throw new Error('bug') }",
    "() => () => { throw new Error('bug') }",
    '() => ({})',
    '() => () => 1',
  ]) {
    const [, started] = start(
      `app.strategies.add({ name: 'x', create: () => ({ pick: ([first]) => first, reason: ${reason} }) })`,
      [
        { id: 'a', ...mock },
        { id: 'b', ...mock },
      ],
      'x',
    )
    const router = await started
    const logged = router.logged(({ msg }) => msg === 'request')
    const { status } = await post(`${router.url}/v1/chat/completions`, chat)
    assert.equal(status, 200, reason)
    assert.equal((await logged).reason, 'x')
    await router.close()
  }
})

test('the message of an exception in an onSend hook does not reach the client', async () => {
  const hook = "async () => { throw new Error('10.0.0.1 refused') }"
  for (const code of [
    `app.addHook('onSend', ${hook})\n  app.get('/x', { config: { surface: 'any' } }, async () => ({}))`,
    `app.get('/x', { config: { surface: 'any' }, onSend: ${hook} }, async () => ({}))`,
  ]) {
    const [file, started] = start(code, [mock])
    const router = await started
    const logged = router.logged(({ msg }) => msg === "'onSend' of an extension failed")
    const response = await fetch(`${router.url}/x`)
    const text = await response.text()
    const { extension, error_at: at } = await logged
    await router.close()
    assert.equal(response.status, 500)
    assert.doesNotMatch(text, /10\.0\.0\.1/)
    assert.equal(extension, file)
    assert.match(String(at), /\.mjs:\d$/)
  }
})

test('a stream of an extension that fails is logged as its failure, not as a client that left', async () => {
  const [, started] = start(
    `const { Readable } = await import('node:stream')
  app.get('/x', { config: { surface: 'any' } }, (_, reply) =>
    reply.send(Readable.from((async function* () { yield 'a'; throw new Error('bug') })())))`,
    [mock],
  )
  const router = await started
  const failed = router.logged(({ msg }) => msg === 'a streamed response failed')
  const ended = router.logged(({ msg, endpoint }) => msg === 'request' && endpoint === '/x')
  await assert.rejects(fetch(`${router.url}/x`).then((response) => response.text()))
  assert.match(String((await failed).error_at), /\.mjs:4$/)
  assert.equal((await ended).outcome, 'truncated')
  await router.close()
})

test('an onClose hook that fails does not prevent the shutdown, and the log names the extension', async () => {
  const [file, started] = start("app.addHook('onClose', async () => { throw new Error('bug') })", [mock])
  const router = await started
  const logged = router.logged(({ msg }) => msg === "'onClose' of an extension failed")
  await router.close()
  assert.equal((await logged).extension, file)
})
