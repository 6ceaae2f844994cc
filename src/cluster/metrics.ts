import { type Channel, topic } from '../lib/channel.ts'
import type { WorkerChannels } from '../lib/worker-channels.ts'

/** All series of one metric, in the format of prom-client's registry. */
export interface MetricFamily {
  name: string
  help: string
  type: string
  /** How values of several processes are combined. */
  aggregator: string
  values: readonly MetricSample[]
}

export interface MetricSample {
  value: number
  labels: Readonly<Record<string, string | number | undefined>>
  /** Set if it differs from the family's name, as for `_bucket`, `_sum` and `_count` of a histogram. */
  metricName?: string
}

/** To each worker: requests its metrics. */
const read = topic<void, MetricFamily[]>('metrics.read', { timeoutMs: 1_000 })
/** From a worker: its counters so far. */
const keep = topic<MetricFamily[]>('metrics.keep', { timeoutMs: 3_000, afterExit: true })
/** From a worker: requests the metrics of all. The timeout is longer than that of `read`. */
const collect = topic<void, MetricFamily[][]>('metrics.collect', { timeoutMs: 3_000 })

export interface ClusterMetrics {
  /** Saves this process's counters in the primary, where they outlive it. */
  keep(): Promise<void>
  /** Returns the metrics of each live worker, including this one, and the counters of exited ones. */
  collect(): Promise<MetricFamily[][]>
}

/** The worker's side. `readOwn` returns its own metrics. Both methods reject if the primary does not respond. */
export function clusterMetrics(primary: Channel, readOwn: () => Promise<MetricFamily[]>): ClusterMetrics {
  primary.on(read, readOwn)
  return {
    keep: async () => primary.request(keep, countersOf(await readOwn())),
    collect: () => primary.request(collect),
  }
}

/**
 * The primary's side: combines the metrics of live workers and the counters of exited ones. A worker's counters are saved
 * whenever they are read, so that sums never decrease once they have been reported.
 */
export function serveMetrics(workers: WorkerChannels): void {
  /** Last known counters of each live worker. */
  const liveCounters = new Map<Channel, MetricFamily[]>()
  let exitedCounters: MetricFamily[] = []
  /** Reads a worker; falls back to its last known counters if it is too busy or exits. */
  const readWorker = async (worker: Channel): Promise<MetricFamily[]> => {
    try {
      const families = await worker.request(read)
      if (liveCounters.has(worker)) liveCounters.set(worker, countersOf(families))
      return families
    } catch {
      return liveCounters.get(worker) ?? []
    }
  }
  workers.onStart((worker) => liveCounters.set(worker, []))
  workers.onDrained((worker) => {
    exitedCounters = addCounters(exitedCounters, liveCounters.get(worker) ?? [])
    liveCounters.delete(worker)
  })
  workers.on(keep, (families, worker) => void liveCounters.set(worker, families))
  workers.on(collect, async () => {
    const parts = await Promise.all([...liveCounters.keys()].map(readWorker))
    return [...parts, exitedCounters]
  })
}

/** Returns the metrics that must survive the process: no gauges, which describe a live process. */
function countersOf(families: readonly MetricFamily[]): MetricFamily[] {
  return families.filter(
    ({ type, aggregator }) => (type === 'counter' || type === 'histogram') && aggregator === 'sum',
  )
}

/** Adds two lists of counters, series by series. */
function addCounters(one: readonly MetricFamily[], other: readonly MetricFamily[]): MetricFamily[] {
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
