import { processorTimeUs } from '../support/process-cost.ts'
import { type BenchCase, caseNamed } from './cases.ts'
import { median, quantile } from './measure.ts'
import { type MeasuredProxy, type Stage, startStage } from './stage.ts'
import type { Heard } from './tokens/reader.ts'
import { startTokenReader, type TokenReader } from './tokens/start-reader.ts'

/**
 * `node bench/http/latency.ts` prints the latency that a proxy adds to the server's own: to the first byte of a JSON response,
 * to the first token of a stream, and to each later token, relative to the send time that the server writes into it. For JSON
 * the load is half of the router's maximum; for streams it is the number with which the router uses half a processor. Exit code
 * 1 if the router misses a bound.
 *
 * `node bench/http/latency.ts unpinned` leaves all programs on all processors.
 */
const unpinned = process.argv.includes('unpinned')
const warmMs = 8_000
const maxP50Ms = 0.5
const maxP99Ms = 3
const rounds = 5
const roundMs = 3_000
const settleMs = 1_000
const intervalMs = 20
const tokensOfStream = 50
const streamMs = intervalMs * tokensOfStream
/** Initial number, used to determine the load. */
const fewStreams = 40
const name = 'JSON, 1 KB in, 0.5 KB out'

interface Times {
  p50: number
  p99: number
}
type ByProxy = Map<string, Times[]>

const benchCase = caseNamed(name)
await compareJson(benchCase)
await compareStreams()

async function compareJson(json: BenchCase): Promise<void> {
  const stage = await startStage([], { unpinned })
  try {
    await stage.load(stage.pipe, json, warmMs)
    await stage.load(stage.router, json, warmMs)
    const { requests, seconds } = await stage.load(stage.router, json, roundMs)
    const perSecond = requests / seconds / 2
    const firstBytes: ByProxy = new Map()
    for (let round = 0; round < rounds; round++) {
      for (const proxy of [direct(stage), stage.pipe, stage.router]) {
        const { firstByteMs } = await stage.load(proxy, json, roundMs, perSecond)
        note(firstBytes, proxy.name, { p50: quantile(firstByteMs, 0.5), p99: quantile(firstByteMs, 0.99) })
      }
    }
    console.log(`${name}, ${perSecond.toFixed(0)} requests/s; medians of ${rounds} rounds (ms)`)
    print('first byte', firstBytes)
  } finally {
    await stage.close()
  }
}

async function compareStreams(): Promise<void> {
  const stage = await startStage([], {
    upstream: ['tokens/server.ts', `${intervalMs}`, `${tokensOfStream}`],
    unpinned,
  })
  const reader = await startTokenReader(unpinned)
  try {
    const streams = await streamsOfHalf(stage, reader)
    const first: ByProxy = new Map()
    const later: ByProxy = new Map()
    let perSecond = 0
    for (let round = -1; round < rounds; round++) {
      for (const proxy of [direct(stage), stage.pipe, stage.router]) {
        const heard = await hear(reader, proxy, streams)
        if (round < 0) continue
        note(first, proxy.name, heard.first)
        note(later, proxy.name, heard.later)
        perSecond = heard.tokens / heard.seconds
      }
    }
    console.log(`\n${streams} streams, ${perSecond.toFixed(0)} tokens/s; medians of ${rounds} rounds (ms)`)
    print('first token, from the request', first)
    print('later tokens, from when they were sent', later)
  } finally {
    reader.end()
    await stage.close()
  }
}

/** A token costs less the more of them arrive, so the first estimate is not final. */
async function streamsOfHalf(stage: Stage, reader: TokenReader): Promise<number> {
  let streams = fewStreams
  for (let step = 0; step < 3; step++) {
    const { share } = await hear(reader, stage.router, streams)
    streams = Math.round((streams * 0.5) / share)
  }
  return streams
}

/**
 * Streams started one after the other, so that their first tokens are spread as evenly as the others. `share`: the share of one
 * processor that the proxy used.
 */
async function hear(
  reader: TokenReader,
  proxy: MeasuredProxy,
  streams: number,
): Promise<Heard & { share: number }> {
  const { pid } = proxy.child
  const pauseMs = 4
  const atOnce = Math.ceil((streams * pauseMs) / streamMs)
  proxy.forgetLog()
  await reader.open(proxy.portOf('openaiStream'), streams, { atOnce, pauseMs })
  await reader.listen(settleMs)
  const beforeUs = processorTimeUs(pid)
  const heard = await reader.listen(roundMs)
  const share = (processorTimeUs(pid) - beforeUs) / 1e6 / heard.seconds
  await reader.close()
  return { ...heard, share }
}

/** The servers themselves, with a process that does nothing meanwhile. */
function direct(stage: Stage): MeasuredProxy {
  return { ...stage.pipe, name: 'no proxy', portOf: (upstream) => stage.upstreamPorts[upstream] }
}

function note(times: ByProxy, proxy: string, { p50, p99 }: Times): void {
  times.set(proxy, [...(times.get(proxy) ?? []), { p50, p99 }])
}

function print(title: string, times: ByProxy): void {
  const bare = times.get('no proxy') ?? []
  console.log(`\n| ${title} | p50 | p99 | added p50 | added p99 |\n|---|--:|--:|--:|--:|`)
  for (const [proxy, all] of times) {
    const of = (key: keyof Times): number => median(all.map((each) => each[key]))
    const added = (key: keyof Times): number =>
      median(all.map((each, round) => each[key] - (bare[round]?.[key] ?? Number.NaN)))
    const cells = [of('p50'), of('p99'), added('p50'), added('p99')].map((value) => value.toFixed(2))
    console.log(`| ${[proxy, ...cells].join(' | ')} |`)
    if (proxy === 'llm-router' && !(added('p50') <= maxP50Ms && added('p99') <= maxP99Ms)) miss()
  }
}

function miss(): void {
  console.log(`\nMissed: ${maxP50Ms} ms more at p50, ${maxP99Ms} ms more at p99.`)
  process.exitCode = 1
}
