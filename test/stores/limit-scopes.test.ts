import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryLimits } from '../../src/stores/limits/memory.ts'
import { type LimitDemand, type LimitStore, limitsOfScopes } from '../../src/stores/limits/store.ts'

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
    const limits = limitsOfScopes(store, together)
    assert.equal((await limits.reserve(demandOf('busy', 0, 1))).refusedBy, undefined)
    assert.equal((await limits.reserve(demandOf('busy', 1, 1))).refusedBy, 'requests')
    givesBack = false
    const more = Array.from({ length: 20 }, (_each, index) => limits.reserve(demandOf('busy', 2 + index, 1)))
    for (const { refusedBy } of await Promise.all(more)) assert.equal(refusedBy, 'requests')
    for (let index = 0; index < 4; index++)
      assert.equal((await limits.reserve(demandOf('neighbour', index, 10))).refusedBy, undefined)
    assert.equal((await limits.reserve(demandOf('neighbour', 4, 10))).refusedBy, 'requests')
    assert.ok(waiting.length > 0 || together === undefined)
  })
}
