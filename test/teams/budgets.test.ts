import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BudgetStatusSchema } from '../../src/sdk/teams/budget-status.ts'
import { eventually } from '../helpers/eventually.ts'
import { post } from '../helpers/http.ts'
import { bearer } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { databaseKinds, databases } from './databases.ts'
import { openTeam, shareTeam, type TeamRouter } from './team-router.ts'

const perDay = { window: 'day', unit: 'requests' }

async function budget({ admin }: TeamRouter, id: string, record: object): Promise<void> {
  const { status, body } = await admin('POST', '/budgets', { id, ...perDay, ...record })
  assert.equal(status, 201, JSON.stringify(body))
}

async function ownUsage({ router }: TeamRouter, key: string) {
  const response = await fetch(`${router.url}/api/usage`, { headers: bearer(key) })
  const body: { budgets: Record<string, unknown>[] } = JSON.parse(await response.text())
  return body
}

// If the database is too slow for the machine it counts as unavailable, and then the default allows requests.
const strictly = { LLM_ROUTER_BUDGET_STORE_DOWN: 'refuse' }

for (const store of databaseKinds) {
  describe(`budgets in ${store}`, () => {
    const team = shareTeam(databases[store], () => strictly)

    test("an exhausted budget is a 429 in the client's dialect that clients do not retry, with the exact reset time", async () => {
      const key = await team.newKey('alice')
      await budget(team, 'three', { client: 'alice', limit: 3 })
      for (let count = 0; count < 3; count++) assert.equal((await team.chat(key)).status, 200)
      const { status, headers, body } = await team.chat(key)
      assert.deepEqual(
        [status, body.error.code, body.error.type, headers.get('x-should-retry')],
        [429, 'insufficient_quota', 'insufficient_quota', 'false'],
      )
      assert.ok(Number(headers.get('retry-after')) <= 300)
      const tomorrow = new Date(new Date().setUTCHours(24, 0, 0, 0)).toISOString().slice(0, 19)
      assert.match(body.error.message, new RegExp(`three.*${tomorrow}Z`))
      assert.match(headers.get('x-ratelimit-reset-tokens') ?? '', /^\d+s$/)
      const anthropic = await fetch(`${team.router.url}/v1/messages`, {
        method: 'POST',
        headers: { ...bearer(key), 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'small', max_tokens: 5, messages }),
      })
      assert.deepEqual(
        [anthropic.status, JSON.parse(await anthropic.text()).error.type],
        [429, 'rate_limit_error'],
      )
      assert.ok(anthropic.headers.get('anthropic-ratelimit-tokens-reset')?.startsWith(tomorrow))
      await eventually(async () => (await ownUsage(team, key)).budgets[0]?.spent === 3)
      const [own] = (await ownUsage(team, key)).budgets
      assert.deepEqual([own?.id, own?.left, own?.limit], ['three', 0, 3])
      // A raised budget has room again.
      await team.admin('PATCH', '/budgets/three', { limit: 4 })
      await eventually(async () => (await team.chat(key)).status === 200)
    })

    test('a request that needs more than a budget has left gets an error that says how much is left', async () => {
      const key = await team.newKey('alan')
      await budget(team, 'small', { client: 'alan', unit: 'tokens', limit: 1_000 })
      assert.equal((await team.chat(key)).status, 200)
      const body = { model: 'small', messages: [{ role: 'user', content: 'word '.repeat(2_000) }] }
      const headers = { ...bearer(key), 'content-type': 'application/json' }
      const { status, text } = await post(`${team.router.url}/v1/chat/completions`, body, headers)
      assert.equal(status, 429)
      assert.match(text, /The budget 'small' of 1000 tokens has \d{3} left, too little for this/)
    })

    test("a group's budget is shared by all its clients, and a model's budget counts only that model", async () => {
      await team.admin('POST', '/groups', { id: 'company' })
      await team.admin('POST', '/groups', { id: 'team', parent: 'company' })
      const [alice, bob] = [
        await team.newKey('anna', { group: 'team' }),
        await team.newKey('ben', { group: 'company' }),
      ]
      await budget(team, 'together', { group: 'company', limit: 3 })
      await budget(team, 'large', { client: 'anna', model: 'large', limit: 1 })
      const seen = []
      for (const [key, model] of [
        [alice, 'large'],
        [alice, 'large'],
        [alice, 'small'],
        [bob, 'small'],
        [bob, 'small'],
        [alice, 'small'],
      ] as const)
        seen.push((await team.chat(key, model)).status)
      assert.deepEqual(seen, [200, 429, 200, 200, 429, 429])
    })

    test("an operator reads each budget's spending, reset time and projection", async () => {
      const key = await team.newKey('carol')
      await budget(team, 'ten', { client: 'carol', limit: 10 })
      await budget(team, 'fast', { client: 'carol', limit: 4, window: 'month' })
      await budget(team, 'hour', { client: 'carol', limit: 100, window: 'rolling', hours: 1 })
      await budget(team, 'idle', { client: 'carol', model: 'large', limit: 10 })
      for (let count = 0; count < 3; count++) assert.equal((await team.chat(key)).status, 200)
      const read = async (id: string) => (await team.admin('GET', `/budgets/${id}`)).body
      await eventually(async () => (await read('ten')).spent === 3)
      const { body } = await team.admin('GET', '/budgets')
      assert.deepEqual(
        body.data
          .filter(({ client }: Record<string, unknown>) => client === 'carol')
          .map(({ id, spent, left }: Record<string, unknown>) => [id, spent, left]),
        [
          ['fast', 3, 1],
          ['hour', 3, 97],
          ['idle', 0, 10],
          ['ten', 3, 7],
        ],
      )
      const ten = await read('ten')
      const tomorrow = new Date(new Date().setUTCHours(24, 0, 0, 0)).toISOString()
      assert.deepEqual([ten.window_end, ten.resets_at], [tomorrow, tomorrow])
      assert.equal(Date.parse(tomorrow) - Date.parse(ten.window_start), 86_400_000)
      assert.equal(
        ten.steps.reduce((sum: number, each: number) => sum + each, 0),
        3,
      )
      assert.ok(ten.steps.length <= 62 && ten.step_seconds * ten.steps.length >= 3, ten.step_seconds)
      assert.ok(ten.projected >= 3, ten.projected)
      const idle = await read('idle')
      assert.deepEqual([idle.projected, idle.used_up_at], [0, null])
      const hour = await read('hour')
      assert.deepEqual([hour.used_up_at, hour.projected >= 3], [null, true])
      const members = Object.keys(BudgetStatusSchema.properties)
      assert.deepEqual(
        members.filter((name) => !(name in hour)),
        [],
      )
      // An exhausted budget has no projection: it resets.
      assert.equal((await team.chat(key)).status, 200)
      await eventually(async () => (await read('fast')).left === 0)
      assert.equal((await read('fast')).used_up_at, null)
      // Reading it does not write it back.
      assert.equal((await team.admin('PATCH', '/budgets/ten', { spent: 0 })).status, 400)
    })

    test('a new budget includes what was already used in its window', async () => {
      const key = await team.newKey('dave')
      for (let count = 0; count < 2; count++) await team.chat(key)
      await eventually(
        async () => (await team.admin('GET', '/usage?client=dave')).body.data[0]?.requests === 2,
      )
      await budget(team, 'two', { client: 'dave', limit: 2, window: 'rolling', hours: 1 })
      assert.equal((await team.chat(key)).status, 429)
    })

    test('a soft budget rejects nothing, and warns in a header and in the log', async () => {
      const key = await team.newKey('erin')
      await budget(team, 'soft', { client: 'erin', limit: 2, hard: false })
      for (let count = 0; count < 2; count++)
        assert.equal((await team.chat(key)).headers.get('x-llm-router-budget-warning'), null)
      const { status, headers } = await team.chat(key)
      assert.equal(status, 200)
      assert.match(headers.get('x-llm-router-budget-warning') ?? '', /^soft is at 100% until /)
      await team.router.logged(({ msg, budget: id }) => id === 'soft' && /soft budget/.test(String(msg)))
    })

    test('two routers together never exceed a hard budget', async (t) => {
      const [one, two] = [team, await openTeam(t, team.url, strictly)]
      const key = await one.newKey('frank')
      await budget(one, 'twenty', { client: 'frank', limit: 20 })
      await eventually(async () => (await ownUsage(two, key)).budgets?.length === 1)
      const answers = await Promise.all(Array.from({ length: 60 }, (_, at) => (at % 2 ? one : two).chat(key)))
      const passed = answers.filter(({ status }) => status === 200).length
      assert.ok(passed <= 20, `${passed}`)
      // The unused part of a slice returns to the other router.
      let total = passed
      await eventually(async () => {
        for (const each of [one, two]) if ((await each.chat(key)).status === 200) total++
        return total >= 20
      })
      for (const each of [one, two])
        await eventually(async () => {
          const { status } = await each.chat(key)
          assert.notEqual(status, 200)
          return status === 429
        })
      assert.equal(total, 20)
    })

    test('contradictory budget records are rejected', async () => {
      await team.newKey('grace')
      for (const record of [
        { limit: 1 },
        { client: 'grace', group: 'team', limit: 1 },
        { group: 'nobody', limit: 1 },
        { client: 'grace', limit: 0 },
        { client: 'grace', limit: 1, window: 'rolling' },
        { client: 'grace', limit: 1, window: 'rolling', hours: 745 },
        { client: 'grace', limit: 1, hours: 5 },
        { client: 'grace', limit: 1, unit: 'euros' },
      ])
        assert.equal(
          (await team.admin('POST', '/budgets', { id: 'one', ...perDay, ...record })).status,
          400,
          JSON.stringify(record),
        )
    })
  })
}

