import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/settings/settings.ts'
import { missing } from './chart.ts'

const unit = join(import.meta.dirname, '../../deploy/systemd/llm-router.service')
const text = readFileSync(unit, 'utf8')
const skip = missing('systemd-analyze')

/** The values of a setting, in order. */
function valuesOf(name: string): string[] {
  return [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value)
}

test('systemd-analyze finds no error in the unit', { skip }, () => {
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' })
  assert.deepEqual([status, stderr], [0, ''])
})

test('systemd rates the exposure of the service as low', { skip }, () => {
  // The threshold is ten times the rating, which ranges from 0 to 10.
  const args = ['security', '--offline=true', '--threshold=20', unit]
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
})

test('the router accepts the environment of the service', () => {
  const variables = valuesOf('Environment').flatMap((line) => line.split(' '))
  const env = Object.fromEntries(
    variables.map((pair) => [pair.split('=')[0], pair.slice(pair.indexOf('=') + 1)]),
  )
  const { config, warnings } = loadConfig(env)
  assert.deepEqual(warnings, [])
  assert.equal(config.modelsConfigPath, '/etc/llm-router/models-config.json')
  assert.deepEqual(valuesOf('TimeoutStopSec'), [String(Number(env.LLM_ROUTER_DRAIN_TIMEOUT) + 20)])
})

test('the service runs the installed command without root and allows what V8 needs', () => {
  assert.deepEqual(valuesOf('ExecStart'), ['/usr/bin/env llm-router serve'])
  assert.deepEqual(valuesOf('DynamicUser'), ['yes'])
  assert.deepEqual(valuesOf('MemoryDenyWriteExecute'), [])
  assert.deepEqual(valuesOf('RestartPreventExitStatus'), ['2'])
})
