import { readFileSync, writeFileSync } from 'node:fs'
import { adaptive } from '../../src/strategies/adaptive.ts'
import { balanced } from '../../src/strategies/balanced.ts'
import { cacheAware } from '../../src/strategies/cache-aware.ts'
import { leastBusy } from '../../src/strategies/least-busy.ts'
import { movedShare, type Report, simulate } from './comparison.ts'
import { workloads } from './workloads.ts'

/** The printed tables; with `--write` those of docs/strategies.md. */
const lines: string[] = []
const print = (line: string): void => {
  lines.push(line)
  console.log(line)
}

/**
 * `node bench/fleet/run.ts` prints the tables of docs/strategies.md: workloads on simulated engines, through each strategy, as
 * means over the seeds (`--seeds=5`, `--from=0`; one by default). `--write` writes them there; `--check` fails if `cache_aware`
 * exceeds its bounds with any seed, and omits strategies that have no bound.
 */
const isCheck = process.argv.includes('--check')
const policies = isCheck
  ? ([leastBusy, cacheAware, 'pinned'] as const)
  : ([balanced, leastBusy, adaptive, cacheAware, 'pinned'] as const)

interface Bound {
  workload: string
  of: string
  most: number
  /** With each seed. */
  is: number[]
}

const option = (name: string, standard: number): number => {
  const given = process.argv.find((arg) => arg.startsWith(`--${name}=`))
  return given === undefined ? standard : Number(given.slice(name.length + 3))
}
const from = option('from', 0)
const seeds = Array.from({ length: option('seeds', 1) }, (_, index) => from + index)
const bounds: Bound[] = []
print('| workload | strategy | mean TTFT (ms) | p99 (ms) | from the cache | busiest server |')
print('|---|---|--:|--:|--:|--:|')
for (const workload of workloads) {
  const reports = new Map<string, Report[]>()
  for (const policy of policies) {
    if (policy === 'pinned' && !workload.hasOracle) continue
    const ran = seeds.map((seed) => simulate(workload, policy, seed))
    reports.set(policy === 'pinned' ? policy : policy.name, ran)
    const mean = (of: (report: Report) => number): number =>
      ran.reduce((sum, each) => sum + of(each), 0) / ran.length
    const cached = `${(mean(({ hitRate }) => hitRate) * 100).toFixed(0)} %`
    const times = [mean(({ meanTtftMs }) => meanTtftMs), mean(({ p99TtftMs }) => p99TtftMs)]
    const title = policy === 'pinned' ? 'each conversation pinned' : `\`${policy.name}\``
    const busiest = mean((report) => report.busiest).toFixed(2)
    const cells = [workload.name, title, ...times.map((ms) => ms.toFixed(0)), cached, busiest]
    print(`| ${cells.join(' | ')} |`)
  }
  const { bounded } = workload
  const add = (
    of: string,
    most: number,
    is: (ours: Report, least: Report, pinned: Report) => number,
  ): void => {
    const values = seeds.map((_, index) => {
      const [ours, least, pinned] = ['cache_aware', 'least_busy', 'pinned'].map(
        (name) => reports.get(name)?.[index],
      )
      return ours && least ? is(ours, least, pinned ?? ours) : Number.NaN
    })
    bounds.push({ workload: workload.name, of, most, is: values })
  }
  if (bounded.toLeastBusy)
    add('mean TTFT to least_busy', bounded.toLeastBusy, (ours, least) => ours.meanTtftMs / least.meanTtftMs)
  if (bounded.toPinned) {
    add('mean TTFT to pinned', bounded.toPinned, (ours, _, pinned) => ours.meanTtftMs / pinned.meanTtftMs)
    add('hit rate of pinned to its own', 1 / 0.95, (ours, _, pinned) => pinned.hitRate / ours.hitRate)
  }
  if (bounded.busiest) {
    add('busiest server', bounded.busiest, (ours) => ours.busiest)
    add('p99 TTFT to least_busy', 1, (ours, least) => ours.p99TtftMs / least.p99TtftMs)
  }
  const { addedAtMs } = workload
  if (addedAtMs !== undefined) {
    const fair = 1 / (workload.servers + 1)
    add('conversations that move to an added server', 1.5 * fair, (ours) =>
      movedShare(ours.served, addedAtMs),
    )
  }
}

print(`\n| workload | bound | mean of ${seeds.length} seeds | highest | at most |`)
print('|---|---|--:|--:|--:|')
for (const { workload, of, is, most } of bounds) {
  const highest = Math.max(...is)
  const mean = is.reduce((sum, each) => sum + each, 0) / is.length
  print(`| ${[workload, of, ...[mean, highest, most].map((each) => each.toFixed(3))].join(' | ')} |`)
  // NaN exceeds every bound.
  if (isCheck && !(highest <= most)) process.exitCode = 1
}

if (process.argv.includes('--write')) {
  const file = new URL('../../docs/strategies.md', import.meta.url)
  const marks = /(<!-- fleet -->\n)[\s\S]*?(\n<!-- \/fleet -->)/
  const text = readFileSync(file, 'utf8')
  writeFileSync(
    file,
    text.replace(marks, (_all, begin, end) => `${begin}\n${lines.join('\n')}\n${end}`),
  )
}
