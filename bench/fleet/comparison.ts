import type { Strategy } from '../../src/sdk/strategy.ts'
import { Fleet, type Served } from './fleet.ts'
import type { Workload } from './workloads.ts'

export interface Report {
  meanTtftMs: number
  p99TtftMs: number
  /** Share of prompt tokens that were cached. */
  hitRate: number
  /** Requests of the busiest server divided by the mean. */
  busiest: number
  served: readonly Served[]
}

/**
 * Runs a workload through a strategy; the same arguments give the same report. `seed` seeds its random numbers and the
 * strategy's.
 */
export function simulate(workload: Workload, policy: Strategy | 'pinned', seed = 0): Report {
  const fleet = new Fleet(policy, workload, seed)
  workload.run(fleet, seed)
  fleet.timeline.run()
  const { served } = fleet
  const ttfts = served.map(({ ttftMs }) => ttftMs).toSorted((a, b) => a - b)
  const counts = fleet.servers.map((_, index) => served.filter(({ server }) => server === index).length)
  return {
    meanTtftMs: sum(ttfts) / ttfts.length,
    p99TtftMs: ttfts[Math.floor(ttfts.length * 0.99)] ?? 0,
    hitRate:
      sum(served.map(({ cachedTokens }) => cachedTokens)) /
      sum(served.map(({ promptTokens }) => promptTokens)),
    busiest: Math.max(...counts) / (served.length / counts.length),
    served,
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Share of running conversations that moved to another server when a server was added. */
export function movedShare(served: readonly Served[], atMs: number): number {
  const before = new Map<number, number>()
  const moved = new Set<number>()
  for (const { conversation, server, at } of served.toSorted((a, b) => a.at - b.at)) {
    if (at < atMs) before.set(conversation, server)
    else if (before.has(conversation) && before.get(conversation) !== server) moved.add(conversation)
  }
  const running = new Set(served.filter(({ at }) => at >= atMs).map(({ conversation }) => conversation))
  const continued = [...before.keys()].filter((conversation) => running.has(conversation))
  return moved.size / continued.length
}
