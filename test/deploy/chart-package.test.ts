import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { parse } from 'yaml'
import { chartDir } from './chart.ts'

describe('the packaged chart', () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-chart-package-'))
  after(() => rmSync(folder, { recursive: true }))
  const chart = parse(readFileSync(join(chartDir, 'Chart.yaml'), 'utf8'))

  const packaged = (...args: string[]): { archive: string; entry: Record<string, unknown> } => {
    const { status, stderr } = spawnSync(join(chartDir, '../package.sh'), args, { encoding: 'utf8' })
    assert.deepEqual([status, stderr], [0, ''])
    const [target = ''] = args
    const { apiVersion, entries } = parse(readFileSync(join(target, 'index.yaml'), 'utf8'))
    assert.equal(apiVersion, 'v1')
    assert.deepEqual(Object.keys(entries), [chart.name])
    return { archive: join(target, `llm-router-${chart.version}.tgz`), entry: entries[chart.name][0] }
  }

  test('contains the dashboard and the alert rules, which the repository keeps outside the chart', () => {
    const { archive } = packaged(join(folder, 'contents'))
    const read = (name: string): string =>
      spawnSync('tar', ['-xzOf', archive, `llm-router/${name}`], { encoding: 'utf8' }).stdout
    const resources = join(chartDir, '../../../resources')
    for (const [name, source] of [
      ['Chart.yaml', join(chartDir, 'Chart.yaml')],
      ['values.schema.json', join(chartDir, 'values.schema.json')],
      ['files/llm-router.json', join(resources, 'grafana/llm-router.json')],
      ['files/rules.yaml', join(resources, 'prometheus/rules.yaml')],
    ] as const)
      assert.equal(read(name), readFileSync(source, 'utf8'), name)
  })

  test('has an index, so that its directory can be added as a repository', () => {
    const { archive, entry } = packaged(join(folder, 'beside'))
    const { created, digest, urls, ...about } = entry
    assert.deepEqual(about, chart)
    assert.equal(digest, createHash('sha256').update(readFileSync(archive)).digest('hex'))
    assert.ok(!Number.isNaN(Date.parse(String(created))))
    assert.deepEqual(urls, [`llm-router-${chart.version}.tgz`])
    const { entry: elsewhere } = packaged(join(folder, 'elsewhere'), 'https://charts.example.com/llm')
    assert.deepEqual(elsewhere.urls, [`https://charts.example.com/llm/llm-router-${chart.version}.tgz`])
  })
})
