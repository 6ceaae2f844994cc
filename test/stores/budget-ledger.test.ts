import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BudgetRecord } from '../../src/sdk/teams/directory.ts'
import { BudgetLedger } from '../../src/stores/budgets/ledger.ts'
import type { BudgetState, SliceRequest } from '../../src/stores/budgets/slices.ts'

const record: BudgetRecord = { client: 'alice', unit: 'requests', limit: 100, window: 'day' }

/** A ledger whose database answers when the test does. */
function openLedger() {
  const asked: { budgets: SliceRequest['budgets']; answer: (states: BudgetState[]) => void }[] = []
  const ledger = new BudgetLedger({
    now: () => 0,
    renew(budgets) {
      const { promise, resolve } = Promise.withResolvers<BudgetState[]>()
      asked.push({ budgets, answer: resolve })
      return promise
    },
  })
  const answer = async (granted: number): Promise<void> => {
    asked.at(-1)?.answer([{ id: 'one', granted, spent: 0, start: 0, resetsAt: 1 }])
    await new Promise(setImmediate)
  }
  /** How many of these requests are admitted without waiting for the database. */
  const admitted = async (requests: number): Promise<number> => {
    let count = 0
    for (let request = 0; request < requests; request++)
      void ledger.admit([{ id: 'one', record, expected: 1 }], 'refuse').then(({ rejectedBy }) => {
        if (rejectedBy === undefined) count++
      })
    await new Promise(setImmediate)
    return count
  }
  return { ledger, answer, admitted, asked: () => asked.at(-1)?.budgets[0] }
}

test('while a slice is renewed, no more of it is spent than the process keeps in any case', async () => {
  const { ledger, answer, admitted, asked } = openLedger()
  const first = admitted(1)
  await new Promise(setImmediate)
  await answer(20)
  await first
  assert.equal(await admitted(3), 3)
  void ledger.renew()
  await new Promise(setImmediate)
  const { reserved = 0, retained = 0 } = asked() ?? {}
  assert.equal(reserved, 4)
  // Of the 16 that are left, other processes may get those that are not kept.
  assert.ok(retained > 0 && retained < 16, `${retained}`)
  assert.equal(await admitted(16), retained)
  await answer(reserved + retained)
  assert.equal(await admitted(1), 0)
})

test('requests that wait for a slice get it, even if the next renewal begins before they continue', async () => {
  const { ledger, answer, admitted, asked } = openLedger()
  const waiting = Array.from({ length: 5 }, () =>
    ledger.admit([{ id: 'one', record, expected: 1 }], 'refuse'),
  )
  await new Promise(setImmediate)
  void ledger.renew()
  await answer(5)
  for (const { rejectedBy } of await Promise.all(waiting)) assert.equal(rejectedBy, undefined)
  const { reserved = 0, retained = 0 } = asked() ?? {}
  assert.equal(reserved + retained, 5)
  await answer(reserved + retained)
  assert.equal(await admitted(1), 0)
})

test('failed renewals take the slice away at most once', async () => {
  const failing = { isAway: false }
  const ledger = new BudgetLedger({
    now: () => 0,
    async renew() {
      if (failing.isAway) throw new Error('away')
      return [{ id: 'one', granted: 8, spent: 0, start: 0, resetsAt: 1 }]
    },
  })
  const admit = () => ledger.admit([{ id: 'one', record, expected: 1 }], 'refuse')
  await admit()
  failing.isAway = true
  for (let count = 0; count < 5; count++) await ledger.renew()
  let admitted = 0
  while ((await admit()).rejectedBy === undefined) admitted++
  // Of the 7 that were left, half may have gone to others with the failed renewal.
  assert.ok(admitted >= 3 && admitted <= 7, `${admitted}`)
})

test('an exhausted budget does not query the database for each request that it rejects', async () => {
  const clock = { now: 0 }
  let renewals = 0
  const ledger = new BudgetLedger({
    now: () => clock.now,
    async renew() {
      renewals++
      return [{ id: 'one', granted: clock.now < 1_000 ? 0 : 5, spent: 0, start: 0, resetsAt: 1 }]
    },
  })
  const admit = () => ledger.admit([{ id: 'one', record, expected: 1 }], 'refuse')
  for (let count = 0; count < 100; count++) assert.equal((await admit()).rejectedBy, 'one')
  assert.equal(renewals, 1)
  clock.now = 1_000
  assert.equal((await admit()).rejectedBy, undefined)
})

test('the part of a slice that is too small for a request is returned', async () => {
  const { ledger, answer, admitted, asked } = openLedger()
  const first = admitted(1)
  await new Promise(setImmediate)
  await answer(2.75)
  await first
  ledger.charge('one', 1)
  void ledger.renew()
  await new Promise(setImmediate)
  // One is reserved, one spent.
  assert.equal(asked()?.retained, 0)
})
