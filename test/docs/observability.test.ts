import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter } from '../helpers/router.ts'
import { sqliteUrl } from '../teams/team-router.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/observability.md'), 'utf8')

interface Described {
  type: string
  labels: string[]
}

/** The rows of the metrics tables. */
function documented(): Map<string, Described> {
  const rows = page.matchAll(/^\| `((?:http|llm_router)_\w+)` \| (counter|gauge|histogram)([^|]*) \|/gm)
  return new Map(
    [...rows].map(([, name = '', type = '', labels = '']) => [
      name,
      { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).toSorted() },
    ]),
  )
}

test('docs/observability.md names every metric with its type and labels, and no other', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const keys = keysFile([{ id: 'a', key: 'sk-0123456789abcdefghij' }])
  t.after(() => keys.remove())
  const router = await startRouter({
    env: {
      ...keys.env,
      LLM_ROUTER_USE_PROMETHEUS: '1',
      LLM_ROUTER_BALANCE_STRATEGY: 'first_available',
      LLM_ROUTER_REDIS_HOST: '127.0.0.1',
      LLM_ROUTER_REDIS_PORT: `${redis.port}`,
      LLM_ROUTER_DATABASE_URL: sqliteUrl(t),
      LLM_ROUTER_SESSION_SECRET: 'secret-of-the-sessions-of-the-tests',
    },
    models: modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] }),
  })
  t.after(() => router.close())
  const ours = new Map<string, Described>()
  for (const metric of router.app.metrics.client.register.getMetricsAsArray()) {
    if (!/^(?:http|llm_router)_/.test(metric.name)) continue
    const labels = 'labelNames' in metric && Array.isArray(metric.labelNames) ? metric.labelNames : []
    ours.set(metric.name, { type: metric.type, labels: labels.map(String).toSorted() })
  }
  assert.ok(ours.size > 35, `${ours.size}`)
  assert.deepEqual(Object.fromEntries([...documented()].toSorted()), Object.fromEntries([...ours].toSorted()))
})

test('docs/observability.md says what to do about every alert', () => {
  const rules = readFileSync(join(root, 'resources/prometheus/rules.yaml'), 'utf8')
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name)
  const rows = [...page.matchAll(/^\| `(LlmRouter\w+)` \|/gm)].map(([, name]) => name)
  assert.deepEqual(rows, alerts)
})
