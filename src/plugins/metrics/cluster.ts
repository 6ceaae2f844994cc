import cluster from 'node:cluster'
import type { FastifyInstance } from 'fastify'
import type { MetricFamily } from '../../cluster/metric-sums.ts'
import { type PrimaryMetrics, primaryMetrics } from '../../cluster/metrics.ts'
import { Breath } from '../../lib/breath.ts'
import { primaryPipe } from '../../stores/link.ts'
import { textOf } from './text.ts'

/** How much counting a killed process may take with it at most, where nobody looked, in milliseconds. */
const keepEveryMs = 1_000

/** Gives the text of `/metrics`: in a cluster the sums over all processes, dead ones too, whichever of them is asked. */
export function metricsText(app: FastifyInstance): () => Promise<Buffer> {
  const read = familiesOf(app)
  if (!cluster.worker) return () => textOf(read())
  const primary = primaryMetrics(primaryPipe(cluster.worker), async () => {
    const families: MetricFamily[] = []
    const breath = new Breath()
    for (const family of read()) {
      families.push(await family())
      await breath.take()
    }
    return families
  })
  keepCounts(app, primary)
  return async () => sumOf(app, await primary.collect())
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
function keepCounts(app: FastifyInstance, primary: PrimaryMetrics): void {
  let timer: NodeJS.Timeout | undefined
  const keep = async (): Promise<void> => {
    timer = undefined
    try {
      await primary.keep()
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
