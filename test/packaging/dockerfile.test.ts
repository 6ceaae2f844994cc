import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { validate } from 'dockerfile-utils'

const root = join(import.meta.dirname, '../..')
const text = readFileSync(join(root, 'Dockerfile'), 'utf8')

test('the linter finds no fault in the Dockerfile', () => {
  assert.deepEqual(validate(text), [])
  assert.notDeepEqual(validate(text.replace('CMD [', 'CMDS [')), [], 'and it would find one')
})

test('the image is made in two stages and does not run as root', () => {
  assert.equal(text.match(/^FROM /gm)?.length, 2)
  assert.match(text, /^USER (?!root)\w+/m)
})
