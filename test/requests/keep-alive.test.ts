import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask } from '../helpers/dialect-clients.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('Hi'))
  const server = (api_type: string) => [{ api_type, api_host: upstream.url, model_path: 'm' }]
  router = await startRouter({ models: modelsConfig({ lmstudio: server('lmstudio'), vllm: server('vllm') }) })
})
after(async () => {
  await router.close()
  await upstream.close()
})

async function ttlFor(keep_alive: string | number, model = 'lmstudio'): Promise<[unknown, string]> {
  const { lost } = await ask({ router }, 'ollama', model, { keep_alive })
  const { body } = upstream.requests.at(-1) ?? assert.fail('no upstream was asked')
  return [Object(body).ttl, lost]
}

test('keep_alive of Ollama clients is the ttl of LM Studio, in seconds', async () => {
  const values: [string | number, number][] = [
    [300, 300],
    ['5m', 300],
    ['1h30m', 5400],
    ['1.5s', 2],
    ['250ms', 1],
  ]
  for (const [sent, seconds] of values) assert.deepEqual(await ttlFor(sent), [seconds, ''])
})

test('a keep_alive without an equivalent is reported: unload at once, never, and on other servers', async () => {
  for (const sent of [-1, '-1', '-5m', 'soon', 0, '0s']) {
    assert.deepEqual(await ttlFor(sent), [undefined, 'keep_alive'])
  }
  assert.deepEqual(await ttlFor('5m', 'vllm'), [undefined, 'keep_alive'])
})
