import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { text as metricsText, vllmMetrics } from '../helpers/engine-answers.ts'
import { closedPort, openRequest, post } from '../helpers/http.ts'
import { type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { type Prometheus, startPrometheus } from '../helpers/programs/prometheus.ts'
import { type RedisServer, startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  ollamaText,
  openaiChunk,
  openaiStream,
  openaiText,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'
import { adminKey, requestsTo } from '../teams/team-router.ts'

interface Panel {
  id: number
  type: string
  title: string
  description?: string
  datasource?: { type: string; uid: string }
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: { expr: string; datasource: { uid: string } }[]
  fieldConfig?: { defaults: { unit?: string } }
}
interface Variable {
  name: string
  type: string
  query: unknown
  datasource?: { uid: string }
}
interface Dashboard {
  uid: string
  schemaVersion: number
  templating: { list: Variable[] }
  panels: Panel[]
}

const resources = join(import.meta.dirname, '../../resources')
const text = readFileSync(join(resources, 'grafana/llm-router.json'), 'utf8')
const dashboard = JSON.parse(text) as Dashboard // the tests below check its contents
const panels = dashboard.panels.filter(({ type }) => type !== 'row')
const rules = readFileSync(join(resources, 'prometheus/rules.yaml'), 'utf8')

const teamKey = 'sk-team-0123456789-0123456789'
const narrowKey = 'sk-narrow-0123456789-0123456789'

let upstream: ScriptedUpstream
let redis: RedisServer
let keys: KeysFile
let router: TestRouter
let prometheus: Prometheus
let database: string
let groupKey: string

before(async () => {
  redis = await startRedis()
  database = mkdtempSync(join(tmpdir(), 'llm-router-dashboard-'))
  keys = keysFile([
    { id: 'team', key: teamKey },
    { id: 'narrow', key: narrowKey, surfaces: ['anthropic'] },
  ])
  upstream = await startUpstream(answer)
  const box = (id: string, rest: object = {}) => ({ id, api_type: 'vllm', api_host: upstream.url, ...rest })
  const gone = await closedPort()
  router = await startRouter({
    env: {
      LLM_ROUTER_USE_PROMETHEUS: '1',
      LLM_ROUTER_REDIS_HOST: '127.0.0.1',
      LLM_ROUTER_REDIS_PORT: `${redis.port}`,
      LLM_ROUTER_SESSION_SECRET: 'secret-of-the-sessions-of-the-tests',
      LLM_ROUTER_QUEUE_TIMEOUT: '0.02',
      // Engines are polled and servers checked once.
      LLM_ROUTER_HEALTH_INTERVAL: '1000',
      ...keys.env,
      LLM_ROUTER_AUTH_PUBLIC_ENDPOINTS: '/metrics',
      LLM_ROUTER_DATABASE_URL: `sqlite:${join(database, 'router.db')}`,
      LLM_ROUTER_ADMIN_KEY: adminKey,
    },
    models: {
      processors: [{ type: 'cache', models: ['kept'] }],
      auto_model: { models: ['plain', 'kept'], embedding_model: 'plain', examples: { plain: ['Hi'] } },
      g: {
        kept: { providers: [box('kept')] },
        plain: { providers: [box('plain')] },
        native: { providers: [{ id: 'native', api_type: 'ollama', api_host: upstream.url }] },
        spare: { providers: [box('gone', { api_host: gone }), box('there')] },
        locked: { providers: [box('locked', { api_host: `${upstream.url}/locked` }), box('open')] },
        lost: { providers: [box('lost', { api_host: gone, health_check: false })] },
        alone: { strategy: 'first_available', providers: [box('alone')] },
      },
      active_models: { g: ['kept', 'plain', 'native', 'spare', 'locked', 'lost', 'alone'] },
    },
  })
  const { admin, newKey } = requestsTo(router.url)
  await admin('POST', '/groups', { id: 'department' })
  await admin('POST', '/prices', { id: 'all', model: '*', request: 1 })
  groupKey = await newKey('stored', { group: 'department' })
  await admin('POST', '/budgets', {
    id: 'day',
    group: 'department',
    unit: 'requests',
    limit: 3,
    window: 'day',
  })
  prometheus = await startPrometheus(router)
})
after(async () => {
  await prometheus.stop()
  await router.close()
  await upstream.close()
  await redis.stop()
  keys.remove()
  rmSync(database, { recursive: true })
})

function answer({ url, body }: RecordedRequest) {
  if (url === '/api/chat') return ollamaText('Hi')
  if (url === '/metrics') return metricsText(vllmMetrics({ running: 1 }))
  if (url === '/v1/models') return { kind: 'reply', body: { data: [{ id: 'plain' }] } } as const
  if (url === '/v1/embeddings') {
    const data = [{ index: 0, embedding: [1, 2] }]
    return { kind: 'reply', body: { data, usage: { prompt_tokens: 2 } } } as const
  }
  if (url.startsWith('/locked'))
    return { kind: 'reply', status: 401, body: { error: { message: 'no' } } } as const
  const [pseudonym] = /EMAIL_\w{8}/.exec(JSON.stringify(body)) ?? []
  if (pseudonym !== undefined) return openaiText(`${pseudonym} and EMAIL_zzzzzzzz`)
  const { stream, user }: Record<string, unknown> = Object(body)
  if (user === 'hang') return { kind: 'hang' } as const
  if (user === 'cut')
    return { kind: 'stream', pieces: [openaiChunk({ content: 'a' })], ending: 'cut' } as const
  return stream === true ? openaiStream(['a', 'b', 'c']) : openaiText('Hi')
}

/** Traffic with the outcomes that a router typically has. */
async function traffic(): Promise<void> {
  const path = '/v1/chat/completions'
  const messages = [{ role: 'user', content: 'x' }]
  const ask = (model: string, rest: object = {}, key = teamKey) =>
    post(router.url + path, { model, messages, ...rest }, headersWith(key))
  const taken = await openRequest(router.url, path, { model: 'alone', user: 'hang', messages }, 'open', [
    `authorization: Bearer ${teamKey}`,
  ])
  await Promise.all([
    ask('plain'),
    ask('plain', { stream: true }),
    ask('plain', { stream: true, user: 'cut' }),
    ask('plain', { anonymize: true, messages: [{ role: 'user', content: 'jan@example.com' }] }),
    ask('native', { logit_bias: { 1: 1 } }),
    ask('spare'),
    ask('spare'),
    ask('locked'),
    ask('locked'),
    ask('lost'),
    ask('alone'),
    ask('kept'),
    ask('kept'),
    ask('auto'),
    ask('nobody'),
    ask('plain', {}, narrowKey),
    ask('plain', {}, groupKey),
    fetch(`${router.url}/nowhere`),
  ])
  taken.destroy()
  await once(taken, 'close')
}

function headersWith(key: string): Record<string, string> {
  return { 'content-type': 'application/json', authorization: `Bearer ${key}` }
}

/** The values that Grafana substitutes for its variables. */
function asked(expression: string): string {
  return expression
    .replaceAll('$__rate_interval', '15s')
    .replaceAll('$__range', '15s')
    .replaceAll(/\$(?:job|model)\b/g, '.*')
}

/** Rates need two scrapes; engine metrics come with the router's polls. */
const mostRounds = 20

/** The queries that return nothing despite the traffic. */
async function emptyQueries(expressions: readonly string[]): Promise<string[]> {
  let empty = [...expressions]
  for (let round = 0; round < mostRounds && empty.length > 0; round++) {
    await traffic()
    await prometheus.scraped()
    const given = await Promise.all(empty.map((expression) => prometheus.query(asked(expression))))
    empty = empty.filter((_expression, index) => given[index] === 0)
  }
  return empty
}

const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))

