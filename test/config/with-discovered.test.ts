import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { buildApp } from '../../src/app.ts'
import type { FoundServer } from '../../src/config/models/discovered.ts'
import { loadConfig } from '../../src/config/settings/settings.ts'
import { withDiscovered } from '../../src/plugins/models/with-discovered.ts'

const demo = { g: { demo: { providers: [{ api_type: 'mock' }] } }, active_models: { g: ['demo'] } }

function serverWith(...names: string[]): FoundServer {
  const models = names.map((name) => ({
    name,
    context: 0,
    embedding: false,
    capabilities: undefined,
    details: {},
  }))
  return { type: 'ollama', url: 'http://127.0.0.1:11434', hostLabel: 'local', models }
}

async function servedWith(found: Promise<readonly FoundServer[]>): Promise<string[]> {
  const env = { LLM_ROUTER_LOG_FILENAME: '', LLM_ROUTER_HEALTH_INTERVAL: '0' }
  const app = await buildApp({
    config: loadConfig(env).config,
    env,
    logger: pino({ level: 'silent' }),
    found,
  })
  const names = app.models.all().map(({ alias }) => alias)
  await app.reload.now()
  assert.deepEqual(
    app.models.all().map(({ alias }) => alias),
    names,
    'a reload changes which models are served',
  )
  await app.close()
  return names
}

test('discovered models are added after those of the file', () => {
  const text = withDiscovered(JSON.stringify(demo), [serverWith('llama3.1:8b')])
  const config = JSON.parse(text ?? assert.fail('nothing was added'))
  assert.deepEqual(config.active_models, { g: ['demo'], discovered_models: ['llama3.1:8b'] })
  assert.equal(config.discovered_models['llama3.1:8b'].providers[0].api_host, 'http://127.0.0.1:11434')
})

test('a file that names servers, or is invalid, stays unchanged', () => {
  const parked = { ...demo, other: { m: { providers_sleep: [{ api_type: 'vllm', api_host: 'http://h' }] } } }
  assert.equal(withDiscovered(JSON.stringify(parked), [serverWith('m')]), undefined)
  assert.equal(withDiscovered('{', [serverWith('m')]), undefined)
  assert.equal(withDiscovered(JSON.stringify(demo), [serverWith()]), undefined)
})

test('without a configuration the router serves discovered models and demo', async () => {
  assert.deepEqual(await servedWith(Promise.resolve([serverWith('llama3.1:8b')])), ['demo', 'llama3.1:8b'])
  assert.deepEqual(await servedWith(Promise.resolve([])), ['demo'])
})

test('a discovered model of the same name does not stop the start', async () => {
  assert.deepEqual(await servedWith(Promise.resolve([serverWith('demo')])), ['demo'])
})
