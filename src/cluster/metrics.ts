import { type Channel, topic } from '../lib/channel.ts'
import type { WorkerChannels } from '../lib/worker-channels.ts'

/** All series of one metric, in the form of the registry. */
export interface MetricFamily {
  name: string
  help: string
  type: string
  /** How the values of several processes become one. */
  aggregator: string
  values: readonly MetricSample[]
}

export interface MetricSample {
  value: number
  labels: Readonly<Record<string, string | number | undefined>>
  /** Set if it differs from the family's name, as for the parts of a histogram. */
  metricName?: string
}

/** To each worker: its numbers. */
const read = topic<void, MetricFamily[]>('metrics.read', { timeoutMs: 1_000 })
/** From a worker: its counts so far. */
const keep = topic<MetricFamily[]>('metrics.keep', { timeoutMs: 3_000, afterExit: true })
/** From a worker that wants the numbers of all; longer than the primary waits for the slowest of them. */
const collect = topic<void, MetricFamily[][]>('metrics.collect', { timeoutMs: 3_000 })

export interface ClusterMetrics {
  /** Saves this process's counts in the primary, where they outlive it. */
  keep(): Promise<void>
  /** The numbers of each living worker, this one too, and the counts of the dead ones. */
  collect(): Promise<MetricFamily[][]>
}

/** A worker's side. `readOwn` returns its own metrics. Both methods reject if the primary does not respond. */
export function clusterMetrics(primary: Channel, readOwn: () => Promise<MetricFamily[]>): ClusterMetrics {
  primary.on(read, readOwn)
  return {
    keep: async () => primary.request(keep, countsOf(await readOwn())),
    collect: () => primary.request(collect),
  }
}

/**
 * The primary's side: the numbers of all workers, living and dead. A worker's counts are kept each time that they are
 * asked for, so the sums that were once seen never go down.
 */
export function serveMetrics(workers: WorkerChannels): void {
  /** Reported counts of each live worker. */
  const counts = new Map<Channel, MetricFamily[]>()
  let ofTheDead: MetricFamily[] = []
  /** A worker that is too busy or exits meanwhile is included with its last known counts. */
  const readWorker = async (worker: Channel): Promise<MetricFamily[]> => {
    try {
      const families = await worker.request(read)
      if (counts.has(worker)) counts.set(worker, countsOf(families))
      return families
    } catch {
      return counts.get(worker) ?? []
    }
  }
  workers.onStart((worker) => counts.set(worker, []))
  workers.onDrained((worker) => {
    ofTheDead = addCounts(ofTheDead, counts.get(worker) ?? [])
    counts.delete(worker)
  })
  workers.on(keep, (families, worker) => void counts.set(worker, families))
  workers.on(collect, async () => {
    const parts = await Promise.all([...counts.keys()].map(readWorker))
    return [...parts, ofTheDead]
  })
}

/** Counts that must survive the process. Gauges describe a live process, so they are dropped. */
function countsOf(families: readonly MetricFamily[]): MetricFamily[] {
  return families.filter(
    ({ type, aggregator }) => (type === 'counter' || type === 'histogram') && aggregator === 'sum',
  )
}

/** The sum of both, series by series. */
function addCounts(one: readonly MetricFamily[], other: readonly MetricFamily[]): MetricFamily[] {
  const sums = new Map(one.map((family) => [family.name, family]))
  for (const family of other) {
    const sum = sums.get(family.name)
    sums.set(family.name, sum ? { ...sum, values: addSamples(sum.values, family.values) } : family)
  }
  return [...sums.values()]
}

function addSamples(one: readonly MetricSample[], other: readonly MetricSample[]): MetricSample[] {
  const sums = new Map(one.map((sample) => [seriesOf(sample), sample]))
  for (const sample of other) {
    const key = seriesOf(sample)
    const sum = sums.get(key)
    sums.set(key, sum ? { ...sum, value: sum.value + sample.value } : sample)
  }
  return [...sums.values()]
}

function seriesOf({ metricName, labels }: MetricSample): string {
  const sorted = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([metricName, sorted])
}
