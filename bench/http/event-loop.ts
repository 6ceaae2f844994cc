import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { benchCases } from './cases.ts'
import { median, quantile } from './measure.ts'
import { type MeasuredProxy, startStage } from './stage.ts'

/**
 * `node bench/http/event-loop.ts` prints the longest time that the event loops of the bare pipe and of the router are blocked,
 * in milliseconds, while they forward large bodies, at half of the router's capacity and at full load. The result is the median
 * over the rounds of the longest time in each round; the longest time overall is printed beside it. Exit code 1 if the router
 * misses the bound at half load.
 */
const names = ['JSON, 1 MB in', 'JSON, 10 MB in']
const maxBlockedMs = 50
const rounds = 5
const roundMs = 3_000

const folder = mkdtempSync(join(tmpdir(), 'llm-router-bench-'))
const watched = new URL('../support/loop-watch.ts', import.meta.url)
watched.searchParams.set('folder', folder)
const watch = ['--import', watched.href]
const stage = await startStage(watch, { pipeNodeOptions: watch })
try {
  console.log('| case | requests/s | pipe (ms) | router (ms) | longest of all: pipe | router |')
  console.log('|---|--:|--:|--:|--:|--:|')
  for (const benchCase of benchCases.filter(({ name }) => names.includes(name))) {
    const load = (proxy: MeasuredProxy, perSecond: number) => stage.load(proxy, benchCase, roundMs, perSecond)
    for (const proxy of [stage.pipe, stage.router]) await load(proxy, 0)
    const { requests, seconds } = await load(stage.router, 0)
    for (const perSecond of [requests / seconds / 2, 0]) {
      const pipe: number[] = []
      const router: number[] = []
      let done = 0
      for (let round = 0; round < rounds; round++) {
        for (const [proxy, longest] of [
          [stage.pipe, pipe],
          [stage.router, router],
        ] as const) {
          const from = Date.now()
          const result = await load(proxy, perSecond)
          longest.push(Math.max(...blockedSince(proxy, from)))
          done = result.requests / result.seconds
        }
      }
      const cells = [median(pipe), median(router), Math.max(...pipe), Math.max(...router)]
      const numbers = [done, ...cells].map((value) => value.toFixed(1))
      console.log(`| ${benchCase.name} | ${numbers.join(' | ')} |`)
      if (
        perSecond > 0 &&
        quantile(
          router.toSorted((a, b) => a - b),
          0.5,
        ) > maxBlockedMs
      )
        process.exitCode = 1
    }
  }
} finally {
  await stage.close()
  rmSync(folder, { recursive: true })
}

function blockedSince({ child }: MeasuredProxy, from: number): number[] {
  const lines = readFileSync(join(folder, `${child.pid}`), 'utf8')
    .trim()
    .split('\n')
  return lines
    .map((line) => line.split(' ').map(Number))
    .flatMap(([at = 0, ms = 0]) => (at > from ? [ms] : []))
}
