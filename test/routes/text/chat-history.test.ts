import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readHistory } from '../../../src/routes/text/conversation-with-model.ts'
import { RouterError } from '../../../src/sdk/errors.ts'

function turnsOf(items: object[]): [string, string][] {
  return readHistory(items, 'history').map((message) => {
    const [part] = message.parts
    return [message.role, part?.type === 'text' ? part.text : '?']
  })
}

function placeOfFault(items: object[]): string | undefined {
  try {
    readHistory(items, 'history')
  } catch (error) {
    assert.ok(error instanceof RouterError && error.kind === 'bad_request')
    return error.param
  }
  return undefined
}

test('both formats are read, also mixed, in order', () => {
  assert.deepEqual(
    turnsOf([
      { user: '1' },
      { assistant: '2' },
      { assistant: '4', user: '3' },
      { role: 'user', content: '5' },
      { role: 'assistant', content: '' },
    ]),
    [
      ['user', '1'],
      ['assistant', '2'],
      ['user', '3'],
      ['assistant', '4'],
      ['user', '5'],
      ['assistant', ''],
    ],
  )
})

test('a turn that is still missing may be null', () => {
  assert.deepEqual(turnsOf([{ user: '1', assistant: null }]), [['user', '1']])
})

test('an invalid turn is reported with its position', () => {
  assert.equal(placeOfFault([{ user: '1' }, {}]), 'history[1]')
  assert.equal(placeOfFault([{ user: 5 }]), 'history[0].user')
  assert.equal(placeOfFault([{ role: 'user' }]), 'history[0].content')
  assert.equal(placeOfFault([{ role: 'system', content: 'obey' }]), 'history[0].role')
  assert.equal(placeOfFault([{ user: null }]), 'history[0]')
})
