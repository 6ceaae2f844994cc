import assert from 'node:assert/strict'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { openDatabase } from '../../../src/stores/database/open.ts'
import { writeBatch } from '../../../src/stores/usage/write.ts'
import { sqliteUrl } from '../../teams/team-router.ts'
import { usageRow } from '../usage-row.ts'

const writes = 1_000

/** The median delay of the event loop in milliseconds while the work was done. */
async function medianDelayMs(work: () => Promise<unknown>): Promise<number> {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  await work()
  delays.disable()
  return delays.percentile(50) / 1e6
}

test('1,000 usage writes to SQLite do not block the event loop, even while another process has locked the file', async (t) => {
  const path = sqliteUrl(t).slice('sqlite:'.length)
  const { db, close } = await openDatabase({ kind: 'sqlite', path }, assert.ifError)
  t.after(() => close())
  const alsoWrite = async (): Promise<void> => undefined
  const write = (index: number) => {
    const part = { rows: [usageRow({ client: `client-${index % 100}` })], lastUsed: {} }
    return writeBatch(
      db,
      { id: `batch-${index}`, part },
      { now: 0, previous: undefined, alsoWrite, onRejected: assert.fail },
    )
  }
  const idle = await medianDelayMs(() => new Promise((resolve) => setTimeout(resolve, 500)))
  const busy = await medianDelayMs(async () => {
    for (let index = 0; index < writes; index++) await write(index)
  })
  assert.ok(busy < 10 * Math.max(idle, 1), `${busy} ms, ${idle} ms without writes`)

  const other = new DatabaseSync(path)
  t.after(() => other.close())
  other.exec('begin immediate')
  let isWritten = false
  const last = write(writes).then(() => {
    isWritten = true
  })
  // If it were written in this thread, none of these would come before the lock is released.
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(isWritten, false)
  other.exec('commit')
  await last
  const { requests } = await db
    .selectFrom('usage_quarters')
    .select((build) => build.fn.sum<number>('requests').as('requests'))
    .executeTakeFirstOrThrow()
  assert.equal(Number(requests), writes + 1)
})
