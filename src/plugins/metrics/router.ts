import type { FastifyInstance } from 'fastify'
import { version } from '../../lib/version.ts'

/** The router itself: version, configuration, processes, memory. */
export function exposeRouter(app: FastifyInstance): void {
  const { Counter, Gauge } = app.metrics.client
  new Gauge({
    name: 'llm_router_build_info',
    help: 'Always 1; the label is the version of the router.',
    labelNames: ['version'],
    aggregator: 'max',
    collect() {
      this.set({ version }, 1)
    },
  })
  new Gauge({
    name: 'llm_router_workers',
    help: 'Processes that serve requests.',
    collect() {
      this.set(1)
    },
  })
  new Gauge({
    name: 'llm_router_log_file_failed',
    help: '1 if the log file cannot be opened or written; lines then go to stdout only.',
    aggregator: 'max',
    collect() {
      this.set(app.logError() === undefined ? 0 : 1)
    },
  })
  const { directory } = app
  if (directory) {
    new Gauge({
      name: 'llm_router_usage_spool_bytes',
      help: 'Bytes of usage records on disk that wait for the database.',
      aggregator: 'max',
      collect() {
        this.set(directory.usageBacklog().spoolBytes)
      },
    })
    new Gauge({
      name: 'llm_router_usage_spool_failed',
      help: '1 if usage cannot be spooled to disk while the database is unavailable.',
      aggregator: 'max',
      collect() {
        this.set(directory.usageBacklog().spoolError === undefined ? 0 : 1)
      },
    })
  }
  new Gauge({
    name: 'llm_router_held_body_bytes',
    help: 'Bytes of request bodies held in memory.',
    collect() {
      this.set(app.admission.heldBytes)
    },
  })
  new Counter({
    name: 'llm_router_shed_total',
    help: 'Requests rejected because the process was overloaded: event_loop, heap.',
    labelNames: ['reason'],
    collect() {
      this.reset()
      for (const [reason, count] of Object.entries(app.shedding.counts)) this.inc({ reason }, count)
    },
  })
  new Gauge({
    name: 'llm_router_config_info',
    help: 'Always 1; the label is a digest of the models-config.json in use.',
    labelNames: ['version'],
    aggregator: 'max',
    collect() {
      this.reset()
      this.set({ version: app.models.loading().version }, 1)
    },
  })
  new Gauge({
    name: 'llm_router_config_loaded_timestamp_seconds',
    help: 'Time at which the configuration in use was loaded; in a cluster, by the last process.',
    aggregator: 'min',
    collect() {
      this.set(app.models.loading().at.getTime() / 1000)
    },
  })
  new Counter({
    name: 'llm_router_config_reloads_total',
    help: 'Reloads of models-config.json by result: success, failure.',
    labelNames: ['result'],
    collect() {
      const { reloads } = app.models.loading()
      this.reset()
      this.inc({ result: 'success' }, reloads.success)
      this.inc({ result: 'failure' }, reloads.failure)
    },
  })
}
