import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Conditions, type Scenario, simulate } from '../../bench/strategies/simulation.ts'
import type { Outcome, RoutingRequest, Strategy } from '../../src/sdk/strategy.ts'
import type { Target } from '../../src/sdk/target.ts'
import { adaptive } from '../../src/strategies/adaptive.ts'
import { balanced } from '../../src/strategies/balanced.ts'
import { cacheAware } from '../../src/strategies/cache-aware.ts'
import { dynamicWeighted } from '../../src/strategies/dynamic-weighted.ts'
import { firstAvailable, firstAvailableOptim } from '../../src/strategies/first-available.ts'
import { leastBusy } from '../../src/strategies/least-busy.ts'
import { weighted } from '../../src/strategies/weighted.ts'

const strategies: readonly Strategy[] = [
  balanced,
  weighted,
  dynamicWeighted,
  leastBusy,
  adaptive,
  cacheAware,
  firstAvailable,
  firstAvailableOptim,
]

/** One slow, one that always fails, one that recovers in the middle. */
const scenario: Scenario = {
  name: 'mixed',
  servers: [{}, { speed: 0.5 }, { fails: true }, { returnsAtMs: 60_000, coldMs: 10_000 }],
}
const conditions: Conditions = { slots: 2, load: 0.4, lastsMs: 120_000, measureFromMs: 0, rounds: 5 }

for (const strategy of strategies) {
  test(`${strategy.name}: every request is answered by one of the candidates, and each attempt settles once`, () => {
    const settled = new Map<string, number>()
    const { tries, unanswered } = simulate(watched(strategy, settled), scenario, conditions)
    assert.equal(unanswered, 0)
    assert.deepEqual(
      tries,
      scenario.servers.map((_, index) => settled.get(`server${index}`) ?? 0),
    )
  })

  test(`${strategy.name}: the same clock and random numbers make the same choices`, () => {
    assert.deepEqual(simulate(strategy, scenario, conditions), simulate(strategy, scenario, conditions))
  })
}

for (const strategy of strategies.filter(({ exclusive }) => !exclusive)) {
  test(`${strategy.name}: no working target starves`, () => {
    const { tries } = simulate(strategy, scenario, conditions)
    const all = tries.reduce((sum, count) => sum + count, 0)
    for (const [index, count] of tries.entries())
      if (!scenario.servers[index]?.fails) assert.ok(count > 0.03 * all, `${tries}`)
  })
}

/** The same strategy; a choice that was not a candidate fails, and settled attempts are counted. */
function watched(strategy: Strategy, settled: Map<string, number>): Strategy {
  const count = ({ id }: Target): void => {
    settled.set(id, (settled.get(id) ?? 0) + 1)
  }
  if (strategy.exclusive) {
    return {
      ...strategy,
      exclusive: true,
      create(context) {
        const instance = strategy.create(context)
        return {
          settled: count,
          order(candidates, request) {
            const ordered = instance.order(candidates, request)
            assert.deepEqual(new Set(ordered), new Set(candidates))
            return ordered
          },
        }
      },
    }
  }
  return {
    ...strategy,
    create(context) {
      const instance = strategy.create(context)
      return {
        taken: (target, request) => instance.taken?.(target, request),
        settled(target: Target, outcome: Outcome, request: RoutingRequest) {
          count(target)
          instance.settled?.(target, outcome, request)
        },
        pick(candidates, request) {
          const picked = instance.pick(candidates, request)
          assert.ok(candidates.includes(picked))
          return picked
        },
      }
    },
  }
}
