import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { comparison, eightAtATime, oneAtATime } from '../../bench/strategies/comparison.ts'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import type { SharingInstance } from '../../src/sdk/strategy.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { countOf, picks, signalsOf } from './signals.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/strategies.md'), 'utf8')

test('the tables in docs/strategies.md are the results of the simulation', () => {
  for (const conditions of [oneAtATime, eightAtATime]) {
    const table = comparison(conditions)
    assert.ok(page.includes(table), `bench/strategies/simulate.ts now prints:\n${table}`)
  }
})

test('docs/strategies.md names every strategy, and no other', () => {
  const described = [...page.matchAll(/^### `(\w+)`$/gm)].map((match) => match[1])
  const own = ['round_robin', 'lowest_latency', 'weighted_random']
  const known = router.app.strategies.names().filter((name) => !own.includes(name))
  assert.deepEqual(described.toSorted(), known.toSorted())
})

let router: TestRouter
let servers: ScriptedUpstream[]
let folder: string

/** The page's extension, loaded by the router as a user would load it. */
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'llm-router-docs-'))
  const [, code] = page.match(/```ts\n(\/\/ my-strategies\.ts\n[\s\S]*?)```/) ?? []
  assert.ok(code, 'the page shows my-strategies.ts')
  const extension = join(folder, 'my-strategies.ts')
  writeFileSync(extension, code)
  servers = await Promise.all([0, 1, 2].map(() => startUpstream(openaiText('Hi'))))
  const providers = servers.map(({ url }) => ({ api_type: 'vllm', api_host: url }))
  router = await startRouter({
    env: { LLM_ROUTER_EXTENSIONS: extension, LLM_ROUTER_BALANCE_STRATEGY: 'round_robin' },
    models: modelsConfig({ small: providers }),
  })
})

after(async () => {
  await router.close()
  for (const server of servers) await server.close()
  rmSync(folder, { recursive: true })
})

test('the round robin of docs/strategies.md, named in the configuration, picks the targets in turn', async () => {
  const messages = [{ role: 'user', content: 'x' }]
  for (let count = 0; count < 7; count++) {
    const { status } = await post(`${router.url}/v1/chat/completions`, { model: 'small', messages })
    assert.equal(status, 200)
  }
  assert.deepEqual(
    servers.map(({ requests }) => requests.length),
    [3, 2, 2],
  )
})

test('the latency-based strategy of docs/strategies.md picks the fastest, and tries the others now and then', () => {
  const slow = signalsOf('slow', 1, { firstContentMs: 900 })
  const fast = signalsOf('fast', 1, { firstContentMs: 100 })
  const picked = picks(instanceOf('lowest_latency'), [slow, fast], 2_000)
  assert.ok(countOf(picked, 'slow') > 20 && countOf(picked, 'slow') < 100)
  fast.inFlight = 9
  assert.ok(countOf(picks(instanceOf('lowest_latency'), [slow, fast], 100), 'slow') > 80)
})

test('the weighted random strategy of docs/strategies.md draws by weight', () => {
  const candidates = [signalsOf('a', 0.75), signalsOf('b', 0.25), signalsOf('never', 0)]
  const picked = picks(instanceOf('weighted_random'), candidates, 10_000)
  // A chance of 3/4 has a standard deviation of 43 in 10,000.
  assert.ok(Math.abs(countOf(picked, 'a') - 7_500) < 215)
  assert.equal(countOf(picked, 'never'), 0)
})

function instanceOf(name: string): SharingInstance {
  const strategy = router.app.strategies.get(name)
  assert.ok(!strategy.exclusive)
  return strategy.create({ now: () => 0, random: seededRandom(1) })
}
