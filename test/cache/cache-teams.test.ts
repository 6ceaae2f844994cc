import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { models, openTeam, sqliteUrl, type TeamRouter } from '../teams/team-router.ts'

const cached = (rule: object): object => ({ ...models, processors: [{ type: 'cache', ...rule }] })

async function outcome(team: TeamRouter, key: string, model = 'small'): Promise<string> {
  const { status, headers } = await team.chat(key, model)
  return status === 200 ? String(headers.get('x-llm-router-cache')) : String(status)
}

test('"scope": "group" shares responses within a group and not outside it', async (t) => {
  const team = await openTeam(t, sqliteUrl(t), {}, cached({ scope: 'group' }))
  for (const group of ['red', 'blue']) await team.admin('POST', '/groups', { id: group })
  const [alice, bob, eve, lone, other] = [
    await team.newKey('alice', { group: 'red' }),
    await team.newKey('bob', { group: 'red' }),
    await team.newKey('eve', { group: 'blue' }),
    await team.newKey('lone'),
    await team.newKey('other'),
  ]
  assert.equal(await outcome(team, alice), 'miss')
  assert.equal(await outcome(team, bob), 'hit')
  assert.equal(await outcome(team, eve), 'miss')
  assert.equal(await outcome(team, lone), 'miss')
  assert.equal(await outcome(team, lone), 'hit')
  assert.equal(await outcome(team, other), 'miss')
})

test('a cache applies only to the groups that it names', async (t) => {
  const team = await openTeam(t, sqliteUrl(t), {}, cached({ groups: ['red'] }))
  await team.admin('POST', '/groups', { id: 'red' })
  const alice = await team.newKey('alice', { group: 'red' })
  const lone = await team.newKey('lone')
  assert.equal(await outcome(team, alice), 'miss')
  assert.equal(await outcome(team, alice), 'hit')
  assert.equal(await outcome(team, lone), 'null')
})

test('disabling a client in the database removes its responses, and budgets count hits as requests', async (t) => {
  const team = await openTeam(t, sqliteUrl(t), {}, cached({}))
  const { answerCache } = team.router.app
  const alice = await team.newKey('alice')
  await team.admin('POST', '/budgets', {
    id: 'day',
    client: 'alice',
    unit: 'requests',
    limit: 3,
    window: 'day',
  })
  assert.equal(await outcome(team, alice), 'miss')
  assert.equal(await outcome(team, alice), 'hit')
  assert.equal(await outcome(team, alice), 'hit')
  await eventually(async () => (await outcome(team, alice)) === '429')
  assert.equal(answerCache.sizes()?.answers, 1)
  const { body } = await team.admin('GET', '/clients/alice')
  const changed = await team.admin('PATCH', '/clients/alice', { enabled: false, version: body.version })
  assert.ok(changed.status < 300, JSON.stringify(changed.body))
  await eventually(async () => answerCache.sizes()?.answers === 0)
  assert.equal(await outcome(team, alice), '401')
})

test('usage records a hit as a request without tokens', async (t) => {
  const team = await openTeam(t, sqliteUrl(t), {}, cached({}))
  const alice = await team.newKey('alice')
  const used = async () => {
    const { body } = await team.admin('GET', '/usage?client=alice')
    const rows: { requests: number; prompt_tokens: number }[] = body.data
    const sum = (of: (row: (typeof rows)[number]) => number): number =>
      rows.reduce((total, row) => total + of(row), 0)
    return { requests: sum(({ requests }) => requests), tokens: sum((row) => row.prompt_tokens) }
  }
  assert.equal(await outcome(team, alice), 'miss')
  await eventually(async () => (await used()).requests === 1)
  const { tokens } = await used()
  assert.ok(tokens > 0)
  assert.equal(await outcome(team, alice), 'hit')
  await eventually(async () => (await used()).requests === 2)
  assert.equal((await used()).tokens, tokens)
})
