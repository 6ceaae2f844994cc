import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forwardedTrace, readTraceContext } from '../../../src/plugins/tracing/trace-context.ts'
import { targetOf } from '../../helpers/models-file.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const parentId = 'b7ad6b7169203331'
const valid = `00-${traceId}-${parentId}-01`

test('a valid traceparent is parsed', () => {
  assert.deepEqual(readTraceContext(valid, undefined), { traceId, parentId, flags: 1, state: undefined })
})

test('a later version is parsed as far as this one is known', () => {
  for (const later of [`cc-${traceId}-${parentId}-01`, `cc-${traceId}-${parentId}-01-what.the-future`]) {
    assert.deepEqual(readTraceContext(later, undefined), { traceId, parentId, flags: 1, state: undefined })
  }
})

test('undefined flags are dropped', () => {
  assert.equal(readTraceContext(`00-${traceId}-${parentId}-ff`, undefined)?.flags, 3)
  assert.equal(readTraceContext(`00-${traceId}-${parentId}-08`, undefined)?.flags, 0)
})

test('an invalid traceparent is ignored', () => {
  const bad = [
    '',
    `ff-${traceId}-${parentId}-01`,
    `00-${traceId}-${parentId}-01-more`,
    `00-${traceId}-${parentId}-01-`,
    `cc-${traceId}-${parentId}-01.more`,
    `00-${'0'.repeat(32)}-${parentId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${parentId}-01`,
    `00-${traceId.slice(1)}-${parentId}-01`,
    `00-${traceId}-${parentId}-1`,
    `00-${traceId}-${parentId}-0g`,
    `0-${traceId}-${parentId}-01`,
    `00_${traceId}_${parentId}_01`,
    // Node joins repeated headers.
    `${valid}, ${valid}`,
  ]
  for (const text of bad) assert.equal(readTraceContext(text, 'a=1'), undefined, text)
  assert.equal(readTraceContext(undefined, 'a=1'), undefined)
  assert.equal(readTraceContext([valid, valid], undefined), undefined)
})

const stateOf = (tracestate: string) => readTraceContext(valid, tracestate)?.state

test('the members of a tracestate are passed on in order, without the white space around them', () => {
  assert.equal(
    stateOf('rojo=00f067aa0ba902b7, tenant@system=t61rcWkgMzE\t,,x=a b'),
    'rojo=00f067aa0ba902b7,tenant@system=t61rcWkgMzE,x=a b',
  )
  assert.equal(stateOf(Array.from({ length: 32 }, (_, index) => `k${index}=v`).join())?.split(',').length, 32)
})

test('keys of Level 2 may begin with a digit and contain at signs after the first character', () => {
  for (const key of ['foo@', '1foo', 'foo@@bar', 'a@b@c', `t@${'v'.repeat(15)}`, `0${'@'.repeat(255)}`]) {
    assert.equal(stateOf(`${key}=1,bar=2`), `${key}=1,bar=2`)
  }
})

test('an invalid tracestate is dropped as a whole, and the traceparent is kept', () => {
  const bad = [
    'a',
    '=1',
    'a=',
    'A=1',
    'a=1=2',
    'a b=1',
    'a=\u00e9',
    '@a=1',
    '_a=1',
    `${'k'.repeat(257)}=1`,
    `a=${'v'.repeat(257)}`,
    Array.from({ length: 33 }, (_, index) => `k${index}=v`).join(),
  ]
  for (const text of bad) {
    assert.deepEqual(
      readTraceContext(valid, `ok=1,${text}`),
      { traceId, parentId, flags: 1, state: undefined },
      text,
    )
  }
  assert.equal(stateOf(''), undefined)
})

test('a long tracestate is truncated to the first members that fit into 512 characters', () => {
  const members = Array.from({ length: 5 }, (_, index) => `k${index}=${'v'.repeat(125)}`)
  // Four members of 128 characters and three commas are 515.
  assert.equal(stateOf(members.join()), members.slice(0, 3).join())
})

test('a trace context that is only passed on stays unchanged', () => {
  const trace = forwardedTrace({ traceparent: valid })
  assert.deepEqual(trace?.beginAttempt(targetOf({}), {}).dispatched('chat', false), {
    traceparent: valid,
  })
})
