import { adaptive } from '../../src/strategies/adaptive.ts'
import { balanced } from '../../src/strategies/balanced.ts'
import { cacheAware } from '../../src/strategies/cache-aware.ts'
import { leastBusy } from '../../src/strategies/least-busy.ts'
import { movedShare, simulate } from './comparison.ts'
import { workloads } from './workloads.ts'

/**
 * `node bench/fleet/run.ts` prints the table of docs/strategies.md: workloads on simulated engines, through each strategy. `--check`
 * fails where `cache_aware` is out of its bounds.
 */
const policies = [balanced, leastBusy, adaptive, cacheAware, 'pinned'] as const

interface Bound {
  workload: string
  of: string
  is: number
  most: number
}

const bounds: Bound[] = []
console.log('| workload | strategy | mean TTFT (ms) | p99 (ms) | from the cache | busiest server |')
console.log('|---|---|--:|--:|--:|--:|')
for (const workload of workloads) {
  const reports = new Map<string, ReturnType<typeof simulate>>()
  for (const policy of policies) {
    if (policy === 'pinned' && !workload.hasOracle) continue
    const report = simulate(workload, policy)
    const name = policy === 'pinned' ? policy : policy.name
    reports.set(name, report)
    const { meanTtftMs, p99TtftMs, hitRate, busiest } = report
    const numbers = [meanTtftMs.toFixed(0), p99TtftMs.toFixed(0), `${(hitRate * 100).toFixed(0)} %`]
    const title = policy === 'pinned' ? 'each conversation pinned' : `\`${name}\``
    console.log(`| ${[workload.name, title, ...numbers, busiest.toFixed(2)].join(' | ')} |`)
  }
  const [ours, least, pinned] = ['cache_aware', 'least_busy', 'pinned'].map((name) => reports.get(name))
  if (!ours || !least) continue
  const add = (of: string, is: number, most: number): number =>
    bounds.push({ workload: workload.name, of, is, most })
  const { bounded } = workload
  if (bounded.toLeastBusy)
    add('mean TTFT to least_busy', ours.meanTtftMs / least.meanTtftMs, bounded.toLeastBusy)
  if (bounded.toPinned && pinned) {
    add('mean TTFT to pinned', ours.meanTtftMs / pinned.meanTtftMs, bounded.toPinned)
    add('hit rate of pinned to its own', pinned.hitRate / ours.hitRate, 1 / 0.95)
  }
  if (bounded.busiest) {
    add('busiest server', ours.busiest, bounded.busiest)
    add('p99 TTFT to least_busy', ours.p99TtftMs / least.p99TtftMs, 1)
  }
  if (workload.addedAtMs !== undefined) {
    const share = movedShare(ours.served, workload.addedAtMs)
    const fair = 1 / (workload.servers + 1)
    add('conversations that move to an added server', share, 1.5 * fair)
  }
}

console.log('\n| workload | bound | is | at most |')
console.log('|---|---|--:|--:|')
for (const { workload, of, is, most } of bounds) {
  console.log(`| ${workload} | ${of} | ${is.toFixed(3)} | ${most.toFixed(3)} |`)
  if (process.argv.includes('--check') && is > most) process.exitCode = 1
}
