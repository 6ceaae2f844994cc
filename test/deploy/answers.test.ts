import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { keysFile } from '../helpers/keys-file.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { chartDir } from './chart.ts'

const run = promisify(execFile)
const script = readFileSync(join(chartDir, 'files/answers.mjs'), 'utf8')
const models = {
  local_models: { demo: { providers: [{ id: 'm', api_type: 'mock', mock: { reply: 'Hello there' } }] } },
  active_models: { local_models: ['demo'] },
}

test('the helm test lists the models and prints a response of the configured model', async (context) => {
  const router = await routerFor(context)
  const { stdout } = await answers(router.url, 'demo')
  assert.equal(stdout, 'models: demo\ndemo: Hello there\n')
})

test('the helm test requests no completion if no model is configured', async (context) => {
  const router = await routerFor(context)
  const { stdout } = await answers(router.url, '')
  assert.equal(stdout, 'models: demo\n')
})

test('with client keys enabled, the helm test uses one or checks that one is required', async (context) => {
  const key = 'sk-0123456789abcdefghij'
  const file = keysFile([{ id: 'test', key }])
  context.after(() => file.remove())
  const router = await routerFor(context, file.env)
  const asked = { ASKS_FOR_KEYS: 'true' }
  assert.equal((await answers(router.url, '', asked)).stdout, 'without a key: 401\n')
  const { stdout } = await answers(router.url, 'demo', { ...asked, KEY: key })
  assert.equal(stdout, 'without a key: 401\nmodels: demo\ndemo: Hello there\n')
  await assert.rejects(answers(router.url, '', { ...asked, KEY: 'sk-another' }), /\/v1\/models: 401 /)

  const open = await routerFor(context)
  await assert.rejects(answers(open.url, '', asked), /200 without a key/)
})

test('the helm test fails with the reason if a model cannot respond', async (context) => {
  const router = await routerFor(context)
  await assert.rejects(answers(router.url, 'other'), /\/v1\/chat\/completions: 404 /)
})

async function routerFor(
  context: { after: (end: () => Promise<void>) => void },
  env: Record<string, string> = {},
): Promise<TestRouter> {
  const router = await startRouter({ models, env })
  context.after(() => router.close())
  return router
}

/** Runs the script as the pod of the chart does. */
function answers(url: string, model: string, more: Record<string, string> = {}): Promise<{ stdout: string }> {
  const env = { ROUTER_URL: url, MODEL: model, ...more }
  return run(process.execPath, ['--input-type=module', '--eval', script], { env })
}
