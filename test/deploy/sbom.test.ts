import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')

test('the bill of materials lists exactly the packages in the image', () => {
  const { status, stdout, stderr } = spawnSync(join(root, 'scripts/sbom.sh'), { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  const bill: { bomFormat: string; components: { name: string; version: string }[] } = JSON.parse(stdout)
  assert.equal(bill.bomFormat, 'CycloneDX')
  const listed = bill.components.map(({ name, version }) => `${name}@${version}`).sort()
  assert.deepEqual([...new Set(listed)], installed())
})

/** The packages of `npm ci --omit=dev --omit=optional`: see the Dockerfile. */
function installed(): string[] {
  const lock: {
    packages: Record<string, { version: string; dev?: true; optional?: true; devOptional?: true }>
  } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const names = Object.entries(lock.packages)
    .filter(([path, { dev, optional, devOptional }]) => path !== '' && !dev && !optional && !devOptional)
    .map(([path, { version }]) => `${path.slice(path.lastIndexOf('node_modules/') + 13)}@${version}`)
  return [...new Set(names)].sort()
}
