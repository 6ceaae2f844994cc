import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { UsageSums } from '../../stores/usage/sums.ts'
import { pricesOf } from './prices.ts'
import { usageOf } from './usage-of.ts'

/** Usage goes to the database, or to the process that owns it, this often, in milliseconds: a killed process loses no more. */
const flushMs = 500

/** Records what clients use in the database, with LLM_ROUTER_DATABASE_URL. Requests never wait for it. */
export default fp(
  (app: FastifyInstance, _options, done) => {
    const { directory } = app
    if (!directory) return done()
    const sums = new UsageSums()
    let prices = pricesOf(directory.snapshot())
    directory.onChange((snapshot) => {
      prices = pricesOf(snapshot)
    })
    app.exchanges.onEnd((record) => {
      const now = Date.now()
      if (record.key !== undefined) sums.used(record.key, now)
      for (const row of usageOf(record, now)) sums.add({ ...row, cost: prices.costOf(row) })
    })
    const flush = (): void => {
      if (!sums.isEmpty) directory.addUsage(sums.take())
    }
    const timer = setInterval(flush, flushMs).unref()
    // Runs before the directory closes: hooks run in reverse order.
    app.addHook('onClose', (_instance, closed) => {
      clearInterval(timer)
      flush()
      closed()
    })
    done()
  },
  { name: 'usage', dependencies: ['exchange', 'directory'] },
)
