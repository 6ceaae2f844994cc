import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { parse } from 'yaml'
import { isObject } from '../../src/lib/json/read.ts'
import { helm, missing, Rendering, readYaml } from './chart.ts'
import { verdict } from './values-verdict.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/kubernetes.md'), 'utf8')
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, text = '']) => text)
/** The value files, by the name in their first line. */
const files = blocks('yaml').flatMap((text): [string, string][] => {
  const name = /^# (\S+-values\.yaml)\n/.exec(text)?.[1]
  return name === undefined ? [] : [[name, text]]
})
const commands = blocks('sh').flatMap((text) => text.trim().split('\n'))

test('the schema accepts every value file on the Kubernetes page', async () => {
  assert.ok(files.length >= 8)
  for (const [name, text] of files) assert.equal(await verdict(parse(text)), 200, name)
})

test("every value in the page's table exists and has the listed default", () => {
  const preset = readYaml(join(root, 'deploy/helm/llm-router/values.yaml'))
  const rows = [...page.matchAll(/^\| `([a-zA-Z.]+)`.*?\| (`[^`]*`|[^|]*?) \|/gm)]
  assert.ok(rows.length >= 10)
  for (const [, path = '', shown = ''] of rows) {
    const value = path
      .split('.')
      .reduce<unknown>((node, name) => (isObject(node) ? node[name] : undefined), preset)
    assert.notEqual(value, undefined, path)
    if (shown.startsWith('`')) assert.deepEqual(parse(shown.slice(1, -1)), value, path)
  }
})

test('every file and directory that the page names exists', () => {
  const named = page.match(/(?:deploy|scripts|resources)\/[\w./-]*\w/g) ?? []
  assert.ok(named.length > 5)
  // The dashboard and the rules come from elsewhere in the repository; the reader creates keys.env.
  const ours = named.filter((path) => !path.startsWith('resources/') && !path.endsWith('/keys.env'))
  for (const path of ours) assert.ok(existsSync(join(root, path)), path)
})

describe('the helm commands of the page', { skip: missing('helm') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-page-'))
  after(() => rmSync(folder, { recursive: true }))
  for (const name of ['deploy', 'resources']) symlinkSync(join(root, name), join(folder, name))
  for (const [name, text] of files) writeFileSync(join(folder, name), text)
  cpSync(join(root, 'resources/configs/models-config.json'), join(folder, 'models-config.json'))
  spawnSync(join(root, 'deploy/helm/package.sh'), [folder])

  const installs = commands.filter((line) => /^helm (?:install|upgrade)/.test(line))
  test('the Kubernetes page has helm commands', () => assert.ok(installs.length >= 4))

  for (const line of installs) {
    const needed = [...line.matchAll(/resources\/\S+/g)].map(([path]) => path)
    if (line.includes('monitoring-values')) needed.push('resources/grafana', 'resources/prometheus')
    const absent = needed.filter((path) => !existsSync(join(root, path)))
    test(`render: ${line}`, { skip: absent.length > 0 && `${absent.join()} not there` }, () => {
      const args = line.split(' ').slice(line.startsWith('helm install') ? 2 : 3)
      const result = helm(['template', ...args], folder)
      assert.ok('text' in result, 'error' in result ? result.error : '')
      assert.equal(new Rendering(result.text).the('Deployment').metadata.name, 'router-llm-router')
    })
  }

  test('each value file renders on its own', () => {
    for (const [name] of files.filter(([file]) => file !== 'monitoring-values.yaml')) {
      const result = helm(['template', 'router', 'deploy/helm/llm-router', '-f', name], folder)
      assert.ok('text' in result, 'error' in result ? `${name}: ${result.error}` : '')
    }
  })
})