test('every panel shows data for a router under traffic, and a renamed metric is detected', async () => {
  assert.ok(queries.length > 50)
  const names = new Set(`${text}${rules}`.match(metricName))
  assert.ok(names.size > 30)
  assert.deepEqual(await emptyQueries([...queries, ...names]), [])
  const renamed = queries.slice(0, 1).map((query) => query.replace('http_requests_total', 'http_total'))
  assert.notDeepEqual(renamed, queries.slice(0, 1))
  assert.equal(await prometheus.query(asked(renamed[0] ?? '')), 0)
})

const metricName =
  /\b(?:llm_router|http|nodejs|process)_[a-z0-9_]+(?:_total|_seconds|_bytes|_bucket|_sum|_info|_up|_length|_usable|_resting|_state|_in_flight|_in_progress|_workers|_fds)\b/g

test('the dashboard can be imported unchanged: the classic format, with a selectable data source', () => {
  assert.equal(dashboard.schemaVersion, 42)
  assert.equal(dashboard.uid, 'llm-router')
  const [source, ...others] = dashboard.templating.list
  assert.deepEqual([source?.name, source?.type, source?.query], ['datasource', 'datasource', 'prometheus'])
  const sources = [
    ...panels.map(({ datasource }) => datasource?.uid),
    ...panels.flatMap(({ targets = [] }) => targets.map(({ datasource }) => datasource.uid)),
    ...others.map(({ datasource }) => datasource?.uid),
  ]
  assert.deepEqual(new Set(sources), new Set([['$', '{datasource}'].join('')]))
})

test('every panel has a title, a description, a unit and a unique position', () => {
  const taken = new Set<string>()
  for (const { title, description, fieldConfig, gridPos } of panels) {
    assert.ok(title !== '' && description !== undefined && description !== '', title)
    assert.ok(fieldConfig?.defaults.unit, title)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(x < 24 && !taken.has(`${x} ${y}`), title)
        taken.add(`${x} ${y}`)
      }
    }
  }
  const ids = dashboard.panels.map(({ id }) => id)
  assert.equal(new Set(ids).size, ids.length)
})
