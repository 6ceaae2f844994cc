import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FormatRegistry, type TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { type CatalogueModel, CatalogueSchema } from '../../src/sdk/console/catalogue.ts'
import { type Effect, EffectSchema } from '../../src/sdk/console/effects.ts'
import { type Routers, RoutersSchema } from '../../src/sdk/console/routers.ts'
import { type Settings, SettingsSchema } from '../../src/sdk/console/settings.ts'
import { eventually } from '../helpers/eventually.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { operator, operatorKey, read, sickFleet } from './fleet.ts'

FormatRegistry.Set('date-time', (text) => new Date(text).toISOString() === text)

async function get<Body>(url: string, path: string, schema: TSchema, headers = operator): Promise<Body> {
  const body = await read<Body>(url, path, headers)
  assert.deepEqual([...Value.Errors(schema, body)], [])
  return body
}

async function start(t: TestContext, models: unknown, env: Record<string, string> = {}): Promise<TestRouter> {
  const router = await startRouter({ env: { LLM_ROUTER_ADMIN_KEY: operatorKey, ...env }, models })
  t.after(() => router.close())
  return router
}

test('settings have value, default and source, and contain no secret', async (t) => {
  const models = modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] })
  const env = { LLM_ROUTER_TIMEOUT: '12.5', LLM_ROUTER_SESSION_SECRET: 'x'.repeat(40) }
  const router = await start(t, models, env)
  const { settings, versions } = await get<Settings>(router.url, '/settings', SettingsSchema)
  const setting = (name: string) => settings.find((each) => each.name === `LLM_ROUTER_${name}`)
  const timeout = setting('TIMEOUT')
  assert.deepEqual(
    [timeout?.value, timeout?.default, timeout?.unit, timeout?.source],
    [12.5, 0, 'seconds', 'env'],
  )
  assert.deepEqual([setting('QUEUE_TIMEOUT')?.value, setting('QUEUE_TIMEOUT')?.source], [60, 'default'])
  const { value, secret, is_set } = setting('ADMIN_KEY') ?? {}
  assert.deepEqual([value, secret, is_set], [null, true, true])
  assert.equal(setting('REDIS_PASSWORD')?.is_set, false)
  assert.equal(setting('MODELS_CONFIG')?.value, router.file)
  assert.equal(versions.node, process.versions.node)
  const text = JSON.stringify(settings)
  assert.ok(!text.includes(operatorKey) && !text.includes('x'.repeat(40)))
  // Without keys, settings are public, except for paths.
  const open = await startRouter({ models })
  t.after(() => open.close())
  const seen = await get<Settings>(open.url, '/settings', SettingsSchema, {} as typeof operator)
  assert.ok(!JSON.stringify(seen).includes(open.file))
  assert.equal(seen.settings.find(({ name }) => name === 'LLM_ROUTER_MODELS_CONFIG')?.hidden, true)
})

test('errors and warnings of the last reload have line and column', async (t) => {
  const one = [{ id: 'a', api_type: 'mock' }]
  const router = await start(t, { ...modelsConfig({ one, empty: [] }) })
  const fileOf = async () =>
    (await get<Settings>(router.url, '/settings', SettingsSchema)).files.find(
      ({ setting }) => setting === 'LLM_ROUTER_MODELS_CONFIG',
    )
  const before = await fileOf()
  assert.deepEqual([before?.state, before?.errors, before?.path], ['loaded', [], router.file])
  assert.match(before?.warnings[0]?.message ?? '', /empty/)
  assert.ok((before?.warnings[0]?.line ?? 0) > 0 && (before?.warnings[0]?.column ?? 0) > 0)
  const rejected = router.logged(({ msg }) => /stay in effect/.test(String(msg)))
  writeFileSync(router.file, JSON.stringify(modelsConfig({ one: [{ id: 'a', api_type: 'mokc' }] }), null, 2))
  await rejected
  const after = await fileOf()
  assert.equal(after?.state, 'rejected')
  const [error] = after?.errors ?? []
  assert.match(error?.message ?? '', /^test_models.*mokc|^test_models.*api_type/)
  assert.ok((error?.line ?? 0) > 1 && (error?.column ?? 0) > 1)
})

test('the catalogue has operations and targets of each model', async (t) => {
  const router = await start(t, {
    ...modelsConfig({
      one: [
        {
          id: 'a',
          api_type: 'vllm',
          api_host: 'http://127.0.0.1:9',
          input_size: 4096,
          model_path: 'org/one',
        },
      ],
      two: [{ id: 'b', api_type: 'mock' }],
    }),
    model_aliases: { fast: 'one' },
  })
  const { models } = await get<{ models: CatalogueModel[] }>(router.url, '/catalogue', CatalogueSchema)
  const [one, two] = models
  assert.deepEqual([one?.name, one?.context, one?.prices, two?.name], ['one', 4096, [], 'two'])
  assert.ok(one?.operations.includes('chat'))
  const [target] = one?.targets ?? []
  assert.deepEqual([target?.id, target?.upstream_model, target?.standby], ['a', 'org/one', false])
})

