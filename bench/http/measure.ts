import { peakMemoryMb, processorTimeUs, resetPeakMemory } from '../support/process-cost.ts'
import type { BenchCase } from './cases.ts'
import type { MeasuredProxy, Stage } from './stage.ts'

/** The resources that one proxy needed in one round of one case. */
export interface Measured {
  /** Processor time of a request, user and system, of the proxy's processes, in microseconds. */
  costUs: number
  requestsPerSecond: number
  /** To the first byte of the response. */
  p50Ms: number
  p99Ms: number
  peakMemoryMb: number
  /** The longest wait for a small response during the load. */
  longestPingMs: number
}

export interface Round {
  /** At each proxy's maximum. */
  full: { pipe: Measured; router: Measured }
  /** At half of the router's maximum, for both. */
  same: { pipe: Measured; router: Measured }
}

/**
 * Both proxies alternately, in each round. Before the first round they are warmed up at full load: Node keeps compiling for some
 * seconds, which a process that runs for days pays only once.
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
    // Back and forth, so that a machine that becomes slower or faster affects both equally.
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

/** The mean of two measurements of equal length and pace. */
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

/** The resources that the proxy needs for a load of this length; `perSecond`: requests started per second, 0 means no limit. */
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

/** A percentile of sorted numbers. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )
}
