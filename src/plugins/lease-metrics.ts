import fp from 'fastify-plugin'

/** What Prometheus learns of exclusive targets: queues, and leases that were not as exclusive as they should be. */
export default fp(
  (app, _options, done) => {
    app.addHook('onReady', (ready) => {
      // The registry is there once all plugins are.
      if (app.config.usePrometheus) {
        const { Counter, Gauge } = app.metrics.client
        const { counts } = app.leases
        new Counter({
          name: 'llm_router_leases_local_total',
          help: 'Targets taken while the lease store was away: exclusive within this process only.',
          collect() {
            this.reset()
            this.inc(counts.local)
          },
        })
        new Counter({
          name: 'llm_router_leases_lost_total',
          help: 'Targets that another request took while one was still at work.',
          collect() {
            this.reset()
            this.inc(counts.lost)
          },
        })
        new Gauge({
          name: 'llm_router_queue_length',
          help: 'Requests that wait for a target of their own, in this process.',
          labelNames: ['model_name'],
          collect() {
            for (const model of app.models.all())
              this.set({ model_name: model.alias }, app.balancer.waiting(model))
          },
        })
      }
      ready()
    })
    done()
  },
  { name: 'lease-metrics', dependencies: ['config', 'models', 'lease-store'] },
)
