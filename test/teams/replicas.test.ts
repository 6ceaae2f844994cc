import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { spend } from './replica-spending.ts'

// test/soak/spending.ts does the same with ten routers, 10,000 requests and an outage of 60 s.
test('replicas account for a budget correctly despite disconnecting clients, a kill and an outage', {
  timeout: 120_000,
}, async () => {
  const limit = 150
  const outcome = await spend({
    postgres: await sharedPostgres(),
    routers: 2,
    requests: 400,
    limit,
    clients: 6,
    kills: 1,
    outageMs: 3_000,
    whenDown: 'refuse',
  })
  const { counted, recorded, mayBeLost, refused, cancelled } = outcome
  const shown = JSON.stringify(outcome)
  assert.ok(recorded <= counted && counted - recorded <= mayBeLost, shown)
  assert.ok(counted <= limit + mayBeLost, shown)
  assert.ok(refused > 0 && cancelled > 0, shown)
})
