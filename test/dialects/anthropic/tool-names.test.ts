import assert from 'node:assert/strict'
import { it } from 'node:test'
import { fromWireName, toWireName } from '../../../src/dialects/anthropic/tool-identifiers.ts'
import { refusedAt } from './support.ts'

it('a legal name is unchanged', () => {
  for (const name of ['get_weather', 'mcp__server__do-it', 'a-x', 'x'.repeat(128)]) {
    assert.equal(toWireName(name, 'p'), name)
    assert.equal(fromWireName(name), name)
  }
})

it('any other name becomes legal and can be read back exactly', () => {
  assert.equal(toWireName('files.read', 'p'), 'files-x2e-read')
  for (const name of [
    'files.read',
    'a..b',
    'ns/tool name',
    'pogoda-łódź',
    '🦜',
    'a-x2e-b',
    '-x2d-',
    'a.-x2e-.b',
  ]) {
    const wire = toWireName(name, 'p')
    assert.match(wire, /^[a-zA-Z0-9_-]{1,128}$/, name)
    assert.equal(fromWireName(wire), name)
  }
})

it('different names stay different', () => {
  const names = ['a.b', 'a-x2e-b', 'a-x2d-x2e-x2d-b', 'a/b', 'a_b', 'a-b']
  assert.equal(new Set(names.map((name) => toWireName(name, 'p'))).size, names.length)
})

it('a name that is empty or remains too long is rejected', () => {
  assert.equal(
    refusedAt(() => toWireName('', 'tools[0].function.name')),
    'tools[0].function.name',
  )
  assert.equal(
    refusedAt(() => toWireName('x'.repeat(129), 'p')),
    'p',
  )
  assert.equal(
    refusedAt(() => toWireName('ł'.repeat(30), 'p')),
    'p',
  )
})

it('a text that looks like an escape but is not a character is unchanged', () => {
  assert.equal(fromWireName('a-xffffff-b'), 'a-xffffff-b')
})
