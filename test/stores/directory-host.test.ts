import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type KyselyPlugin, type RootOperationNode, sql } from 'kysely'
import { databaseAddress } from '../../src/lib/database-address.ts'
import type { Snapshot } from '../../src/sdk/teams/directory.ts'
import { openDatabase } from '../../src/stores/database/open.ts'
import type { CommandName, Commands } from '../../src/stores/directory/commands.ts'
import { execute } from '../../src/stores/directory/execute.ts'
import { DirectoryHost } from '../../src/stores/directory/host.ts'
import { UsageSpool } from '../../src/stores/usage/spool.ts'
import { eventually } from '../helpers/eventually.ts'
import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { openTeam } from '../teams/team-router.ts'

const actor = { id: 'tester', source: 'cli', address: '' } as const

async function openPostgres(t: TestContext) {
  const url = await (await sharedPostgres()).url()
  const address = databaseAddress(url)
  assert.ok(address)
  const database = await openDatabase(address, assert.ifError)
  t.after(() => database.close())
  return { url, database }
}

/** Delays the result of the first query of a table after `hold`. */
function delayedRead(table: string) {
  const held = new Set<unknown>()
  const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let isArmed = false
  const readsTable = (node: RootOperationNode) =>
    node.kind === 'SelectQueryNode' && JSON.stringify(node.from).includes(`"${table}"`)
  const plugin: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      if (isArmed && held.size === 0 && readsTable(node)) held.add(queryId)
      return node
    },
    async transformResult({ result, queryId }) {
      if (!held.has(queryId)) return result
      reached.resolve()
      await released.promise
      return result
    },
  }
  return {
    plugin,
    hold: () => {
      isArmed = true
      return reached.promise
    },
    release: () => released.resolve(),
  }
}

/** A host that reads a change only when it is told, while one of its reads is delayed. */
async function openHost(t: TestContext, table: string) {
  // It never polls.
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { database } = await openPostgres(t)
  const { plugin, hold, release } = delayedRead(table)
  let hint = (): void => undefined
  const hints = {
    announce: () => undefined,
    onHint: (listener: () => void) => {
      hint = listener
    },
    close: () => undefined,
  }
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-spool-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const log = { info: () => undefined, warn: () => undefined }
  const retention = { timeZone: 'UTC', quarterDays: 1, days: 1 }
  const spool = new UsageSpool(folder, '')
  const host = await DirectoryHost.start(
    { ...database, db: database.db.withPlugin(plugin), close: async () => undefined },
    { log, hints, spool, retention },
  )
  t.after(() => host.close())
  const run = async <Name extends CommandName>(name: Name, input: Commands[Name]['in']) => {
    const { ok, error } = await host.run({ name, input, actor })
    assert.ok(ok !== undefined, JSON.stringify(error))
    return ok
  }
  /** Runs a command in another router. */
  const runElsewhere = async <Name extends CommandName>(name: Name, input: Commands[Name]['in']) =>
    assert.equal((await execute(database.db, { name, input, actor }, Date.now)).error, undefined)
  return { host, database, hold, release, run, runElsewhere, hint: () => hint() }
}

test('an earlier read of the records that ends later does not bring back a revoked key', async (t) => {
  const { host, database, hold, release, run, runElsewhere, hint } = await openHost(t, 'budgets')
  await run('create', { entity: 'clients', id: 'alice', record: {} })
  const { stored } = await run('createKey', { client: 'alice', key: {} })
  const seen: Snapshot[] = []
  host.onChange((snapshot) => seen.push(snapshot))
  await runElsewhere('create', { entity: 'groups', id: 'team', record: {} })
  const held = hold()
  hint()
  await held
  const revoked = run('revokeKey', { id: stored.id })
  // Time enough for the change and a read of all records.
  for (let query = 0; query < 100; query++) await sql`select 1`.execute(database.db)
  const read = new Promise((resolve) => host.onChange(resolve))
  release()
  await read
  await revoked
  const revisions = seen.map(({ revision }) => revision)
  assert.deepEqual(
    revisions,
    revisions.toSorted((a, b) => a - b),
  )
  const isValid = ({ endsAt }: Snapshot['keys'][number]) => endsAt === null || endsAt > Date.now()
  assert.deepEqual(host.snapshot.keys.map(isValid), [false])
})

test('a client is never read without its group', async (t) => {
  const { host, hold, release, run, runElsewhere, hint } = await openHost(t, 'clients')
  for (const id of ['strict', 'other']) await run('create', { entity: 'groups', id, record: {} })
  await run('create', { entity: 'clients', id: 'alice', record: { group: 'strict' } })
  await runElsewhere('create', { entity: 'prices', id: 'changed', record: { model: 'm' } })
  const read = new Promise<Snapshot>((resolve) => host.onChange(resolve))
  const held = hold()
  hint()
  await held
  await runElsewhere('change', { entity: 'clients', id: 'alice', changes: { group: 'other' } })
  await runElsewhere('remove', { entity: 'groups', id: 'strict' })
  release()
  const { clients, groups } = await read
  const [alice] = clients
  assert.ok(groups.some(({ id }) => id === alice?.record.group))
})

test('a key that was revoked by a router whose clock is ahead is no longer valid', async (t) => {
  const { url, database } = await openPostgres(t)
  const { newKey, chat, admin } = await openTeam(t, url)
  const key = await newKey('alice')
  const { id } = (await admin('GET', '/keys')).body.data[0]
  const anHourAhead = () => Date.now() + 3_600_000
  await execute(database.db, { name: 'revokeKey', input: { id }, actor }, anHourAhead)
  await eventually(async () => (await chat(key)).status === 401)
})
