import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryLimits } from '../../src/stores/limits/memory.ts'
import { type LimitDemand, type LimitStore, scopedLimits } from '../../src/stores/limits/store.ts'

const now = () => performance.now()
const group = { key: 'group', limits: { requests: 5 } }

function demandOf(client: string, ticket: number, requests: number): LimitDemand {
  const limits = { requests }
  return {
    key: client,
    ticket: `${client}-${ticket}`,
    limits,
    scopes: [{ key: client, limits }, group],
    tokens: 0,
    requests: 1,
    slots: 1,
  }
}

for (const [name, together] of [
  ['sequentially', undefined],
  ['together', { now }],
] as const) {
  test(`a client over its own limit takes nothing from its group, whose scopes are asked ${name}`, async () => {
    const counted = memoryLimits(now)
    let givesBack = true
    const waiting: (() => Promise<void>)[] = []
    // Releases arrive later, as they do over a network.
    const store: LimitStore = {
      ...counted,
      settle: async (settlement) => {
        const settle = () => counted.settle(settlement)
        if (givesBack) await settle()
        else waiting.push(settle)
      },
    }
    const limits = scopedLimits(store, together)
    assert.equal((await limits.reserve(demandOf('busy', 0, 1))).rejectedBy, undefined)
    assert.equal((await limits.reserve(demandOf('busy', 1, 1))).rejectedBy, 'requests')
    givesBack = false
    const more = Array.from({ length: 20 }, (_each, index) => limits.reserve(demandOf('busy', 2 + index, 1)))
    for (const { rejectedBy } of await Promise.all(more)) assert.equal(rejectedBy, 'requests')
    for (let index = 0; index < 4; index++)
      assert.equal((await limits.reserve(demandOf('neighbour', index, 10))).rejectedBy, undefined)
    assert.equal((await limits.reserve(demandOf('neighbour', 4, 10))).rejectedBy, 'requests')
    assert.ok(waiting.length > 0 || together === undefined)
  })
}
