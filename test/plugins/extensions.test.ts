import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigError } from '../../src/sdk/errors.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'

const extension = join(import.meta.dirname, '../fixtures/extensions/last-first.ts')

test('an extension adds a strategy, a provider type and an endpoint without a change to the router', async (t) => {
  const upstream = await startUpstream(openaiText('Hi'))
  const models = modelsConfig({
    small: [
      { id: 'a', api_type: 'vllm', api_host: 'http://127.0.0.1:1' },
      { id: 'b', api_type: 'aphrodite', api_host: upstream.url, api_token: 'key' },
    ],
  })
  const env = { LLM_ROUTER_EXTENSIONS: extension, LLM_ROUTER_BALANCE_STRATEGY: 'last_first' }
  const router = await startRouter({ env, models })
  t.after(async () => {
    await router.close()
    await upstream.close()
  })
  for (let index = 0; index < 3; index++) {
    const { status } = await post(`${router.url}/v1/chat/completions`, {
      model: 'small',
      messages,
    })
    assert.equal(status, 200)
  }
  assert.equal(upstream.requests.length, 3)
  assert.equal(upstream.requests[0]?.headers['x-aphrodite-key'], 'key')
  assert.deepEqual(await (await fetch(`${router.url}/hello`)).json(), { models: ['small'] })
})

test('an extension that registers an existing name stops the start, and the error names the extension', async () => {
  const start = startRouter({
    env: { LLM_ROUTER_EXTENSIONS: `${extension},${extension}` },
    models: modelsConfig({ demo: [{ api_type: 'mock' }] }),
  })
  await assert.rejects(
    start,
    (error) => error instanceof ConfigError && /last_first.*twice/.test(error.errors.join()),
  )
})

test('an extension that cannot be loaded stops the start, with its name, the reason and the line', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-extensions-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }')
  const broken: [file: string, text: string | undefined, problem: RegExp][] = [
    ['gone.js', undefined, /there is no such file: .*gone\.js$/],
    [
      'es-module.ts',
      "import { Type } from 'llm-router/sdk'\nexport default async () => {}",
      /set "type": "module" in its package\.json, or name the file \.mjs or \.mts$/,
    ],
    ['throws.mjs', 'export default async (app) => {\n  app.gone.add()\n}', /\(.*throws\.mjs:2:12\)$/],
    [
      'taken.mjs',
      "export default async (app) => {\n  app.get('/v1/models', () => 1)\n}",
      /(?:GET|HEAD) \/v1\/models is an endpoint of the router$/,
    ],
  ]
  for (const [name, text, problem] of broken) {
    const file = join(folder, name)
    if (text !== undefined) writeFileSync(file, text)
    const start = startRouter({
      env: { LLM_ROUTER_EXTENSIONS: file },
      models: modelsConfig({ demo: [{ api_type: 'mock' }] }),
    })
    await assert.rejects(start, (error) => {
      assert.ok(error instanceof ConfigError, String(error))
      assert.equal(error.errors.length, 1)
      assert.match(error.errors[0] ?? '', problem)
      assert.ok(error.errors[0]?.startsWith(`LLM_ROUTER_EXTENSIONS: "${file}": `))
      return true
    })
  }
})
