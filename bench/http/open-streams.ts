import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { memoryKb, processorTimeUs } from '../support/process-cost.ts'
import { startStage } from './stage.ts'
import type { Heard } from './tokens/reader.ts'
import { startTokenReader } from './tokens/start-reader.ts'

/**
 * `node bench/http/open-streams.ts [streams]` keeps 5,000 streams open, or the given number, over one model server that sends
 * one token per second to each: directly, through the bare pipe, and through the router. Prints the memory of an open stream,
 * the delay of tokens and the processor time of a token. Exit code 1 if the router misses a bound.
 */
const maxKbOverPipe = 40
const maxP99Ms = 50
const pace = { atOnce: 500, pauseMs: 0 }
/** Code read and compiled for the first requests does not belong to any stream. */
const warmStreams = 200
const warmMs = 2_000
const settleMs = 5_000
const listenMs = 20_000

interface Row {
  name: string
  heard: Heard
  streamKb: number
  tokenUs: number
}

const wanted = Number(process.argv[2] ?? 5_000)
const streams = Math.min(wanted, mostStreams())
if (streams < wanted)
  console.log(`${wanted} streams need a higher \`ulimit -Hn\`: measured with ${streams}.\n`)

const stage = await startStage([], { upstream: ['tokens/server.ts', '1000', '0'] })
const reader = await startTokenReader()
try {
  const port = stage.upstreamPorts.openaiStream
  console.log(`${streams} streams, one token a second each, ${listenMs / 1000} s\n`)
  console.log(
    line([
      '',
      'tokens/s',
      'memory of a stream (KB)',
      'later than sent, p50 / p99 / longest (ms)',
      'CPU of a token (µs)',
    ]),
  )
  console.log('|---|--:|--:|--:|--:|')
  print(await measure('no proxy', port))
  const pipe = await measure('bare pipe', stage.pipe.portOf('openaiStream'), stage.pipe.child.pid)
  print(pipe)
  const router = await measure('llm-router', stage.router.portOf('openaiStream'), stage.router.child.pid)
  print(router)
  judge(pipe, router)
} finally {
  reader.end()
  await stage.close()
}

/** The router accepts at most as many clients as a third of its open file limit; Node raises its limit to the hard limit. */
function mostStreams(): number {
  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  return hard === undefined ? Infinity : Math.floor(Number(hard) / 3) - 100
}

async function measure(name: string, port: number, pid?: number): Promise<Row> {
  await reader.open(port, warmStreams, pace)
  await reader.listen(warmMs)
  await reader.close()
  await delay(warmMs)
  const beforeKb = pid === undefined ? Number.NaN : memoryKb(pid)
  await reader.open(port, streams, pace)
  await reader.listen(settleMs)
  const beforeUs = pid === undefined ? Number.NaN : processorTimeUs(pid)
  const heard = await reader.listen(listenMs)
  const tokenUs = pid === undefined ? Number.NaN : (processorTimeUs(pid) - beforeUs) / heard.tokens
  const streamKb = pid === undefined ? Number.NaN : (memoryKb(pid) - beforeKb) / streams
  await reader.close()
  return { name, heard, streamKb, tokenUs }
}

function print({ name, heard: { tokens, seconds, later }, streamKb, tokenUs }: Row): void {
  const shown = (value: number, digits: number): string => (Number.isNaN(value) ? '' : value.toFixed(digits))
  const lateness = [later.p50, later.p99, later.longest].map((each) => each.toFixed(2)).join(' / ')
  console.log(line([name, (tokens / seconds).toFixed(0), shown(streamKb, 1), lateness, shown(tokenUs, 1)]))
}

function judge(pipe: Row, router: Row): void {
  const overPipe = router.streamKb - pipe.streamKb
  const p99 = router.heard.later.p99
  const good = overPipe <= maxKbOverPipe && p99 <= maxP99Ms
  console.log(`\nA stream beyond the pipe's: ${overPipe.toFixed(1)} KB (bound: ${maxKbOverPipe})`)
  console.log(`p99 later than sent: ${p99.toFixed(2)} ms (bound: ${maxP99Ms})`)
  if (!good) process.exitCode = 1
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
