import { peakMemoryMb, processorTimeUs, resetPeakMemory } from '../support/process-cost.ts'
import type { BenchCase } from './cases.ts'
import type { MeasuredProxy, Stage } from './stage.ts'

/** What one proxy needed in one round of one case. */
export interface Measured {
  /** Processor time of a request, user and system, of the proxy's processes, in microseconds. */
  costUs: number
  requestsPerSecond: number
  /** To the first byte of the answer. */
  p50Ms: number
  p99Ms: number
  peakMemoryMb: number
  /** The longest wait for a small answer beside the load. */
  longestPingMs: number
}

export interface Round {
  /** As much as each could do. */
  full: { pipe: Measured; router: Measured }
  /** Half of what the router could do, asked of both. */
  same: { pipe: Measured; router: Measured }
}

/**
 * Both proxies in turn, in each round. Before the first they are warmed at full load: Node goes on compiling for some seconds,
 * which a process that runs for days pays but once.
 */
export async function measureCase(
  stage: Stage,
  benchCase: BenchCase,
  options: { rounds: number; roundMs: number; warmUpMs: number },
): Promise<Round[]> {
  for (const proxy of [stage.pipe, stage.router])
    await measure(stage, proxy, benchCase, { durationMs: options.warmUpMs, perSecond: 0 })
  const rounds: Round[] = []
  for (let round = 0; round < options.rounds; round++) {
    const once = (proxy: MeasuredProxy, perSecond: number): Promise<Measured> =>
      measure(stage, proxy, benchCase, { durationMs: options.roundMs, perSecond })
    const full = { pipe: await once(stage.pipe, 0), router: await once(stage.router, 0) }
    const perSecond = full.router.requestsPerSecond / 2
    // There and back, so that a machine that grows slower or faster meanwhile does so for both.
    const [pipe, router, again, last] = [
      await once(stage.pipe, perSecond),
      await once(stage.router, perSecond),
      await once(stage.router, perSecond),
      await once(stage.pipe, perSecond),
    ]
    rounds.push({ full, same: { pipe: meanOf(pipe, last), router: meanOf(router, again) } })
  }
  return rounds
}

/** Of two measurements of equal length and pace. */
function meanOf(one: Measured, other: Measured): Measured {
  const mean = (name: keyof Measured): number => (one[name] + other[name]) / 2
  return {
    costUs: mean('costUs'),
    requestsPerSecond: mean('requestsPerSecond'),
    p50Ms: mean('p50Ms'),
    p99Ms: mean('p99Ms'),
    peakMemoryMb: Math.max(one.peakMemoryMb, other.peakMemoryMb),
    longestPingMs: Math.max(one.longestPingMs, other.longestPingMs),
  }
}

/** What the proxy needs for a load of this length; `perSecond`: requests that begin in a second, 0 is as many as can. */
export async function measure(
  stage: Stage,
  proxy: MeasuredProxy,
  benchCase: BenchCase,
  { durationMs, perSecond }: { durationMs: number; perSecond: number },
): Promise<Measured> {
  const { pid } = proxy.child
  proxy.forgetLog()
  resetPeakMemory(pid)
  const before = processorTimeUs(pid)
  const result = await stage.load(proxy, benchCase, durationMs, perSecond)
  const { requests, seconds, firstByteMs, longestPingMs } = result
  return {
    costUs: (processorTimeUs(pid) - before) / requests,
    requestsPerSecond: requests / seconds,
    p50Ms: quantile(firstByteMs, 0.5),
    p99Ms: quantile(firstByteMs, 0.99),
    peakMemoryMb: peakMemoryMb(pid),
    longestPingMs,
  }
}

/** Of sorted numbers. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )
}
