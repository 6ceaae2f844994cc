import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { caseNamed } from './cases.ts'
import { type Measured, measure, median } from './measure.ts'
import { type MeasuredProxy, modelsConfig, startStage } from './stage.ts'

/**
 * `node bench/http/many-targets.ts [targets]` prints the cost of a small JSON request with a thousand targets for its model, or
 * the given number, compared with one target: for each strategy, at the same pace (half of the router's maximum) and at full
 * load. Exit code 1 if the first exceeds its bound.
 */
const strategies = [
  'balanced',
  'weighted',
  'dynamic_weighted',
  'least_busy',
  'adaptive',
  'first_available',
  'first_available_optim',
]
const maxRatio = 1.1
const rounds = 5
const warmMs = 3_000
const roundMs = 1_000
const name = 'JSON, 1 KB in, 0.5 KB out'

const targets = Number(process.argv[2] ?? 1_000)
const benchCase = caseNamed(name)
const folder = mkdtempSync(join(tmpdir(), 'llm-router-bench-'))
const file = join(folder, 'models.json')
const stage = await startStage()
try {
  writeFileSync(file, JSON.stringify(modelsConfig(stage.upstreamPorts, targets)))
  console.log(`${name}; medians of ${rounds} rounds, processor time of a request (µs)\n`)
  console.log(
    `| strategy | 1 target | ${targets} | ratio (of each round) | at full load: 1 target | ${targets} | ratio |`,
  )
  console.log(`|---|--:|--:|---|--:|--:|--:|`)
  for (const strategy of strategies) console.log(await compare(strategy))
} finally {
  await stage.close()
  rmSync(folder, { recursive: true })
}

async function compare(strategy: string): Promise<string> {
  const env = { LLM_ROUTER_BALANCE_STRATEGY: strategy }
  const one = await stage.addRouter(`${strategy}, 1 target`, env)
  const many = await stage.addRouter(`${strategy}, ${targets}`, { ...env, LLM_ROUTER_MODELS_CONFIG: file })
  const once = (proxy: MeasuredProxy, perSecond: number, durationMs = roundMs): Promise<Measured> =>
    measure(stage, proxy, benchCase, { durationMs, perSecond })
  for (const proxy of [one, many]) await once(proxy, 0, warmMs)
  const same: [number, number][] = []
  const full: [number, number][] = []
  for (let round = 0; round < rounds; round++) {
    const [first, second] = [await once(one, 0), await once(many, 0)]
    full.push([first.costUs, second.costUs])
    const perSecond = second.requestsPerSecond / 2
    const costs: number[] = []
    for (const proxy of [one, many, many, one]) costs.push((await once(proxy, perSecond)).costUs)
    const [a = 0, b = 0, c = 0, d = 0] = costs
    same.push([(a + d) / 2, (b + c) / 2])
  }
  for (const { child } of [one, many]) await child.stop()
  if (ratioOf(same) > maxRatio) process.exitCode = 1
  const cells = (pairs: typeof same): string[] =>
    [0, 1].map((index) => median(pairs.map((pair) => pair[index] ?? Number.NaN)).toFixed(0))
  const each = same.map(([a, b]) => (b / a).toFixed(2)).join(' ')
  const ratios = [`${ratioOf(same).toFixed(2)} (${each})`, ratioOf(full).toFixed(2)]
  return `| ${[strategy, ...cells(same), ratios[0], ...cells(full), ratios[1]].join(' | ')} |`
}

function ratioOf(pairs: readonly [number, number][]): number {
  return median(pairs.map(([one, many]) => many / one))
}
