import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { loadConfig, variables } from '../../src/config/settings/settings.ts'
import { ConfigError } from '../../src/sdk/errors.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { former, formerSettings } from './former-variables.ts'

const read = (file: string) => readFileSync(join(import.meta.dirname, '../../docs', file), 'utf8')
const page = read('migration.md')

/** The rows of the table under this heading, cell by cell. */
function rowsUnder(heading: string): string[][] {
  const [, text = ''] = page.split(`\n${heading}\n`)
  const [section = ''] = text.split(/\n#+ /)
  const rows = section.split('\n').filter((line) => line.startsWith('| `LLM_ROUTER_'))
  return rows.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

const namesIn = (text: string): string[] =>
  [...text.matchAll(/\bLLM_ROUTER_([A-Z_]+\*?)/g)].map(([, name = '']) => name)

/** The messages of a start about a variable with this value. */
function saidOf(name: string, text: string): { notes: string[]; warnings: string[] } {
  return loadConfig({ [`LLM_ROUTER_${name}`]: text })
}

const settings = rowsUnder('### Variables with the same or a similar meaning')
const without = rowsUnder('### Variables without effect')

test('the table of settings in docs/migration.md has every variable of the Python router that is a setting, and no other', () => {
  const known = new Set(variables.map(({ name }) => name))
  assert.deepEqual(
    settings.flatMap(([name = '']) => namesIn(name)),
    formerSettings.toSorted(),
  )
  assert.deepEqual(
    former.filter((name) => known.has(name)),
    former.filter((name) => formerSettings.includes(name)),
  )
})

test('the table of ignored variables in docs/migration.md has every one without an effect, and no other', () => {
  const listed = without.flatMap(([name = '']) => namesIn(name))
  assert.deepEqual(listed.toSorted(), former.filter((name) => !formerSettings.includes(name)).toSorted())
})

test('a variable without an effect is reported, and stops the start if it promises a protection', () => {
  for (const [cell = ''] of without) {
    for (const [, name = '', mark] of cell.matchAll(/`LLM_ROUTER_([A-Z_]+\*?)`( \*\*!\*\*)?/g)) {
      if (mark !== undefined) {
        assert.throws(() => saidOf(name, '1'), ConfigError, name)
        continue
      }
      const { notes, warnings } = saidOf(name.replace('*', 'X'), '1')
      assert.equal(notes.length, 1, name)
      assert.ok(!warnings.some((line) => line.includes('is unknown')), name)
    }
  }
})

test('the defaults in docs/migration.md are those of this router', () => {
  const documented = new Map(
    [...read('configuration.md').matchAll(/^\| `(LLM_ROUTER_\w+)` \|[^|]*\| ([^|]*?) \|/gm)].map(
      ([, name = '', preset = '']) => [name, preset],
    ),
  )
  for (const [name = '', , here = ''] of settings) {
    assert.equal(here, documented.get(name.replaceAll('`', '')), name)
  }
})

test('every other variable in docs/migration.md is a setting of this router', () => {
  const ours = new Set(variables.map(({ name }) => name))
  const strange = namesIn(page).filter((name) => !ours.has(name) && !former.includes(name))
  assert.deepEqual(strange, [])
})

let router: TestRouter

before(async () => {
  router = await startRouter({
    env: { LLM_ROUTER_USE_PROMETHEUS: '1' },
    models: modelsConfig({ demo: [{ api_type: 'mock' }] }),
  })
})
after(() => router.close())

test('every path in docs/migration.md is a route', () => {
  const known = new Set(router.app.apiDocs.routes().map(({ url }) => url))
  const named = [...page.matchAll(/`((?:P|)\/[\w/]*)`/g)].map(([, path = '']) => path)
  const paths = named.filter((path) => path !== '/api').map((path) => path.replace(/^P\//, '/api/'))
  assert.ok(paths.length > 40)
  assert.deepEqual(
    paths.filter((path) => !known.has(path)),
    [],
  )
})

test('docs/migration.md lists kept and removed metrics correctly', () => {
  const here = router.app.metrics.client.register.getMetricsAsArray().map(({ name }) => name)
  // Metrics of keys exist only where keys are enabled; docs/observability.md, which has a test, lists them.
  const known = new Set([
    ...here,
    ...(read('observability.md').match(/\bllm_router_client_\w+|llm_router_login_\w+/g) ?? []),
  ])
  const [, section = ''] = page.split('\n## Metrics\n')
  const [kept = '', rest = ''] = section.split('| Removed |')
  const named = kept.match(/\b(?:http|llm_router)_\w+(?:total|seconds|bytes|progress)\b/g) ?? []
  assert.ok(named.length >= 16)
  const rows = [...rest.matchAll(/^\| ([^|]*) \| ([^|]*) \|$/gm)]
  const [gone, instead] = [1, 2].map((cell) => rows.flatMap((row) => row[cell]?.match(/\w+(?=`)/g) ?? []))
  assert.ok(gone && gone.length >= 6 && instead)
  assert.deepEqual(
    [...named, ...instead].filter((name) => !known.has(name)),
    [],
  )
  assert.deepEqual(
    gone.filter((name) => known.has(name)),
    [],
  )
})
