import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { operatorKeyFor } from '../../src/cli/operator-key.ts'
import { keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import { change, changingRoutes, printedKey } from './changing-routes.ts'
import { runCli, runCliProcess } from './run-cli.ts'

test('a cluster on loopback shares one port and one generated operator key, and ends with its primary', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-key-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const logFile = join(folder, 'router.log')
  const router = await startRouterProcess({
    args: ['src/cli.ts', '--host', '127.0.0.1'],
    models: modelsConfig({ m: [{ api_type: 'mock' }] }),
    env: {
      LLM_ROUTER_EXTENSIONS: changingRoutes,
      LLM_ROUTER_LOG_FILENAME: logFile,
      // Output for people is included too.
      LLM_ROUTER_LOG_FORMAT: 'auto',
      LLM_ROUTER_LOG_LEVEL: 'trace',
      LLM_ROUTER_SERVER_TYPE: 'cluster',
      LLM_ROUTER_SERVER_WORKERS_COUNT: '2',
    },
  })
  t.after(() => router.stop())
  const { url, output } = router
  assert.equal(new Set(await router.listening(2)).size, 2)
  const answers = await Promise.all(Array.from({ length: 8 }, () => fetch(`${url}/ping`)))
  assert.ok(answers.every(({ status }) => status === 200))
  const key = printedKey(output())
  for (let index = 0; index < 6; index++) assert.equal(await change(url, key), 200)
  assert.equal(await change(url, `${key}x`), 401)
  router.child.kill('SIGTERM')
  assert.equal(await router.exit, 0)
  assert.equal(output().match(/listens on http:\/\/127\.0\.0\.1:\d+/g)?.length, 1, output())
  const lines = output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
  assert.ok(!lines.join().includes(key))
  assert.ok(!readFileSync(logFile, 'utf8').includes(key))
})

test('no operator key is generated if the router is reachable by others, or has an operator key', (t) => {
  const operators = keysFile([{ id: 'a', key: 'k'.repeat(24), surfaces: ['openai', 'operator'] }])
  const disabled = keysFile([{ id: 'a', key: 'k'.repeat(24), surfaces: ['operator'], enabled: false }])
  const clients = keysFile([{ id: 'a', key: 'k'.repeat(24) }])
  t.after(() => {
    disabled.remove()
    operators.remove()
    clients.remove()
  })
  const here = { LLM_ROUTER_SERVER_HOST: '127.0.0.1' }
  for (const [env, isMade] of [
    [{}, false],
    [{ LLM_ROUTER_SERVER_HOST: '0.0.0.0' }, false],
    [{ LLM_ROUTER_SERVER_HOST: '127.example.com' }, false],
    [{ ...here, LLM_ROUTER_ADMIN_KEY: 'x'.repeat(24) }, false],
    [{ ...here, ...operators.env }, false],
    [{ ...here, ...operators.env, LLM_ROUTER_AUTH_ENABLED: '0' }, true],
    [{ ...here, ...disabled.env }, true],
    [{ ...here, ...clients.env }, true],
    [{ ...here, LLM_ROUTER_ADMIN_KEY: ' ' }, true],
    [{ LLM_ROUTER_SERVER_HOST: 'localhost' }, true],
    [{ LLM_ROUTER_SERVER_HOST: '::1' }, true],
  ] as [Record<string, string>, boolean][])
    assert.equal(operatorKeyFor(env) !== undefined, isMade, JSON.stringify(env))
  assert.notEqual(operatorKeyFor(here), operatorKeyFor(here))
})

test('check and the start reject a guardrail without its services, with exit code 2', async () => {
  const quiet = { LLM_ROUTER_SERVER_PORT: '0', LLM_ROUTER_LOG_FILENAME: '' }
  for (const command of [[], ['check']]) {
    const run = command.length === 0 ? runCliProcess : runCli
    const { code, stderr } = await run(command, { ...quiet, LLM_ROUTER_FORCE_GUARDRAIL_RESPONSE: 'true' })
    assert.equal(code, 2)
    assert.match(stderr, /^LLM_ROUTER_FORCE_GUARDRAIL_RESPONSE: .*PIPELINE_RESPONSE must name nask_guard/)
  }
})

test('a start that fails prints no operator key', async (t) => {
  const here = { LLM_ROUTER_SERVER_HOST: '127.0.0.1' }
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const { port } = taken.address() as AddressInfo
  for (const args of [
    ['--log-level', 'loud'],
    ['--config', '/no/such/file.json'],
    ['--port', `${port}`],
  ]) {
    const { code, stdout, stderr } = await runCliProcess(args, here)
    assert.notEqual(code, 0)
    assert.doesNotMatch(stdout + stderr, /sk-operator-/)
  }
})
