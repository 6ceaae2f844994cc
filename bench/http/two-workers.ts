import { caseNamed } from './cases.ts'
import { type Measured, measure, median } from './measure.ts'
import { type MeasuredProxy, startStage } from './stage.ts'

/**
 * `node bench/http/two-workers.ts` sends a JSON request of 1 KB at the maximum rate to the router as one process and as a
 * cluster of two workers. Nothing is pinned: routers, load and server share all processors, so with two processors the requests
 * per second depend more on the load than on the router. The comparable result is the number of requests per second of
 * processor time.
 */
const rounds = 5
const roundMs = 4_000
const name = 'JSON, 1 KB in, 0.5 KB out'

const benchCase = caseNamed(name)

const stage = await startStage([], { unpinned: true })
try {
  const cluster = await stage.addRouter('two workers', {
    LLM_ROUTER_SERVER_TYPE: 'cluster',
    LLM_ROUTER_SERVER_WORKERS_COUNT: '2',
  })
  const proxies: MeasuredProxy[] = [stage.router, cluster]
  const measured = proxies.map((): Measured[] => [])
  for (let round = -1; round < rounds; round++) {
    for (const [index, proxy] of proxies.entries()) {
      const result = await measure(stage, proxy, benchCase, { durationMs: roundMs, perSecond: 0 })
      if (round >= 0) measured[index]?.push(result)
    }
  }
  print(measured[0] ?? [], measured[1] ?? [])
} finally {
  await stage.close()
}

function print(one: readonly Measured[], two: readonly Measured[]): void {
  console.log(`${name}; medians of ${rounds} rounds. Routers, load and server share the same processors.\n`)
  console.log('| | one process | two workers | ratio (of each round) |\n|---|--:|--:|--:|')
  const row = (title: string, value: (measured: Measured) => number): void => {
    const ratios = two.map((each, round) => value(each) / value(one[round] ?? each))
    const shown = `**${median(ratios).toFixed(2)}** (${ratios.map((ratio) => ratio.toFixed(2)).join(' ')})`
    const both = [one, two].map((all) => median(all.map(value)).toFixed(0))
    console.log(`| ${[title, ...both, shown].join(' | ')} |`)
  }
  row('requests/s', ({ requestsPerSecond }) => requestsPerSecond)
  row('CPU of a request, all processes of the router (µs)', ({ costUs }) => costUs)
  row('requests for a second of processor time', ({ costUs }) => 1e6 / costUs)
  row(
    'processors that the router had (%)',
    ({ requestsPerSecond, costUs }) => (requestsPerSecond * costUs) / 1e4,
  )
}
