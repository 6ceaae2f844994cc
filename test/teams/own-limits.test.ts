import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { bearer } from '../helpers/keys-file.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { openTeam, sqliteUrl } from './team-router.ts'

let redis: Awaited<ReturnType<typeof startRedis>>

before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

const secret = 'secret-of-the-sessions-of-the-tests'
const stores = {
  'in memory': () => ({}),
  'in Redis': () => ({
    LLM_ROUTER_REDIS_URL: `redis://127.0.0.1:${redis.port}`,
    LLM_ROUTER_SESSION_SECRET: secret,
  }),
} as const

for (const [store, envOf] of Object.entries(stores))
  describe(`remaining limits, ${store}`, () => {
    test("a client sees what remains of its own limits and of its group's", async (t) => {
      const team = await openTeam(t, sqliteUrl(t), envOf())
      await team.admin('POST', '/groups', { id: 'team', requests_per_minute: 10 })
      const alice = await team.newKey('alice', { group: 'team', requests_per_minute: 5, max_concurrent: 2 })
      const bob = await team.newKey('bob', { group: 'team', tokens_per_minute: 1_000 })
      await team.chat(alice)
      await team.chat(alice)
      const long = [{ role: 'user', content: 'word '.repeat(500) }]
      const answer = await team.chat(bob, 'small', { messages: long })
      const own = async (key: string) => {
        const response = await fetch(`${team.router.url}/api/usage`, { headers: bearer(key) })
        const { limits }: { limits: Record<string, unknown>[] } = JSON.parse(await response.text())
        return limits
      }
      const [requests, concurrent, shared, ...others] = (await own(alice)).toSorted((a, b) =>
        String([a.group ?? '', a.most]) < String([b.group ?? '', b.most]) ? 1 : -1,
      )
      assert.equal(others.length, 0)
      assert.deepEqual(
        [requests, concurrent, shared].map((each) => [each?.group, each?.limit, each?.most, each?.left]),
        [
          ['team', 'requests_per_minute', 10, 7],
          [null, 'requests_per_minute', 5, 3],
          [null, 'max_concurrent', 2, 2],
        ],
      )
      assert.ok(Number(requests?.full_in_seconds) > 0 && Number(requests?.full_in_seconds) <= 60)
      // Reading consumes nothing, and returns the same values as the headers.
      const [tokens] = (await own(bob)).filter(({ limit }) => limit === 'tokens_per_minute')
      assert.equal(tokens?.most, 1_000)
      assert.ok(Number(tokens?.left) >= Number(answer.headers.get('x-ratelimit-remaining-tokens')))
      assert.ok(Number(tokens?.left) < 1_000)
      assert.equal((await own(alice)).find(({ group }) => group === 'team')?.left, 7)
    })
  })
