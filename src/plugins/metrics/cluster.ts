import type { FastifyInstance } from 'fastify'
import {
  type ClusterMetrics,
  clusterMetrics,
  type MetricFamily,
  type MetricSample,
} from '../../cluster/metrics.ts'
import { EventLoopBudget } from '../../lib/yield-to-event-loop.ts'

/** How much counting a killed process may take with it at most, where nobody looked, in milliseconds. */
const keepEveryMs = 1_000

/** Gives the text of `/metrics`: in a cluster the sums over all processes, dead ones too, whichever of them is asked. */
export function metricsText(app: FastifyInstance): () => Promise<Buffer> {
  const read = familiesOf(app)
  if (!app.primary) return () => textOf(read())
  const ofAll = clusterMetrics(app.primary, async () => {
    const families: MetricFamily[] = []
    const breath = new EventLoopBudget()
    for (const family of read()) {
      families.push(await family())
      await breath.take()
    }
    return families
  })
  keepCounts(app, ofAll)
  return async () => sumOf(app, await ofAll.collect())
}

/** What this process has counted, family by family: each is read when it is asked for. */
function familiesOf(app: FastifyInstance): () => (() => Promise<MetricFamily>)[] {
  const { register } = app.metrics.client
  return () =>
    register.getMetricsAsArray().map((metric) => async () => {
      // The type of the list leaves out what its members are asked for by the registry itself.
      const family = (await register.getSingleMetric(metric.name)?.get()) as MetricFamily
      const { name, help, type, aggregator, values } = family
      return { name, help, type, aggregator, values }
    })
}

/** Family by family, so that many workers with many models do not hold up the one that was asked. */
function sumOf(app: FastifyInstance, parts: readonly MetricFamily[][]): Promise<Buffer> {
  const byName = Map.groupBy(parts.flat(), ({ name }) => name)
  const { AggregatorRegistry } = app.metrics.client
  return textOf(
    [...byName].map(([name, families]) => async () => {
      const sums = AggregatorRegistry.aggregate(families.map((family) => [family]))
      // Undefined: a family that makes no sense for several processes is left out.
      return (await sums.getSingleMetric(name)?.get()) as MetricFamily | undefined
    }),
  )
}

/** After a request has ended, but not after each: an idle process has nothing to say. */
function keepCounts(app: FastifyInstance, ofAll: ClusterMetrics): void {
  let timer: NodeJS.Timeout | undefined
  const keep = async (): Promise<void> => {
    timer = undefined
    try {
      await ofAll.keep()
    } catch (error) {
      app.log.debug({ error: String(error) }, 'metrics are not kept')
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

/** So many lines are written in one piece: a thousand models have a hundred thousand. */
const linesAtOnce = 500

/**
 * The text format of Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/), for families that are asked for
 * one after the other. Requests go on meanwhile: each family is of one moment, not the whole text.
 */
export async function textOf(
  families: readonly (() => Promise<MetricFamily | undefined>)[],
): Promise<Buffer> {
  const pieces: Buffer[] = []
  const breath = new EventLoopBudget()
  for (const family of families) {
    const read = await family()
    if (!read) continue
    const { name, help, type, values } = read
    pieces.push(Buffer.from(`# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`))
    for (let from = 0; from < values.length; from += linesAtOnce) {
      let lines = ''
      for (const sample of values.slice(from, from + linesAtOnce)) lines += lineOf(name, sample)
      // As bytes: to put all of a long string together would take its time at the end.
      pieces.push(Buffer.from(lines))
      await breath.take()
    }
    pieces.push(Buffer.from('\n'))
    await breath.take()
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
