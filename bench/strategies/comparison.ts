import type { Strategy } from '../../src/sdk/strategy.ts'
import { adaptive } from '../../src/strategies/adaptive.ts'
import { balanced } from '../../src/strategies/balanced.ts'
import { dynamicWeighted } from '../../src/strategies/dynamic-weighted.ts'
import { firstAvailable } from '../../src/strategies/first-available.ts'
import { leastBusy } from '../../src/strategies/least-busy.ts'
import { weighted } from '../../src/strategies/weighted.ts'
import { type Conditions, type Scenario, simulate } from './simulation.ts'

const strategies: readonly Strategy[] = [
  balanced,
  weighted,
  dynamicWeighted,
  leastBusy,
  adaptive,
  firstAvailable,
]

const speeds = [1, 1, 0.5, 0.25]

const scenarios: readonly Scenario[] = [
  { name: 'equal', servers: [{}, {}, {}, {}] },
  { name: 'unequal', servers: speeds.map((speed) => ({ speed })) },
  { name: 'unequal, weights set', servers: speeds.map((speed) => ({ speed, weight: speed })) },
  { name: 'one failing', servers: [{}, { fails: true }, {}, {}] },
  { name: 'one recovering', servers: [{}, { returnsAtMs: 60_000, coldMs: 20_000 }, {}, {}] },
]

const common = { load: 0.6, lastsMs: 120_000, measureFromMs: 60_000 }

/** An engine that processes one request at a time, as a desktop with a local model does. */
export const oneAtATime: Conditions = { ...common, slots: 1, rounds: 60 }
/** An engine that processes eight concurrently, with continuous batching. */
export const eightAtATime: Conditions = { ...common, slots: 8, rounds: 8 }

/** A Markdown table: a row per scenario and strategy. */
export function comparison(conditions: Conditions): string {
  // One request per engine would leave seven of eight slots empty, with nothing to compare.
  const compared = strategies.filter(({ exclusive }) => !exclusive || conditions.slots === 1)
  const rows = scenarios.flatMap((scenario) =>
    compared.map((strategy) => {
      const { p50Ms, p99Ms, worstShare } = simulate(strategy, scenario, conditions)
      const cells = [
        scenario.name,
        `\`${strategy.name}\``,
        seconds(p50Ms),
        seconds(p99Ms),
        worstShare.toFixed(0),
      ]
      return `| ${cells.join(' | ')} |`
    }),
  )
  return ['| targets | strategy | p50 (s) | p99 (s) | worst share |', '|---|---|--:|--:|--:|', ...rows].join(
    '\n',
  )
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}
