import assert from 'node:assert/strict'
import { test } from 'node:test'
import { csvOf } from '../../src/sdk/teams/csv.ts'

test('text that a spreadsheet would execute is escaped, and text with CSV syntax is quoted', () => {
  const names = ['=1+1', '+1', '-1', '@sum(a)', '\tx', ' =x', 'a,b', 'say "hi"', 'two\r\nlines', 'plain']
  assert.equal(
    csvOf(
      ['name', 'count'],
      names.map((name) => ({ name, count: -1 })),
    ),
    [
      'name,count',
      "'=1+1,-1",
      "'+1,-1",
      "'-1,-1",
      "'@sum(a),-1",
      "'\tx,-1",
      "' =x,-1",
      '"a,b",-1',
      '"say ""hi""",-1',
      '"two\r\nlines",-1',
      'plain,-1',
      '',
    ].join('\r\n'),
  )
})