test('prompts are listed with their texts and rendered with variables', async (t) => {
  const router = await start(t, modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] }))
  const { prompts } = await read<{
    prompts: { id: string; name: string; language: string | null; placeholders: string[]; text: string }[]
  }>(router.url, '/prompts/library', operator)
  const prompt = prompts.find(({ placeholders }) => placeholders.length > 0) ?? assert.fail('no prompt')
  assert.ok(prompt.text.includes(`##${prompt.placeholders[0]}##`))
  assert.ok(prompt.language === null || prompt.name.includes('/*/'))
  const variables = {
    ...Object.fromEntries(prompt.placeholders.slice(0, 1).map((name) => [name, 'VALUE'])),
    odd: 'x',
  }
  const query = new URLSearchParams({ id: prompt.id, variables: JSON.stringify(variables) })
  const rendered = await read<{ text: string; missing: string[]; unused: string[] }>(
    router.url,
    `/prompts/render?${query}`,
    operator,
  )
  assert.ok(rendered.text.includes('VALUE'))
  assert.deepEqual([rendered.missing, rendered.unused], [prompt.placeholders.slice(1), ['odd']])
  const statusOf = async (query: string) =>
    (await fetch(`${router.url}/api/prompts/render?${query}`, { headers: operator })).status
  assert.equal(await statusOf('id=../../etc/passwd'), 404)
  assert.equal(await statusOf(`id=${encodeURIComponent(prompt.id)}&variables=%5B1%5D`), 400)
})

test('prompts are marked as shipped if they are unchanged, even in a configured directory', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-library-'))
  t.after(() => rmSync(folder, { recursive: true }))
  cpSync(join(import.meta.dirname, '../../resources/prompts'), folder, { recursive: true })
  writeFileSync(join(folder, 'builtin/system/en/translate.prompt'), 'Translate this.')
  writeFileSync(join(folder, 'own.prompt'), 'Own.')
  const models = modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] })
  for (const [directory, others] of [
    ['resources/prompts', []],
    [folder, ['builtin/system/en/translate', 'own']],
  ] as const) {
    const router = await start(t, models, { LLM_ROUTER_PROMPTS_DIR: directory })
    const { prompts } = await read<{ prompts: { id: string; shipped: boolean }[] }>(
      router.url,
      '/prompts/library',
      operator,
    )
    assert.ok(prompts.length > 2)
    assert.deepEqual(
      prompts.filter(({ shipped }) => !shipped).map(({ id }) => id),
      others,
    )
  }
})

test('a confirmation describes the effect of its action', async (t) => {
  const { router } = await sickFleet(t)
  const effectOf = (query: string) => get<Effect>(router.url, `/effects?${query}`, EffectSchema)
  const drain = await effectOf('action=drain&target=saturated')
  assert.deepEqual([drain.in_flight, drain.waiting, drain.needs_force], [1, 1, true])
  assert.equal(
    drain.text,
    'saturated finishes 1 running request and gets no new ones. It is the last usable server of saturated: all requests for it will fail or wait.',
  )
  const spare = await effectOf('action=drain&target=rejecting')
  assert.deepEqual([spare.needs_force, spare.models[0]?.usable_after], [false, 1])
  const unload = await effectOf('action=unload&model=healthy')
  assert.match(unload.text, /No server of healthy supports this/)
  assert.equal(unload.targets[0]?.supported, false)
  const statusOf = async (query: string) =>
    (await fetch(`${router.url}/api/effects?${query}`, { headers: operator })).status
  assert.deepEqual(
    [
      await statusOf('action=drain&target=gone'),
      await statusOf('action=load&model=gone'),
      await statusOf('action=load'),
    ],
    [404, 404, 400],
  )
})

test('routers that share a Redis are listed on each other', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const env = {
    LLM_ROUTER_REDIS_HOST: '127.0.0.1',
    LLM_ROUTER_REDIS_PORT: String(redis.port),
    LLM_ROUTER_HEALTH_INTERVAL: '1',
    LLM_ROUTER_SESSION_SECRET: 'x'.repeat(40),
  }
  const models = modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] })
  const first = await start(t, models, env)
  const second = await start(t, models, env)
  const listed = await eventually(async () => {
    const seen = await get<Routers>(first.url, '/routers', RoutersSchema)
    return seen.others.length > 0 && seen
  })
  assert.ok(listed.shared && listed.this.name.endsWith(new URL(first.url).port) && listed.this.workers === 1)
  assert.ok(listed.others[0]?.name.endsWith(new URL(second.url).port))
  const alone = await start(t, models)
  const { others, shared } = await get<Routers>(alone.url, '/routers', RoutersSchema)
  assert.deepEqual([others, shared], [[], false])
})
