import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'

const root = join(import.meta.dirname, '../..')
const rows = readFileSync(join(root, 'docs/translation.md'), 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, number, where] = /^\| P-(\d\d) \|[^|]*\| (.*) \|$/.exec(line) ?? []
    return number === undefined || where === undefined ? [] : [{ number: Number(number), where }]
  })

it('docs/translation.md has each known pitfall once, in order', () => {
  assert.deepEqual(
    rows.map(({ number }) => number),
    Array.from({ length: 75 }, (_, index) => index + 1),
  )
})

it('every test that docs/translation.md names exists', () => {
  for (const { number, where } of rows) {
    if (where.startsWith('no test: ')) continue
    const [, file, name] = /^`(test\/[\w/.-]+)`: (.+)$/.exec(where) ?? []
    assert.ok(file !== undefined && name !== undefined, `P-${number}: ${where}`)
    assert.ok(readFileSync(join(root, file), 'utf8').includes(name), `P-${number}: ${file} has no "${name}"`)
  }
})