for (const whenDown of ['allow', 'refuse'] as const) {
  test(`a hard budget while the database is unavailable: ${whenDown}`, async (t) => {
    const postgres = await sharedPostgres()
    const team = await openTeam(t, await postgres.url(), { LLM_ROUTER_BUDGET_STORE_DOWN: whenDown })
    const [alice, bob] = [await team.newKey('alice'), await team.newKey('bob')]
    await budget(team, 'eight', { client: 'alice', limit: 8 })
    assert.equal((await team.chat(alice)).status, 200)
    // A renewal that began before the first usage is known would return half of the slice.
    await eventually(
      async () => (await team.admin('GET', '/usage?client=alice')).body.data?.[0]?.requests === 1,
    )
    await postgres.stop()
    const seen: number[] = []
    try {
      for (let count = 0; count < 12; count++) seen.push((await team.chat(alice)).status)
      assert.equal((await team.chat(bob)).status, 200)
    } finally {
      await postgres.start()
    }
    // The slice that it holds can be spent in any case.
    assert.equal(seen[0], 200)
    assert.equal(seen.at(-1), whenDown === 'allow' ? 200 : 503)
    await eventually(async () => {
      const { body } = await team.admin('GET', '/usage?client=alice')
      return (
        body.data?.[0]?.requests - body.data?.[0]?.errors ===
        1 + seen.filter((status) => status === 200).length
      )
    })
    if (whenDown === 'allow') await eventually(async () => (await team.chat(alice)).status === 429)
  })
}
