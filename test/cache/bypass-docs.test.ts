import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { bypassReason, bypassReasons, toolMembers } from '../../src/processors/cache/bypass.ts'

/** Bodies with the members that the table names. */
const samples: Readonly<Record<string, Record<string, unknown>>> = {
  previous_response_id: { previous_response_id: 'resp_1' },
  conversation: { conversation: 'conv_1' },
  '"store": true': { store: true },
  '"background": true': { background: true },
  '"echo": true': { echo: true },
  n: { n: 2 },
  best_of: { best_of: 2 },
  candidateCount: { generationConfig: { candidateCount: 2 } },
  audio: { audio: { voice: 'alloy' } },
  speechConfig: { generationConfig: { speechConfig: { voiceConfig: {} } } },
  modalities: { modalities: ['text', 'audio'] },
  responseModalities: { generationConfig: { responseModalities: ['IMAGE'] } },
  ...Object.fromEntries(toolMembers.map((member) => [member, { [member]: [{}] }])),
}

interface Row {
  members: string[]
  reason: string | undefined
}

function quoted(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)
}

function rows(): Row[] {
  const page = readFileSync(new URL('../../docs/cache.md', import.meta.url), 'utf8')
  const [, table = ''] =
    /\n\| Request \| `\/api\/route` reports \|[^\n]*\n\|[-|]*\n((?:\|[^\n]*\n)+)/.exec(page) ?? []
  return table
    .trim()
    .split('\n')
    .map((line) => {
      const [, request = '', reported = ''] = line.split('|')
      const [reason] = quoted(reported)
      return { members: quoted(request).filter((member) => member !== 'seed'), reason }
    })
}

test('the cache documentation lists every bypass reason and every member that causes one', () => {
  const found = rows()
  // The dry run of /api/route cannot report the reason `processor`.
  const reasons = found.flatMap(({ reason }) => reason ?? [])
  assert.deepEqual([...reasons, 'processor'].sort(), [...bypassReasons].sort())
  const named = found.flatMap(({ members }) => members)
  assert.deepEqual([...named].sort(), Object.keys(samples).sort())
  for (const { members, reason } of found)
    for (const member of members)
      assert.equal(bypassReason(samples[member] ?? {}, { tools: false }), reason, member)
})

test('members that let a model act bypass the cache unless it stores such responses', () => {
  for (const member of toolMembers)
    assert.equal(bypassReason({ [member]: [{}] }, { tools: true }), undefined, member)
})
