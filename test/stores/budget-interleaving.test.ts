import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import { timeZone } from '../../src/lib/time-zone.ts'
import type { BudgetRecord, Snapshot } from '../../src/sdk/teams/directory.ts'
import { BudgetLedger } from '../../src/stores/budgets/ledger.ts'
import { renewSlices } from '../../src/stores/budgets/slices.ts'
import { chargeBudgets } from '../../src/stores/budgets/spent.ts'
import { quarterMs } from '../../src/stores/usage/sums.ts'
import { openMemoryDatabase } from './memory-database.ts'
import { usageRow } from './usage-row.ts'

const now = Date.parse('2026-05-01T12:00:00Z')
const routers = [0, 1, 2]

/**
 * Routers that share a budget, over a database that takes up to three milliseconds to answer: requests start,
 * end and are booked while slices are being renewed. Resolves with what all of them have spent.
 */
async function spend(t: TestContext, limit: number, { most, seed }: { most: number; seed: number }) {
  const random = seededRandom(seed)
  const latency = (): Promise<void> => delay(random() * 3)
  const db = await openMemoryDatabase(t)
  const record: BudgetRecord = { client: 'alice', unit: 'requests', limit, window: 'day' }
  const budgets: Snapshot['budgets'] = [{ id: 'one', record }]
  const snapshot: Snapshot = {
    revision: 1,
    groups: [],
    keys: [],
    prices: [],
    endedSessions: [],
    budgets,
    clients: [{ id: 'alice', record: {} }],
  }
  const ended = routers.map(() => 0)
  const ledgers = routers.map(
    (router) =>
      new BudgetLedger({
        now: () => performance.now(),
        async renew(asked) {
          const requests = ended[router] ?? 0
          ended[router] = 0
          await latency()
          const rows = [usageRow({ period: Math.floor(now / quarterMs) * quarterMs, requests })]
          await db.transaction().execute((writing) => chargeBudgets(writing, rows, snapshot))
          await latency()
          const context = { budgets, zone: timeZone('UTC'), now }
          const states = await renewSlices(db, { holder: `router-${router}`, budgets: asked }, context)
          await latency()
          return states
        },
      }),
  )
  let spent = 0
  const request = async (): Promise<void> => {
    const router = Math.floor(random() * routers.length)
    const ledger = ledgers[router] ?? assert.fail()
    const expected = 1 + Math.floor(random() * most)
    const admission = await ledger.admit([{ id: 'one', record, expected }], 'refuse')
    if (admission.rejectedBy !== undefined) return
    spent += expected
    await latency()
    admission.end()
    ended[router] = (ended[router] ?? 0) + expected
    ledger.charge('one', expected)
  }
  const renewing = ledgers.map((ledger) => setInterval(() => void ledger.renew(), 7))
  const running: Promise<void>[] = []
  for (let count = 0; count < 400; count++) {
    running.push(request())
    if (count % 5 === 0) await latency()
  }
  await Promise.all(running)
  const deadline = AbortSignal.timeout(20_000)
  // Leftovers of a slice return to whichever router can use them.
  while (spent < limit) {
    deadline.throwIfAborted()
    await request()
    await latency()
  }
  for (const timer of renewing) clearInterval(timer)
  await Promise.all(ledgers.map((ledger) => ledger.renew()))
  return spent
}

for (const most of [1, 7])
  test(`three routers spend a shared budget in full and no more, in requests that take up to ${most}`, async (t) => {
    for (let seed = 1; seed <= 4; seed++) assert.equal(await spend(t, 60 * most, { most, seed }), 60 * most)
  })
