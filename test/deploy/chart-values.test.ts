import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { chartDir, examples, readYaml } from './chart.ts'
import { verdict } from './values-verdict.ts'

const preset = readYaml(join(chartDir, 'values.yaml'))
const templates = new Map(
  readdirSync(join(chartDir, 'templates'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:yaml|tpl|txt)$/.test(name))
    .map((name) => [name, readFileSync(join(chartDir, 'templates', name), 'utf8')]),
)
const allTemplates = [...templates.values()].join('\n')

test('the chart has the version of the router that it installs', () => {
  const chart = readYaml(join(chartDir, 'Chart.yaml'))
  const { version } = JSON.parse(readFileSync(join(chartDir, '../../../package.json'), 'utf8'))
  assert.equal(chart.appVersion, version)
})

test('the schema accepts the default values and every example', async () => {
  assert.equal(await verdict({}), 200)
  assert.equal(examples.size, 5)
  for (const [name, path] of examples) assert.equal(await verdict(readYaml(path)), 200, name)
})

test('the schema accepts models-config.json as an object and as a string', async () => {
  const file = { active_models: {} }
  assert.equal(await verdict({ modelsConfig: file }), 200)
  assert.equal(await verdict({ modelsConfig: JSON.stringify(file) }), 200)
  assert.equal(await verdict({ modelsConfig: { models: {} } }), 400)
})

for (const [what, values] of [
  ['a misspelt name', { replica: 3 }],
  ['a misspelt name further down', { metrics: { serviceMonitor: { enable: true } } }],
  ['a number where a name belongs', { redis: { host: 6379 } }],
  ['a Redis URL with a password, which belongs into a Secret', { redis: { url: 'redis://:pw@redis' } }],
  ['a port that only root may open', { port: 80 }],
  ['a prompt id that leads out of its directory', { prompts: { '../passwd': 'x' } }],
  ['a prompt id with a dot, which stands for the slash in keys', { prompts: { 'a.b': 'x' } }],
  ['a setting that the chart decides', { env: { LLM_ROUTER_SERVER_PORT: '80' } }],
  ['a collector without its scheme', { tracing: { endpoint: 'otel-collector:4318' } }],
  ['a keys file named among the settings', { env: { LLM_ROUTER_AUTH_MEMORY_SEED_FILE: '/k.json' } }],
  ['a trusted proxy that is a name', { trustedProxies: ['ingress.example.com'] }],
  ['a base path with a slash at its end', { basePath: '/llm/' }],
  ['a probe without its slash', { probes: { liveness: { path: 'livez' } } }],
] as const) {
  test(`the schema rejects ${what}`, async () => {
    assert.equal(await verdict(values), 400)
  })
}

test('every value that a template reads is in values.yaml', () => {
  const paths = [...allTemplates.matchAll(/\.Values((?:\.\w+)+)/g)].map(([, path = '']) =>
    path.slice(1).split('.'),
  )
  assert.ok(paths.length > 50)
  const unknown = paths.filter((path) => !has(preset, path)).map((path) => path.join('.'))
  assert.deepEqual(unknown, [])
})

test('every value in values.yaml is read by a template', () => {
  // Rendered as a whole (toYaml), so no template names their members.
  const whole = ['resources', 'podSecurityContext', 'securityContext', 'probes', 'labels', 'tls']
  const unread = leaves(preset)
    .filter((path) => !path.some((name) => whole.includes(name)))
    .filter((path) => !new RegExp(`\\.${path.at(-1)}\\b`).test(allTemplates))
  assert.deepEqual(
    unread.map((path) => path.join('.')),
    [],
  )
})

test('every template closes its blocks and includes only defined templates', () => {
  const defined = [...allTemplates.matchAll(/define "([^"]+)"/g)].map(([, name]) => name)
  for (const [name, text] of templates) {
    const actions = [...text.matchAll(/\{\{-?\s*(\w+)/g)].map(([, word = '']) => word)
    const opened = actions.filter((word) => ['if', 'with', 'range', 'define'].includes(word))
    assert.equal(opened.length, actions.filter((word) => word === 'end').length, name)
    for (const [, used] of text.matchAll(/include "([^"]+)"/g))
      assert.ok(defined.includes(used), `${name}: ${used}`)
  }
})

test('optional objects are off by default', () => {
  const switches = leaves(preset).filter((path) => path.at(-1) === 'enabled')
  const on = switches.filter((path) => valueAt(preset, path) === true)
  assert.ok(switches.length >= 9)
  assert.deepEqual(on, [['topologySpread', 'enabled']])
})

function leaves(tree: unknown, path: string[] = []): string[][] {
  if (!isObject(tree) || Object.keys(tree).length === 0) return [path]
  return Object.entries(tree).flatMap(([name, child]) => leaves(child, [...path, name]))
}

function valueAt(tree: unknown, path: readonly string[]): unknown {
  return path.reduce((node, name) => (isObject(node) ? node[name] : undefined), tree)
}

function has(tree: unknown, path: readonly string[]): boolean {
  return valueAt(tree, path) !== undefined
}
