import type { FastifyInstance } from 'fastify'
import {
  type ClusterMetrics,
  clusterMetrics,
  type MetricFamily,
  type MetricSample,
} from '../../cluster/metrics.ts'
import { EventLoopBudget } from '../../lib/event-loop-budget.ts'

/** Interval at which counts are saved, in milliseconds: the most that a killed process can lose. */
const keepEveryMs = 1_000

/**
 * Returns a function that renders `/metrics`. In a cluster, any process returns the sums over all processes, including
 * dead ones.
 */
export function metricsText(app: FastifyInstance): () => Promise<Buffer> {
  const read = familiesOf(app)
  if (!app.primary) return () => textOf(read())
  const ofAll = clusterMetrics(app.primary, async () => {
    const families: MetricFamily[] = []
    const budget = new EventLoopBudget()
    for (const family of read()) {
      families.push(await family())
      await budget.take()
    }
    return families
  })
  keepCounts(app, ofAll)
  return async () => sumOf(app, await ofAll.collect())
}

/** This process's metric families, each read lazily. */
function familiesOf(app: FastifyInstance): () => (() => Promise<MetricFamily>)[] {
  const { register } = app.metrics.client
  return () =>
    register.getMetricsAsArray().map((metric) => async () => {
      // The list's type omits `get`, which the registry itself calls.
      const family = (await register.getSingleMetric(metric.name)?.get()) as MetricFamily
      const { name, help, type, aggregator, values } = family
      return { name, help, type, aggregator, values }
    })
}

/** Sums family by family, so that many workers with many models do not block the event loop. */
function sumOf(app: FastifyInstance, parts: readonly MetricFamily[][]): Promise<Buffer> {
  const byName = Map.groupBy(parts.flat(), ({ name }) => name)
  const { AggregatorRegistry } = app.metrics.client
  return textOf(
    [...byName].map(([name, families]) => async () => {
      const sums = AggregatorRegistry.aggregate(families.map((family) => [family]))
      // Undefined for a family that cannot be aggregated over processes; it is omitted.
      return (await sums.getSingleMetric(name)?.get()) as MetricFamily | undefined
    }),
  )
}

/** Saves counts with a delay after a request has ended; an idle process saves nothing. */
function keepCounts(app: FastifyInstance, ofAll: ClusterMetrics): void {
  let timer: NodeJS.Timeout | undefined
  const keep = async (): Promise<void> => {
    timer = undefined
    try {
      await ofAll.keep()
    } catch (error) {
      app.log.debug({ error: String(error) }, 'metrics could not be passed to the primary process')
    }
  }
  app.exchanges.onEnd(() => {
    timer ??= setTimeout(() => void keep(), keepEveryMs)
  })
  app.addHook('onClose', async () => {
    clearTimeout(timer)
    await keep()
  })
}

/** Lines rendered at once: a thousand models have a hundred thousand. */
const linesAtOnce = 500

/**
 * Prometheus text format (https://prometheus.io/docs/instrumenting/exposition_formats/). Families are read one after
 * the other while requests continue, so each family is consistent, but not the whole text.
 */
export async function textOf(
  families: readonly (() => Promise<MetricFamily | undefined>)[],
): Promise<Buffer> {
  const pieces: Buffer[] = []
  const budget = new EventLoopBudget()
  for (const family of families) {
    const read = await family()
    if (!read) continue
    const { name, help, type, values } = read
    pieces.push(Buffer.from(`# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`))
    for (let from = 0; from < values.length; from += linesAtOnce) {
      let lines = ''
      for (const sample of values.slice(from, from + linesAtOnce)) lines += lineOf(name, sample)
      // Buffers, because flattening one long string at the end would block the event loop.
      pieces.push(Buffer.from(lines))
      await budget.take()
    }
    pieces.push(Buffer.from('\n'))
    await budget.take()
  }
  return Buffer.concat(pieces)
}

function lineOf(family: string, { metricName = family, labels, value }: MetricSample): string {
  let pairs = ''
  for (const name in labels) {
    const label = labels[name]
    if (label !== undefined) pairs += `${pairs === '' ? '' : ','}${name}="${escaped(String(label), true)}"`
  }
  return `${metricName}${pairs === '' ? '' : `{${pairs}}`} ${numberOf(value)}\n`
}

function escaped(text: string, isLabel = false): string {
  if (!/[\\\n"]/.test(text)) return text
  const safe = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return isLabel ? safe.replaceAll('"', '\\"') : safe
}

function numberOf(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return Number.isNaN(value) ? 'NaN' : String(value)
  return value > 0 ? '+Inf' : '-Inf'
}
