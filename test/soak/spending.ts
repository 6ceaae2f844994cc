/**
 * Ten routers in separate processes spend one budget in PostgreSQL: 10,000 requests, one in ten cancelled, three
 * kills and an outage of 60 s. Prints the outcome for each setting of LLM_ROUTER_BUDGET_STORE_DOWN; exits with 1
 * if one is wrong.
 */
import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { spend } from '../teams/replica-spending.ts'

const [routers = 10, requests = 10_000, outageSeconds = 60] = process.argv.slice(2).map(Number)
const limit = Math.floor(requests / 2)
const postgres = await sharedPostgres()
for (const whenDown of ['refuse', 'allow'] as const) {
  const outageMs = outageSeconds * 1000
  const outcome = await spend({
    postgres,
    routers,
    requests,
    limit,
    clients: 20,
    kills: 3,
    outageMs,
    whenDown,
  })
  const { counted, recorded, mayBeLost, whileAway } = outcome
  const isRecorded = recorded <= counted && counted - recorded <= mayBeLost
  const isWithin = counted <= limit + mayBeLost + (whenDown === 'allow' ? whileAway : 0)
  console.log(JSON.stringify({ whenDown, limit, ...outcome, isRecorded, isWithin }))
  if (!isRecorded || !isWithin) process.exitCode = 1
}
