import { cpus } from 'node:os'
import { type BenchCase, benchCases } from './cases.ts'
import { type Measured, measureCase, median, type Round } from './measure.ts'
import { startStage } from './stage.ts'

/**
 * `npm run bench` measures every case beside a bare pipe and prints a table; arguments select cases by name. `npm run
 * bench:check` (`--check`) is short, and its exit code is 1 if a bound is exceeded by more than the noise of a busy machine.
 * Needs Linux.
 */
const check = process.argv.includes('--check')
const options = check
  ? { rounds: 3, roundMs: 1_000, warmUpMs: 3_500 }
  : { rounds: 5, roundMs: 2_000, warmUpMs: 8_000 }
/** By how much a case may exceed its bound in the short form. */
const slack = 1.25

const words = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const chosen = benchCases.filter(
  ({ name, short }) =>
    (!check || short) && (words.length === 0 || words.some((word) => name.toLowerCase().includes(word))),
)

const head = [
  'case',
  'requests/s',
  'CPU (µs): pipe',
  'router',
  'ratio (of each round)',
  'bound',
  'p50 / p99 (ms): pipe',
  'router',
  'at full load, requests/s: pipe',
  'router',
  'memory (MB): pipe',
  'router',
  'longest ping (ms)',
]

const stage = await startStage()
try {
  console.log(`Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}\n`)
  console.log(line(head))
  console.log(`|---|${'--:|'.repeat(head.length - 1)}`)
  for (const benchCase of chosen) {
    const rounds = await measureCase(stage, benchCase, options)
    console.log(line(row(benchCase, rounds)))
    if (check && medianRatio(rounds) > benchCase.bound * slack) process.exitCode = 1
  }
} finally {
  await stage.close()
}

function row({ name, bound }: BenchCase, rounds: readonly Round[]): string[] {
  const both = (
    load: 'same' | 'full',
    value: (measured: Measured) => number,
    digits = 0,
  ): [string, string] => [
    median(rounds.map((round) => value(round[load].pipe))).toFixed(digits),
    median(rounds.map((round) => value(round[load].router))).toFixed(digits),
  ]
  const p50 = both('same', ({ p50Ms }) => p50Ms, 1)
  const p99 = both('same', ({ p99Ms }) => p99Ms, 1)
  const ratios = rounds.map((round) => ratio(round).toFixed(2))
  return [
    name,
    both('same', ({ requestsPerSecond }) => requestsPerSecond)[1],
    ...both('same', ({ costUs }) => costUs),
    `**${medianRatio(rounds).toFixed(2)}** (${ratios.join(' ')})`,
    `${bound}`,
    `${p50[0]} / ${p99[0]}`,
    `${p50[1]} / ${p99[1]}`,
    ...both('full', ({ requestsPerSecond }) => requestsPerSecond),
    ...both('full', ({ peakMemoryMb }) => peakMemoryMb),
    median(rounds.map(({ full }) => full.router.longestPingMs)).toFixed(0),
  ]
}

function medianRatio(rounds: readonly Round[]): number {
  return median(rounds.map(ratio))
}

function ratio({ same }: Round): number {
  return same.router.costUs / same.pipe.costUs
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
