import cluster from 'node:cluster'
import type { FastifyInstance } from 'fastify'
import type { MetricFamily } from '../../stores/metric-sums.ts'
import { type PrimaryMetrics, primaryMetrics } from '../../stores/primary-metrics.ts'
import { primaryPipe } from '../../stores/primary-pipe.ts'

/** How much counting a killed process may take with it at most, where nobody looked, in milliseconds. */
const keepEveryMs = 1_000

/** Gives the text of `/metrics`: in a cluster the sums over all processes, dead ones too, whichever of them is asked. */
export function metricsText(app: FastifyInstance): () => Promise<string> {
  const { register } = app.metrics.client
  if (!cluster.worker) return () => register.metrics()
  const primary = primaryMetrics(primaryPipe(cluster.worker), async () =>
    (await register.getMetricsAsJSON()).map(({ name, help, type, aggregator, values }) => ({
      name,
      help,
      type,
      aggregator,
      values,
    })),
  )
  keepCounts(app, primary)
  return async () => sumOf(app, await primary.collect())
}

function sumOf(app: FastifyInstance, parts: readonly MetricFamily[][]): Promise<string> {
  return app.metrics.client.AggregatorRegistry.aggregate([...parts]).metrics()
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
